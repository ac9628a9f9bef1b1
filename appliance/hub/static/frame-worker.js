// What happens to coded frames between the browser's codecs and its network: encryption, and SEI in H.264.
//
// In: {key: CryptoKey or null} once, first; {send: {payloadType, data}}; {received: {payloadType, data}, stream, leg} that
// came beside the pictures; for browsers without RTCRtpScriptTransform {operation, stream, leg, kind, readable, writable}.
// Out: {stream, kind, opened, refused: {forged, malformed, replayed}} about every second, {stream, leg, sei: {payloadType,
// data}}, and {leg, timestamp, beside: [{payloadType, data}]} to be sent beside the picture of this RTP timestamp.

import { Opener, Refused, Sealer } from "./frame-crypto.js";
import { PAYLOAD_TYPES, splice, userMessages } from "./sei.js";

const COUNTS_MS = 1000;
const KEYFRAME_MS = 500;
const MAX_WAITING = 30; // messages for a picture that does not come

const floors = new Map();
const senders = new Set();
let given;
const key = new Promise((resolve) => (given = resolve));

/** By the frame itself where the browser does not say: no VP8 frame begins with a start code. */
function codingOf(frame, data, kind) {
  if (kind === "audio") return "opus";
  const said = frame.getMetadata?.().mimeType?.toLowerCase();
  if (said) return said === "video/h264" ? "h264" : said === "video/vp8" ? "vp8" : "";
  const startCode = !data[0] && !data[1] && (data[2] === 1 || (!data[2] && data[3] === 1));
  return startCode ? "h264" : "vp8";
}

function sealing(kind, leg) {
  const waiting = [];
  let sealer = null;
  if (kind === "video") senders.add(waiting);
  const transform = async (frame, controller) => {
    const secret = await key;
    sealer ??= secret && { frames: new Sealer(secret), messages: new Sealer(secret) };
    let data = new Uint8Array(frame.data);
    const coding = codingOf(frame, data, kind);
    if (data.length && waiting.length) {
      const messages = await Promise.all(
        waiting.splice(0).map(async ({ payloadType, data: bytes }) => ({
          payloadType,
          data: sealer ? await sealer.messages.seal("message", bytes) : bytes,
        })),
      );
      if (coding === "h264") data = splice(data, messages);
      else postMessage({ leg, timestamp: frame.getMetadata?.().rtpTimestamp ?? frame.timestamp, beside: messages });
    }
    if (data.length && sealer) data = coding ? await sealer.frames.seal(coding, data) : null;
    if (!data) return; // never in the clear
    frame.data = data.buffer;
    controller.enqueue(frame);
  };
  return { transform, flush: () => senders.delete(waiting) };
}

/** Hands a received message on, opened if messages are sealed. Throws Refused. */
async function tell(stream, leg, opener, { payloadType, data: sealed }) {
  const data = opener ? await opener.open("message", sealed) : sealed;
  if (PAYLOAD_TYPES.includes(payloadType)) postMessage({ stream, leg, sei: { payloadType, data } });
}

const besideOpeners = new Map(); // by leg: what came on its data channel

async function besideCame({ received, stream, leg }) {
  const secret = await key;
  if (secret && !besideOpeners.has(leg)) besideOpeners.set(leg, new Opener(secret, floors, new Map(floors)));
  await tell(stream, leg, besideOpeners.get(leg), received).catch((error) => console.debug("no SEI message", error));
}

function opening(kind, stream, leg, requestKeyframe) {
  const counts = { opened: 0, refused: {} };
  const before = new Map(floors);
  let opener = null;
  let toldMs = 0;
  let askedMs = 0;
  const tellCounts = () => {
    const now = performance.now();
    if (now - toldMs < COUNTS_MS) return;
    toldMs = now;
    postMessage({ stream, kind, ...counts });
  };
  const refuse = (error) => {
    if (!(error instanceof Refused)) throw error;
    counts.refused[error.refusal] = (counts.refused[error.refusal] ?? 0) + 1;
    const now = performance.now();
    if (kind === "video" && error.refusal !== "replayed" && now - askedMs > KEYFRAME_MS) {
      askedMs = now;
      requestKeyframe();
    }
  };
  const transform = async (frame, controller) => {
    const secret = await key;
    opener ??= secret && { frames: new Opener(secret, floors, before), messages: new Opener(secret, floors, before) };
    let data = new Uint8Array(frame.data);
    if (!data.length) return controller.enqueue(frame);
    const coding = codingOf(frame, data, kind);
    try {
      if (opener) {
        data = await opener.frames.open(coding, data);
        counts.opened += 1;
        frame.data = data.buffer;
      }
    } catch (error) {
      return refuse(error);
    } finally {
      if (opener) tellCounts();
    }
    if (coding === "h264") {
      for (const message of userMessages(data)) await tell(stream, leg, opener?.messages, message).catch(refuse);
    }
    controller.enqueue(frame);
  };
  return { transform, flush: () => besideOpeners.delete(leg) };
}

function attach({ operation, kind, stream, leg }, { readable, writable }, requestKeyframe) {
  const transformer = operation === "send" ? sealing(kind, leg) : opening(kind, stream, leg, requestKeyframe);
  readable
    .pipeThrough(new TransformStream(transformer))
    .pipeTo(writable)
    .catch(() => {}) // the leg has ended
    .finally(() => transformer.flush?.());
}

addEventListener("rtctransform", ({ transformer }) => {
  attach(transformer.options, transformer, () => transformer.sendKeyFrameRequest?.().catch(() => {}));
});
addEventListener("message", ({ data }) => {
  if ("key" in data) given(data.key);
  else if (data.send) {
    for (const waiting of senders) {
      waiting.push(data.send);
      if (waiting.length > MAX_WAITING) waiting.shift();
    }
  } else if (data.received) void besideCame(data);
  else attach(data, data, () => {});
});
