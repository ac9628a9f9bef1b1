// Frame encryption as appliance/media/e2ee.py does it (LiveKit's format), for the worker and the page:
//
//   clear bytes | AES-128-GCM ciphertext and tag (16) | IV (12) | 0x0C | key index
//
// Codings: "opus", "vp8", "h264" and "message", which has no clear bytes.

const ROUNDS = 100_000;
const SALT = "LKFrameEncryptionKey";
const KEY_INDEX = 0;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX_BYTES = 8; // random, new for each stream of each call, so that no IV comes twice with a key
const WINDOW = 1024; // frames: audio that overtakes, pictures that were sent again
const MAX_PREFIXES = 8;
const MAX_FLOORS = 4096;

const utf8 = new TextEncoder();

export const isSupported = () => Boolean(globalThis.crypto?.subtle);

/** {key, fingerprint(room)}: a CryptoKey for frames, and what the hub compares. */
export async function deriveKey(secret) {
  const material = await crypto.subtle.importKey("raw", utf8.encode(secret), "PBKDF2", false, ["deriveBits"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt: utf8.encode(SALT), iterations: ROUNDS };
  const bits = await crypto.subtle.deriveBits(how, material, 128);
  const key = await crypto.subtle.importKey("raw", bits, "AES-GCM", false, ["encrypt", "decrypt"]);
  const mac = await crypto.subtle.importKey("raw", bits, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const fingerprint = async (room) => {
    const said = new Uint8Array(await crypto.subtle.sign("HMAC", mac, utf8.encode(`room-appliance aes-128-gcm ${room}`)));
    return Array.from(said.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  return { key, fingerprint };
}

/** A frame that must not be decoded; `refusal` as in e2ee.py. */
export class Refused extends Error {
  constructor(refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}

// --- H.264

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const START_CODE = Uint8Array.of(0, 0, 0, 1);

/** Where each NAL unit begins, after its start code. */
export function nalStarts(data) {
  const starts = [];
  for (let at = data.indexOf(1, 2); at !== -1; at = data.indexOf(1, at + 1)) {
    if (!data[at - 1] && !data[at - 2] && at + 1 < data.length) starts.push(at + 1);
  }
  return starts;
}

const isSlice = (byte) => (byte & 0x1f) >= 1 && (byte & 0x1f) <= 5;

/** [NAL units before the first slice, where that begins]; null without one. */
export function beforeSlice(data) {
  const starts = nalStarts(data);
  const first = starts.findIndex((start) => isSlice(data[start]));
  if (first === -1 || starts[first] + 2 > data.length) return null;
  const units = starts.slice(0, first).map((start, index) => {
    let end = starts[index + 1] - 3;
    while (end > start && !data[end - 1]) end -= 1;
    return data.subarray(start, end);
  });
  return [units, starts[first]];
}

/** With a 3 after each two zeros that could be taken for a start code. */
export function escape(data) {
  const parts = [];
  let from = 0;
  let zeros = 0;
  for (let at = 0; at < data.length; at += 1) {
    if (zeros >= 2 && data[at] <= 3) {
      parts.push(data.subarray(from, at), Uint8Array.of(3));
      from = at;
      zeros = 0;
    }
    zeros = data[at] ? 0 : zeros + 1;
  }
  return parts.length ? concat(...parts, data.subarray(from)) : data;
}

/** Without these. */
export function unescape(data) {
  const parts = [];
  let from = 0;
  for (let at = data.indexOf(3, 2); at !== -1; at = data.indexOf(3, at + 1)) {
    if (data[at - 1] || data[at - 2] || at - 2 < from) continue;
    parts.push(data.subarray(from, at));
    from = at + 1;
  }
  return parts.length ? concat(...parts, data.subarray(from)) : data;
}

/** The bits of the first encrypted byte that belong to pic_parameter_set_id: receivers in browsers read them. */
function toldBits(first, second) {
  const bits = (first << 8) | second;
  let at = 0;
  for (let number = 0; number < 3; number += 1) {
    let zeros = 0;
    while (at + zeros < 16 && !((bits >> (15 - at - zeros)) & 1)) zeros += 1;
    at += 2 * zeros + 1;
  }
  return at > 16 ? 0 : 0xff & ~(0xff >> Math.max(0, at - 8));
}

// --- frames

/** [clear bytes, the rest]; null for what is no frame of this coding. */
function split(coding, data) {
  if (coding === "h264") {
    const before = beforeSlice(data);
    if (!before) return null;
    const [units, at] = before;
    const head = concat(...units.flatMap((unit) => [START_CODE, unit]), START_CODE, data.subarray(at, at + 2));
    return [head, data.subarray(at + 2)];
  }
  const clear = { opus: 1, message: 0, vp8: data[0] & 1 ? 3 : 10 }[coding];
  return data.length < clear ? null : [data.subarray(0, clear), data.subarray(clear)];
}

/** One stream of ours. */
export class Sealer {
  #key;
  #prefix = crypto.getRandomValues(new Uint8Array(PREFIX_BYTES));
  #counter = 0;

  constructor(key) {
    this.#key = key;
  }

  /** The encrypted frame; null for what is no frame. */
  async seal(coding, data) {
    const parts = split(coding, data);
    if (!parts) return null;
    const [head, rest] = parts;
    const mask = coding === "h264" && rest.length ? toldBits(head.at(-1), rest[0]) : 0;
    let iv;
    let sealed;
    do {
      iv = this.#nextIv();
      sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: head }, this.#key, rest));
    } while (mask && (sealed[0] ^ rest[0]) & mask);
    const body = concat(sealed, iv, Uint8Array.of(IV_BYTES, KEY_INDEX));
    return concat(head, coding === "h264" ? escape(body) : body);
  }

  #nextIv() {
    this.#counter += 1;
    if (this.#counter > 0xffffffff) {
      crypto.getRandomValues(this.#prefix);
      this.#counter = 1;
    }
    const iv = new Uint8Array(IV_BYTES);
    iv.set(this.#prefix);
    new DataView(iv.buffer).setUint32(PREFIX_BYTES, this.#counter);
    return iv;
  }
}

/** Counters that were taken, by IV prefix; `floors`: what others had taken before. */
class ReplayWindow {
  #floors;
  #taken = new Map(); // prefix -> {highest, seen}

  constructor(floors) {
    this.#floors = new Map(floors);
  }

  isNew(prefix, counter) {
    if (counter <= (this.#floors.get(prefix) ?? 0)) return false;
    const taken = this.#taken.get(prefix);
    return !taken || counter > taken.highest || (counter > taken.highest - WINDOW && !taken.seen.has(counter));
  }

  take(prefix, counter) {
    const { highest = 0, seen = new Set() } = this.#taken.get(prefix) ?? {};
    this.#taken.delete(prefix);
    this.#taken.set(prefix, { highest: Math.max(highest, counter), seen: seen.add(counter) });
    if (seen.size > 2 * WINDOW) for (const old of seen) if (old <= highest - WINDOW) seen.delete(old);
    if (this.#taken.size > MAX_PREFIXES) {
      const [oldest] = this.#taken.keys();
      this.#taken.delete(oldest);
      this.#floors.set(oldest, Infinity);
    }
  }
}

/** One received stream. `floors` (prefix -> counter) is shared by all, `before` what it was when the stream began: a
 *  later one takes nothing that any had taken by then. */
export class Opener {
  #key;
  #floors;
  #window;

  constructor(key, floors, before) {
    this.#key = key;
    this.#floors = floors;
    this.#window = new ReplayWindow(before);
  }

  /** The frame as it was. Throws Refused. */
  async open(coding, data) {
    const parts = split(coding, data);
    if (!parts) throw new Refused("malformed");
    const head = parts[0];
    const body = coding === "h264" ? unescape(parts[1]) : parts[1];
    const end = body.length - 2 - IV_BYTES;
    if (end < TAG_BYTES || body.at(-2) !== IV_BYTES || body.at(-1) !== KEY_INDEX) throw new Refused("malformed");
    const iv = body.slice(end, end + IV_BYTES);
    const prefix = iv.subarray(0, PREFIX_BYTES).join();
    const counter = new DataView(iv.buffer).getUint32(PREFIX_BYTES);
    if (!this.#window.isNew(prefix, counter)) throw new Refused("replayed");
    let plain;
    try {
      const how = { name: "AES-GCM", iv, additionalData: head };
      plain = await crypto.subtle.decrypt(how, this.#key, body.subarray(0, end));
    } catch {
      throw new Refused("forged");
    }
    this.#window.take(prefix, counter);
    this.#floors.set(prefix, Math.max(counter, this.#floors.get(prefix) ?? 0));
    if (this.#floors.size > MAX_FLOORS) this.#floors.delete(this.#floors.keys().next().value);
    return concat(head, new Uint8Array(plain));
  }
}
