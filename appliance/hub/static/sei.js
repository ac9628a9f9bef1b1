// User data in H.264, as appliance/media/sei.py: [{payloadType, data}] in NAL units of type 6 before the slices.

import { beforeSlice, concat, escape, nalStarts, unescape } from "./frame-crypto.js";

export const PAYLOAD_TYPES = [5, 243]; // unregistered user data, which begins with a UUID; what vendors of rooms use
const SEI = 6;
const X264 = "220,69,233,189,230,217,72,183,150,44,216,32,217,35,238,239"; // its settings, no message

const HEAD_BYTES = 5; // beside other codecs, on a data channel: RTP timestamp (32 bit), payload type (8 bit), data
const MAX_CHANNEL_BYTES = 2048;
const SAME_MS = 5000; // two legs of one stream bring one message within this time

/** What goes on the data channel for the picture with this RTP timestamp. */
export function timed(timestamp, { payloadType, data }) {
  const message = new Uint8Array(HEAD_BYTES + data.length);
  new DataView(message.buffer).setUint32(0, timestamp);
  message[4] = payloadType;
  message.set(data, HEAD_BYTES);
  return message;
}

/** {payloadType, data}, or null for what is no message. */
export function untimed(message) {
  if (!(message instanceof ArrayBuffer) || message.byteLength <= HEAD_BYTES || message.byteLength > MAX_CHANNEL_BYTES) return null;
  const bytes = new Uint8Array(message);
  return { payloadType: bytes[4], data: bytes.subarray(HEAD_BYTES) };
}

/** A message that two legs bring, while one takes the place of the other, counts once. */
export class Once {
  #seen = []; // {at, text, legs}

  isNew(stream, leg, { payloadType, data }, now = performance.now()) {
    this.#seen = this.#seen.filter(({ at }) => now - at < SAME_MS);
    const text = `${stream} ${payloadType} ${data.join()}`;
    const twin = this.#seen.find((seen) => seen.text === text && !seen.legs.has(leg));
    if (twin) twin.legs.add(leg);
    else this.#seen.push({ at: now, text, legs: new Set([leg]) });
    return !twin;
  }
}

const number = (value) => [...new Array(Math.floor(value / 255)).fill(255), value % 255];

/** The access unit with these messages before its first slice. */
export function splice(data, messages) {
  const before = beforeSlice(data);
  if (!before) return data;
  const rbsp = concat(
    ...messages.flatMap(({ payloadType, data: bytes }) => [
      Uint8Array.from([...number(payloadType), ...number(bytes.length)]),
      bytes,
    ]),
    Uint8Array.of(0x80),
  );
  const at = before[1] - (data[before[1] - 4] === 0 ? 4 : 3);
  return concat(data.subarray(0, at), Uint8Array.of(0, 0, 0, 1, SEI), escape(rbsp), data.subarray(at));
}

/** The messages that an application sent; broken ones are passed over. */
export function userMessages(data) {
  const starts = nalStarts(data);
  return starts.flatMap((start, index) => {
    if ((data[start] & 0x1f) !== SEI) return [];
    const end = index + 1 < starts.length ? starts[index + 1] - 3 : data.length;
    return parse(unescape(data.subarray(start + 1, end))).filter(isUserData);
  });
}

const isUserData = ({ payloadType, data }) => PAYLOAD_TYPES.includes(payloadType) && data.subarray(0, 16).join() !== X264;

function parse(rbsp) {
  let end = rbsp.length;
  while (end && !rbsp[end - 1]) end -= 1;
  end -= 1; // the stop bit
  const messages = [];
  let at = 0;
  const next = () => {
    let value = 0;
    while (rbsp[at] === 255) value += rbsp[at++];
    return value + rbsp[at++];
  };
  while (at < end) {
    const payloadType = next();
    const size = next();
    if (!(at + size <= end)) return [];
    messages.push({ payloadType, data: rbsp.slice(at, at + size) });
    at += size;
  }
  return messages;
}
