// Messages: to one person, or to everybody in the room, each of whom gets one. Kept as long as the page.
//
// One to a person goes as it is typed; one to the room as JSON {"kind": "chat", "room": R, "text": T}, so that it is told
// apart on arrival. Any other text is one for us alone. Events: "change"; "arrived" {message}.

import { endOf } from "./conversation.js";

export const MAX_BYTES = 32 * 1024; // in UTF-8, of what goes over the wire
const MAX_KEPT = 500;

export const sizeOf = (text) => new TextEncoder().encode(text).length;

/** What goes over the wire for `text` to the room, or with room "" to one person. */
export const wrap = (text, room) => (room ? JSON.stringify({ kind: "chat", room, text }) : text);

/** {text, room}: room "" for one to us alone. */
export function unwrap(wire) {
  try {
    const { kind, room, text } = JSON.parse(wire);
    if (kind === "chat" && typeof room === "string" && typeof text === "string") return { text, room };
  } catch {
    // plain text
  }
  return { text: wire, room: "" };
}

export class Chat extends EventTarget {
  /** {sender, to: "" the room, text, atMs, own, missing: user ids that did not get it, pending} */
  messages = [];
  #link;
  #members;

  /** `members()`: the ids of who is in the room. */
  constructor(link, members) {
    super();
    this.#link = link;
    this.#members = members;
    link.addEventListener("message", ({ detail }) => detail.type === "peer-message" && this.#receive(detail));
  }

  /** Sends `text` to `to`, or with "" to everybody in `room`; who did not get it stands in the message then. */
  async send(to, text, room) {
    const message = { sender: this.#link.userId, to, text, atMs: Date.now(), own: true, missing: [], pending: true };
    this.#keep(message);
    const wire = wrap(text, to ? "" : room);
    const receivers = to ? [to] : this.#members();
    const delivered = await Promise.all(receivers.map((receiver) => this.#deliver(receiver, wire)));
    message.missing = receivers.filter((_, index) => !delivered[index]);
    message.pending = false;
    this.#changed();
  }

  async #deliver(to, text) {
    try {
      return (await this.#link.request({ type: "send-peer-message", to, text })).delivered;
    } catch {
      return false;
    }
  }

  #receive({ message: id, sender, text, server_ts_ms: atMs }) {
    this.#link.send({ type: "peer-message-ack", message: id });
    if (endOf(text)) return; // no words
    const { text: said, room } = unwrap(text);
    const message = { sender, to: room ? "" : this.#link.userId, text: said, atMs, own: false, missing: [], pending: false };
    this.#keep(message);
    this.dispatchEvent(new CustomEvent("arrived", { detail: { message } }));
  }

  #keep(message) {
    this.messages = [...this.messages, message].slice(-MAX_KEPT);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
