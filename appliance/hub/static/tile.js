// One participant's tile.

import { hue, initials } from "./avatar.js";
import { put } from "./dom.js";
import { fit } from "./layout.js";
import { qualityWords } from "./sentences.js";
import { FULL } from "./volumes.js";
import { _ } from "./words.js";

const BARS = [0, 4, 3, 2, 1, 1, 0]; // lit bars for quality 0..6

function attach(element, track) {
  if (element.track === track) return false;
  element.track = track;
  element.srcObject = track ? new MediaStream([track]) : null;
  return Boolean(track);
}

export class Tile {
  #video;
  #audio;
  #avatar;
  #parts;
  #blocked;

  /** `open()`: more about who it is; `blocked()`: the browser refuses to play sound before a tap; `resized()`: the picture
   *  has another size. */
  constructor({ userId, stream = "main", own = false, open = () => {}, blocked = () => {}, resized = () => {} }) {
    const template = document.getElementById("tile-template");
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.classList.toggle("own", own);
    this.element.dataset.user = userId;
    this.element.dataset.stream = stream;
    this.#blocked = blocked;
    const part = (name) => this.element.querySelector(name);
    this.#video = part("video");
    this.#audio = part("audio");
    this.#avatar = part(".avatar");
    this.#parts = { name: part(".name"), states: part(".states"), bars: part(".bars"), waiting: part(".waiting") };
    part(".plate").disabled = own;
    part(".plate").addEventListener("click", open);
    this.#video.addEventListener("resize", resized);
  }

  /** `state`: {name, note (after the name), video, audio (tracks or undefined), audioMuted, videoMuted, quality, waiting,
   *  volume (0 to 100), undecryptable}. */
  render(state) {
    const { dataset } = this.element;
    const shown = Boolean(state.video) && !state.videoMuted && !state.undecryptable;
    dataset.video = shown;
    dataset.muted = state.audioMuted;
    dataset.silenced = state.volume === 0;
    dataset.quality = state.quality;
    dataset.bars = BARS[state.quality];
    dataset.waiting = state.waiting;
    put(this.#parts.name, "textContent", state.name + (state.note ?? ""));
    put(this.#avatar, "textContent", initials(state.name));
    this.#avatar.style.setProperty("--hue", hue(state.name));
    const states = [
      state.undecryptable ? _("room.undecryptable") : "",
      state.audioMuted ? _("room.microphone_off") : "",
      state.volume === 0 ? _("volume.silenced") : "",
      state.videoMuted ? _("room.camera_off") : "",
      state.quality ? qualityWords(state.quality) : "",
    ];
    put(this.#parts.states, "textContent", states.filter(Boolean).join(_("common.comma")));
    put(this.#parts.bars, "title", qualityWords(state.quality));
    put(this.#parts.waiting, "hidden", !state.waiting && !state.undecryptable);
    put(this.#parts.waiting, "textContent", _(state.undecryptable ? "room.undecryptable" : "state.connecting"));
    dataset.undecryptable = Boolean(state.undecryptable);
    if (attach(this.#video, shown ? state.video : null)) this.#video.play().catch(() => {});
    this.#audio.volume = (state.volume ?? FULL) / FULL;
    this.#audio.muted = state.volume === 0; // where a page has no say in the volume, on iOS, it can at least be silent
    if (attach(this.#audio, state.audio ?? null)) this.play();
  }

  renderLevel(level, speaking) {
    const { dataset, style } = this.element;
    if (dataset.speaking !== String(speaking)) dataset.speaking = speaking;
    style.setProperty("--level", (level / 100).toFixed(2));
  }

  play() {
    this.#audio.play().catch((error) => error.name === "NotAllowedError" && this.#blocked());
  }

  /** Plays on this output, "" for the system's. */
  async speakTo(deviceId) {
    await this.#audio.setSinkId?.(deviceId).catch(() => {}); // unplugged: stays where it was
  }

  get isScreen() {
    return this.element.dataset.stream === "screen";
  }

  /** Height in device pixels; 0 while it is not laid out. */
  get pixels() {
    return Math.round(this.element.clientHeight * devicePixelRatio);
  }

  resize({ width, height }) {
    this.element.style.setProperty("--tile-width", `${width}px`);
    this.element.style.setProperty("--tile-height", `${height}px`);
    this.#refit();
  }

  #refit() {
    const { clientWidth, clientHeight } = this.element;
    if (!this.aspect || !clientHeight) return;
    this.#video.style.objectFit = this.isScreen ? "contain" : fit(this.aspect, clientWidth / clientHeight);
  }

  /** Width to height of the picture; undefined without one. */
  get aspect() {
    return this.#video.videoHeight ? this.#video.videoWidth / this.#video.videoHeight : undefined;
  }

  /** {width, height, frames} of the shown picture. */
  get picture() {
    const { videoWidth, videoHeight } = this.#video;
    return { width: videoWidth, height: videoHeight, frames: this.#video.getVideoPlaybackQuality().totalVideoFrames };
  }

  close() {
    attach(this.#video, null);
    attach(this.#audio, null);
    this.element.remove();
  }
}
