// Ringing somebody and being rung: the invitations of this login.
//
//   calling: {id, to, room, state: "sent" | "received"}  ends accepted, refused, canceled or failed
//   ringing: {id, sender, name, room, token}             until it is answered here, or over
//
// Events: "change"; "ended" {call, outgoing, state, failure, content} for the outcome; "answered" {call} when we took one.
// The words on the wire: docs/calls.md. Both call each other at once: the call of the smaller user id stands.

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const ROOM = /^[A-Za-z0-9._~-]{1,64}$/;

/** {room, token} of an invitation's text; an invitation of another kind calls nowhere: room "". */
export function read(content) {
  try {
    const { kind, room = "", token = "" } = JSON.parse(content);
    const calls = kind === "call" && typeof room === "string" && ROOM.test(room);
    return calls ? { room, token: typeof token === "string" ? token : "" } : { room: "", token: "" };
  } catch {
    return { room: "", token: "" };
  }
}

/** By code points, as every other client compares ids. */
function smaller(a, b) {
  const [left, right] = [[...a], [...b]].map((points) => points.map((point) => point.codePointAt(0)));
  const at = left.findIndex((point, index) => point !== right[index]);
  return at < 0 ? left.length < right.length : at >= right.length ? false : left[at] < right[at];
}

export class Calls extends EventTarget {
  calling = null;
  /** {sender, sender_name, content, at_ms}, the latest first. */
  missed = [];
  #link;
  #ringing = new Map(); // "sender id" -> call

  constructor(link) {
    super();
    this.#link = link;
    link.addEventListener("logged-in", ({ detail }) => this.#loggedIn(detail));
    link.addEventListener("message", ({ detail }) => this.#receive(detail));
    link.addEventListener("ended", () => this.#reset());
  }

  get ringing() {
    return [...this.#ringing.values()];
  }

  /** Rings `to`: come to `room`. Rejects with HubError when the hub does not take it. */
  async ring(to, room) {
    if (this.calling) await this.cancel();
    const call = (this.calling = { id: newId(), to, room, state: "sent" });
    this.#changed();
    const content = JSON.stringify({ kind: "call", room });
    try {
      await this.#link.request({ type: "send-invitation", invitation: call.id, to, content });
    } catch (error) {
      if (this.calling === call) this.calling = null;
      this.#changed();
      throw error;
    }
  }

  async cancel({ answered = false } = {}) {
    if (!this.calling) return;
    const message = { type: "cancel-invitation", invitation: this.calling.id, answered, content: answered ? "answered" : "" };
    await this.#link.request(message).catch(() => {}); // over anyhow
  }

  /** Rejects with HubError "invitation-ended" for who comes too late. */
  async answer(call, accept, response = accept ? "" : "declined") {
    this.#ringing.delete(keyOf(call.sender, call.id));
    this.#changed();
    await this.#link.request({ type: "answer-invitation", invitation: call.id, sender: call.sender, accept, response });
    if (accept) this.dispatchEvent(new CustomEvent("answered", { detail: { call } }));
  }

  async clearMissed() {
    await this.#link.request({ type: "clear-missed-invitations" });
    this.missed = [];
    this.#changed();
  }

  #loggedIn({ resumed }) {
    if (!resumed) this.#reset(); // another login: what was open is over, or is told next
    void this.#look();
  }

  async #look() {
    const answer = await this.#link.request({ type: "list-missed-invitations" }).catch(() => null);
    if (!answer) return;
    this.missed = [...answer.calls].reverse();
    this.#changed();
  }

  #receive(message) {
    if (message.type === "invitation-received") this.#rung(message);
    else if (message.type === "invitation-changed") this.#moved(message);
  }

  #rung({ invitation, sender, sender_name: name, content = "" }) {
    this.#link.send({ type: "invitation-ack", invitation, sender });
    const key = keyOf(sender, invitation);
    const call = { id: invitation, sender, name: name || sender, ...read(content) };
    if (this.#ringing.has(key) || !call.room) return; // told again after a lost link, or no call
    if (this.calling?.to === sender) return void this.#met(call);
    this.#ringing.set(key, call);
    this.#changed();
  }

  /** Whom we call calls us: one of the two calls stands. */
  async #met(call) {
    if (smaller(this.#link.userId, call.sender)) return this.answer(call, false, "glare").catch(() => {});
    await this.answer(call, true).catch(() => {});
    await this.cancel({ answered: true });
  }

  #moved({ invitation, peer, state, outgoing, content = "", failure = "" }) {
    const key = keyOf(peer, invitation);
    const call = outgoing ? this.calling : this.#ringing.get(key);
    if (outgoing && call?.id === invitation) this.calling = state === "received" ? { ...call, state } : null;
    if (!outgoing) {
      this.#ringing.delete(key);
      if (state === "failed" || state === "canceled") void this.#look();
    }
    this.#changed();
    if (!call || call.id !== invitation || state === "received") return;
    this.dispatchEvent(new CustomEvent("ended", { detail: { call, outgoing, state, content, failure } }));
  }

  #reset() {
    this.calling = null;
    this.#ringing.clear();
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

const keyOf = (sender, id) => `${sender} ${id}`;
