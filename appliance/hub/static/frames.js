// The page's end of the frame worker: which senders and receivers go through it, and what it tells.
//
// Events (detail): "sei" {stream, payloadType, data}.

import { deriveKey, isSupported } from "./frame-crypto.js";

const MODE = "aes-128-gcm";
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

  send(sender, kind) {
    this.#attach(sender, { operation: "send", kind, stream: "" });
  }

  receive(receiver, kind, stream) {
    this.#attach(receiver, { operation: "receive", kind, stream });
  }

  /** With the next picture of each H.264 that we send. */
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

  #heard({ stream, kind, opened, refused, sei }) {
    if (sei) this.dispatchEvent(new CustomEvent("sei", { detail: { stream, ...sei } }));
    else this.#counts.set(`${stream} ${kind}`, { opened, refused });
  }
}
