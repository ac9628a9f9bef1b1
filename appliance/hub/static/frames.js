// The page's end of the frame worker: which senders and receivers go through it, and what it tells.
//
// Events (detail): "sei" {stream, payloadType, data}; "failing": what `isFailing` says of a stream is another.

import { deriveKey, isSupported } from "./frame-crypto.js";
import { Once, timed, untimed } from "./sei.js";

const CHANNEL = "sei";
const MODE = "aes-128-gcm";
const MIN_REFUSED = 3; // frames since one was opened: one or two may be damaged or forged by somebody else
const hasScriptTransform = () => "RTCRtpScriptTransform" in globalThis;
const hasEncodedStreams = () => "createEncodedStreams" in RTCRtpSender.prototype;

/** Why a room cannot be encrypted here: "insecure" (not https), "browser" or "". */
export function encryptionProblem() {
  if (!isSupported()) return "insecure";
  return hasScriptTransform() || hasEncodedStreams() ? "" : "browser";
}

export class Frames extends EventTarget {
  #derived = null;
  #worker = null;
  #counts = new Map(); // "stream kind" -> {opened, refused}
  #failing = new Map(); // "stream kind" -> {opened, refused: by the last one that was opened, now}
  #channels = new Map(); // leg -> what travels beside its pictures
  #once = new Once();

  /** `secret` "": nothing is encrypted. */
  constructor(secret) {
    super();
    this.isEncrypted = Boolean(secret);
    if (!this.isEncrypted && !hasScriptTransform()) return;
    this.#worker = new Worker(new URL("./frame-worker.js", import.meta.url), { type: "module" });
    this.#worker.addEventListener("message", ({ data }) => this.#heard(data));
    if (secret) this.#derived = deriveKey(secret);
    void (this.#derived ?? Promise.resolve({ key: null })).then(({ key }) => this.#worker?.postMessage({ key }));
  }

  /** What a Join says of it. */
  async introduction(room) {
    if (!this.#derived) return {};
    return { encryption: MODE, key_fingerprint: await (await this.#derived).fingerprint(room) };
  }

  /** What a peer connection has to be made with. */
  get configuration() {
    return this.isEncrypted && !hasScriptTransform() ? { encodedInsertableStreams: true } : {};
  }

  /** `leg` is the id of the sender's or receiver's leg. */
  send(sender, kind, leg) {
    this.#attach(sender, { operation: "send", kind, stream: "", leg });
  }

  receive(receiver, kind, stream, leg) {
    this.#attach(receiver, { operation: "receive", kind, stream, leg });
  }

  /** For messages beside pictures that cannot carry them; before the offer. */
  openChannel(pc, leg) {
    if (!this.#worker) return;
    const channel = pc.createDataChannel(CHANNEL);
    this.#channels.set(leg, channel);
    channel.addEventListener("close", () => this.#channels.delete(leg));
  }

  /** A channel that the sender of `stream` has opened. */
  takeChannel(channel, stream, leg) {
    if (channel.label !== CHANNEL) return;
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => {
      const received = untimed(data);
      if (received && this.#worker) this.#worker.postMessage({ received, stream, leg });
      else if (received) this.#heard({ stream, leg, sei: received });
    });
  }

  /** With the next picture of ours. */
  sendSei(payloadType, data) {
    this.#worker?.postMessage({ send: { payloadType, data } });
  }

  /** {opened, forged, malformed, replayed}: frames received so far. */
  get counts() {
    const total = { opened: 0, forged: 0, malformed: 0, replayed: 0 };
    for (const { opened, refused } of this.#counts.values()) {
      total.opened += opened;
      for (const [refusal, count] of Object.entries(refused)) total[refusal] += count;
    }
    return total;
  }

  /** Whether what comes of a stream is encrypted with another key, or not at all. */
  isFailing(stream) {
    return ["audio", "video"].some((kind) => this.#refusedSince(`${stream} ${kind}`) >= MIN_REFUSED);
  }

  /** Nothing comes of this stream any more. */
  forget(stream) {
    for (const kind of ["audio", "video"]) this.#failing.delete(`${stream} ${kind}`);
  }

  #refusedSince(track) {
    const { now = 0, refused = 0 } = this.#failing.get(track) ?? {};
    return now - refused;
  }

  /** A new leg counts from 0 again. */
  #look(stream, kind, opened, { forged = 0, malformed = 0 }) {
    const failed = this.isFailing(stream);
    const now = forged + malformed;
    const before = this.#failing.get(`${stream} ${kind}`);
    const isSame = before && opened === before.opened && now >= before.now;
    this.#failing.set(`${stream} ${kind}`, { opened, now, refused: isSame ? before.refused : opened ? now : 0 });
    if (this.isFailing(stream) !== failed) this.dispatchEvent(new Event("failing"));
  }

  close() {
    this.#worker?.terminate();
    this.#worker = null;
  }

  #attach(end, options) {
    if (!this.#worker || (!this.isEncrypted && options.kind !== "video")) return;
    if (hasScriptTransform()) end.transform = new RTCRtpScriptTransform(this.#worker, options);
    else {
      const { readable, writable } = end.createEncodedStreams();
      this.#worker.postMessage({ ...options, readable, writable }, [readable, writable]);
    }
  }

  #heard({ stream, leg, kind, opened, refused, sei, beside, timestamp }) {
    if (beside) {
      const channel = this.#channels.get(leg);
      if (channel?.readyState === "open") beside.forEach((message) => channel.send(timed(timestamp, message)));
    } else if (sei) {
      if (this.#once.isNew(stream, leg, sei)) this.dispatchEvent(new CustomEvent("sei", { detail: { stream, ...sei } }));
    } else {
      this.#counts.set(`${stream} ${kind}`, { opened, refused });
      this.#look(stream, kind, opened, refused);
    }
  }
}
