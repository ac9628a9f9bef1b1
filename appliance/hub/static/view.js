// The call on the screen: tiles, words and controls drawn from a Call. It decides nothing of the call.

import { shape } from "./layout.js";
import { nameOf } from "./roster.js";
import { Tile, put } from "./tile.js";
import { deviceProblem, stateWords } from "./words.js";

const TOGETHER = new Set(["denied", "absent", "insecure"]); // problems that both devices have for one reason
const TOAST_MS = 4000;
const GAP = 12; // of .tiles in room.css
const SLOW_ATTEMPTS = 3; // then the page says that nobody answers
const $ = (id) => document.getElementById(id);

/** A mute button: icon, words, pressed state. */
export function renderMute(button, kind, muted, absent) {
  const [icon, device, off, on, none] = {
    audio: ["mic", "microphone", "Mute", "Unmute", "No mic"],
    video: ["camera", "camera", "Stop video", "Start video", "No camera"],
  }[kind];
  const shut = muted || absent;
  button.querySelector("use").setAttribute("href", shut ? `#i-${icon}-off` : `#i-${icon}`);
  put(button.querySelector("span"), "textContent", absent ? none : shut ? on : off);
  button.dataset.muted = shut;
  const label = absent ? `No ${device}: try again` : `${shut ? "Turn on" : "Turn off"} ${device}`;
  if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
}

const problemKey = ({ problems }) => `${problems.audio} ${problems.video}`;

/** [kind or "both", problem] of each notice that is due. */
function problemsOf({ problems }) {
  if (problems.audio === problems.video && TOGETHER.has(problems.audio)) return [["both", problems.audio]];
  return Object.entries(problems).filter(([, problem]) => problem);
}

/** Notices on what is wrong with one's own devices, each with a button to try again and, if `closable`, one to close. */
export function renderProblems(element, media, closable = false) {
  const key = problemKey(media);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  const action = (label, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    return button;
  };
  element.replaceChildren(
    ...problemsOf(media).map(([kind, problem]) => {
      const notice = document.createElement("div");
      notice.className = "notice warn";
      const text = document.createElement("p");
      text.textContent = deviceProblem(kind, problem);
      notice.append(text);
      if (problem !== "insecure") notice.append(action("Try again", () => void media.open()));
      if (closable) notice.append(action("Close", () => notice.remove()));
      return notice;
    }),
  );
}

export class View {
  #tiles = new Map();
  #call;
  #media;
  #speaker;
  #userName;
  #abort = new AbortController();
  #resize;

  /** `seen`: the lobby has told of the devices' problems already. */
  constructor(call, media, { speaker, userName, seen }) {
    this.#call = call;
    this.#media = media;
    this.#speaker = speaker;
    this.#userName = userName;
    $("room-problems").replaceChildren();
    $("room-problems").dataset.key = seen ? problemKey(media) : "";
    const { signal } = this.#abort;
    call.addEventListener("change", () => this.#render(), { signal });
    call.addEventListener("levels", () => this.#levels(), { signal });
    call.addEventListener("notice", ({ detail }) => toast(detail.text), { signal });
    media.addEventListener("change", () => this.#render(), { signal });
    $("unblock").addEventListener("click", () => this.#unblock(), { signal });
    $("retry").addEventListener("click", () => call.wake(), { signal });
    this.#resize = new ResizeObserver(() => this.#arrange());
    this.#resize.observe($("stage"));
    this.#render();
  }

  /** The tile of a user's main stream, or undefined. */
  tile(userId) {
    return this.#tiles.get(`${userId}/main`);
  }

  /** Tells of the devices' problems again. */
  remind() {
    $("room-problems").dataset.key = "";
  }

  speakTo(deviceId) {
    this.#speaker = deviceId;
    for (const tile of this.#tiles.values()) void tile.speakTo(deviceId);
  }

  close() {
    this.#abort.abort();
    this.#resize.disconnect();
    for (const tile of this.#tiles.values()) tile.close();
    $("toasts").replaceChildren();
    $("unblock").hidden = true;
  }

  #render() {
    const call = this.#call;
    put(document.documentElement.dataset, "state", call.state);
    put($("room-name"), "textContent", call.room);
    put($("status"), "textContent", stateWords(call.state));
    const people = Object.keys(call.members).length + 1;
    put($("count"), "textContent", call.state === "connected" ? `${people} ${people === 1 ? "person" : "people"}` : "");
    put($("alone"), "hidden", call.state !== "connected" || people > 1);
    const waiting = call.state === "connecting" || call.state === "reconnecting";
    put($("banner"), "hidden", !waiting);
    put($("banner-text"), "textContent", this.#waitingWords());
    this.#renderTiles();
    const listening = call.role === "audience";
    for (const [id, kind] of [["mic", "audio"], ["camera", "video"]]) {
      put($(id), "hidden", listening);
      renderMute($(id), kind, this.#media.muted[kind], Boolean(this.#media.problems[kind]));
    }
    if (!listening) renderProblems($("room-problems"), this.#media, true);
  }

  #waitingWords() {
    const { state, attempts } = this.#call;
    if (state === "connecting") {
      return attempts < SLOW_ATTEMPTS ? "Connecting…" : "The room doesn't answer. Trying again…";
    }
    return attempts < SLOW_ATTEMPTS ? "Connection lost. Reconnecting…" : "Still no connection. Trying again…";
  }

  #renderTiles() {
    const call = this.#call;
    const media = this.#media;
    const shown = new Set(["own"]);
    this.#tileOf("own", { userId: call.userId, own: true }).render({
      name: this.#userName,
      note: " (you)",
      video: media.tracks.video,
      audioMuted: media.muted.audio || !media.tracks.audio,
      videoMuted: media.muted.video || !media.tracks.video,
      quality: call.uplink.level,
      waiting: false,
    });
    for (const remote of call.remotes) {
      shown.add(remote.key);
      const has = Boolean(remote.stream.audio || remote.stream.video);
      this.#tileOf(remote.key, { userId: remote.userId, stream: remote.name }).render({
        name: nameOf(remote.member),
        note: remote.name === "screen" ? ": screen" : "",
        ...remote.tracks,
        audioMuted: remote.isMuted("audio"),
        videoMuted: remote.isMuted("video"),
        quality: remote.quality.level,
        waiting: has && remote.downlink.state === "connecting",
      });
    }
    for (const [key, tile] of this.#tiles) {
      if (shown.has(key)) continue;
      tile.close();
      this.#tiles.delete(key);
    }
    this.#arrange();
  }

  #tileOf(key, options) {
    let tile = this.#tiles.get(key);
    if (!tile) {
      tile = new Tile({ ...options, blocked: () => ($("unblock").hidden = false), resized: () => this.#arrange() });
      this.#tiles.set(key, tile);
      if (options.own) $("tiles").prepend(tile.element);
      else $("tiles").append(tile.element);
      if (this.#speaker) void tile.speakTo(this.#speaker);
    }
    tile.element.dataset.user = options.userId;
    return tile;
  }

  /** With one other person the own picture floats in the corner, otherwise it is one of the grid. */
  #arrange() {
    const stage = $("stage");
    const tiles = $("tiles");
    const style = getComputedStyle(stage);
    const width = stage.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const height = stage.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    const floats = this.#tiles.size === 2;
    const large = [...this.#tiles].filter(([key]) => !floats || key !== "own").map(([, tile]) => tile);
    const { width: tileWidth, height: tileHeight } = shape(large.length, width, height, GAP, large[0]?.aspect);
    tiles.dataset.floats = floats;
    tiles.style.setProperty("--tile-width", `${tileWidth}px`);
    tiles.style.setProperty("--tile-height", `${tileHeight}px`);
    for (const tile of this.#tiles.values()) tile.refit();
  }

  #levels() {
    const call = this.#call;
    this.#tiles.get("own")?.renderLevel(call.level, call.speaking.speaking);
    for (const remote of call.remotes) this.#tiles.get(remote.key)?.renderLevel(remote.level, remote.speaking.speaking);
  }

  #unblock() {
    $("unblock").hidden = true;
    for (const tile of this.#tiles.values()) tile.play();
    this.#call.hear();
  }
}

function toast(text) {
  const line = document.createElement("p");
  line.textContent = text;
  $("toasts").append(line);
  setTimeout(() => line.remove(), TOAST_MS);
}
