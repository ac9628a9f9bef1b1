// The page's own microphone and camera. A camera that is muted is switched off (its light goes out); a muted
// microphone stays open, its track gives silence.
//
// Events: "change" (tracks, mutes, problems), "devices" (the lists changed).

import { _ } from "./words.js";

const KINDS = ["audio", "video"];
const PROBLEMS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "absent",
  OverconstrainedError: "absent",
  NotReadableError: "busy",
  AbortError: "busy",
};

export class LocalMedia extends EventTarget {
  tracks = { audio: null, video: null };
  muted = { audio: false, video: false };
  /** Why there is no device of this kind: "denied", "absent", "busy", "lost", "insecure", "failed" or "". */
  problems = { audio: "", video: "" };
  #chosen;
  #filter;
  #queue = Promise.resolve();
  #closed = false;

  constructor({ audio = "", video = "", filter = true, audioMuted = false, videoMuted = false } = {}) {
    super();
    this.#chosen = { audio, video };
    this.#filter = filter;
    this.muted = { audio: audioMuted, video: videoMuted };
    navigator.mediaDevices?.addEventListener("devicechange", this.#devicesChanged);
  }

  /** Opens what is wanted and not open yet; never rejects, see `problems`. */
  open() {
    return this.#next(() => this.#open(KINDS.filter((kind) => !this.tracks[kind] && !this.#off(kind))));
  }

  setMuted(kind, muted) {
    if (kind === "audio") this.#mark(kind, muted); // at once: nothing waits for a device
    return this.#next(async () => {
      this.#mark(kind, muted);
      if (muted && kind === "video") this.#stop(kind);
      else if (!muted && !this.tracks[kind]) await this.#open([kind]);
      this.#changed();
    });
  }

  /** Takes this device, "" for the system's choice; `filter` of the microphone is echo and noise removal. */
  choose(kind, deviceId, filter = this.#filter) {
    return this.#next(async () => {
      const same = this.#chosen[kind] === deviceId && (kind !== "audio" || this.#filter === filter);
      if (same && this.tracks[kind]) return;
      this.#chosen[kind] = deviceId;
      if (kind === "audio") this.#filter = filter;
      if (this.#off(kind)) return;
      this.#stop(kind);
      await this.#open([kind]);
    });
  }

  /** Published with this state: a track, null (there, but off) or undefined (no such device). */
  offered() {
    const offer = (kind) => (this.problems[kind] ? undefined : this.tracks[kind]);
    return { audio: offer("audio") ?? undefined, video: offer("video") };
  }

  /** {audio, video, speaker}: lists of {id, label}. */
  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const list = (kind, name) =>
      all
        .filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default")
        .map((device, index) => ({ id: device.deviceId, label: device.label || `${name} ${index + 1}` }));
    return {
      audio: list("audioinput", _("device.microphone")),
      video: list("videoinput", _("device.camera")),
      speaker: list("audiooutput", _("device.speaker")),
    };
  }

  chosen(kind) {
    return this.#chosen[kind];
  }

  get filter() {
    return this.#filter;
  }

  /** Lets go of the devices until the next `open`: whoever only listens needs none. */
  release() {
    return this.#next(async () => {
      KINDS.forEach((kind) => this.#stop(kind));
      this.#changed();
    });
  }

  close() {
    this.#closed = true;
    navigator.mediaDevices?.removeEventListener("devicechange", this.#devicesChanged);
    KINDS.forEach((kind) => this.#stop(kind));
  }

  #off(kind) {
    return kind === "video" && this.muted.video;
  }

  /** One thing at a time: two open requests at once confuse browsers and prompts. */
  #next(task) {
    this.#queue = this.#queue.then(() => (this.#closed ? undefined : task())).catch((error) => console.error(error));
    return this.#queue;
  }

  #mark(kind, muted) {
    this.muted[kind] = muted;
    if (this.tracks[kind]) this.tracks[kind].enabled = !muted;
    this.#changed();
  }

  async #open(kinds) {
    if (!kinds.length) return;
    const failure = await this.#ask(kinds);
    if (failure && kinds.length > 1) {
      for (const kind of kinds) await this.#open([kind]); // one of them may work
      return;
    }
    if (failure) this.problems[kinds[0]] = failure;
    this.#changed();
  }

  /** The name of the problem, or "" when every one of `kinds` is open. */
  async #ask(kinds) {
    if (!navigator.mediaDevices) return "insecure";
    try {
      const constraints = Object.fromEntries(kinds.map((kind) => [kind, this.#constraints(kind)]));
      const stream = await navigator.mediaDevices.getUserMedia(constraints);
      stream.getTracks().forEach((track) => this.#take(track));
      return "";
    } catch (error) {
      return PROBLEMS[error.name] ?? "failed";
    }
  }

  #take(track) {
    const kind = track.kind;
    if (this.#closed) return track.stop();
    track.enabled = !this.muted[kind];
    track.contentHint = kind === "audio" ? "" : "motion";
    track.addEventListener("ended", () => {
      if (this.tracks[kind] !== track) return;
      this.tracks[kind] = null;
      this.problems[kind] = "lost";
      this.#changed();
    });
    this.tracks[kind] = track;
    this.problems[kind] = "";
  }

  #constraints(kind) {
    const deviceId = this.#chosen[kind] ? { ideal: this.#chosen[kind] } : undefined;
    if (kind === "video") {
      return { deviceId, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
    }
    const filter = this.#filter;
    return { deviceId, echoCancellation: filter, noiseSuppression: filter, autoGainControl: filter };
  }

  #stop(kind) {
    const track = this.tracks[kind];
    this.tracks[kind] = null;
    track?.stop(); // raises no "ended"
  }

  #changed() {
    if (!this.#closed) this.dispatchEvent(new Event("change"));
  }

  #devicesChanged = () => {
    this.dispatchEvent(new Event("devices"));
    const missing = KINDS.filter((kind) => ["lost", "absent"].includes(this.problems[kind]) && !this.#off(kind));
    if (missing.length) this.#next(() => this.#open(missing));
  };
}
