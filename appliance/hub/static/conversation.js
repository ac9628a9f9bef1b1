// The call that was answered: two people in one room until one of them hangs up, leaves, or never comes.
//
// Events: "change"; "over" {peer, name, reason: "hang-up" | "answered" | "gone" | "never-came", home, told}: `home` is the
// room to go back to, or "" when the call was in our own; `told`: it was not us.

const COME_MS = 20_000;

export class Conversation extends EventTarget {
  /** {id, peer, name, home} or null. */
  current = null;
  #link;
  #isHere;
  #came = false;
  #timer = 0;

  /** `isHere(userId)`: whether it is in our room. */
  constructor(link, isHere) {
    super();
    this.#link = link;
    this.#isHere = isHere;
    link.addEventListener("message", ({ detail }) => detail.type === "peer-message" && this.#told(detail));
    link.addEventListener("ended", () => this.#drop());
  }

  begin({ id, peer, name, home = "" }) {
    if (this.current) this.hangUp();
    this.current = { id, peer, name, home };
    this.#came = false;
    this.#timer = setTimeout(() => !this.#came && this.#giveUp(), COME_MS);
    this.look();
    this.#changed();
  }

  /** The roster changed. */
  look() {
    if (!this.current) return;
    const here = this.#isHere(this.current.peer);
    if (here) this.#came = true;
    else if (this.#came && this.#link.state === "connected") this.#over("gone");
  }

  hangUp() {
    this.#say("hang-up");
    this.#over("hang-up", false);
  }

  #giveUp() {
    this.#say("hang-up");
    this.#over("never-came");
  }

  #say(reason) {
    if (!this.current) return;
    const text = JSON.stringify({ kind: "call-ended", invitation: this.current.id, reason });
    this.#link.request({ type: "send-peer-message", to: this.current.peer, text }).catch(() => {}); // it sees us go
  }

  #told({ sender, text }) {
    const { id, peer } = this.current ?? {};
    const reason = sender === peer ? endOf(text, id) : "";
    if (reason) this.#over(reason);
  }

  #over(reason, told = true) {
    const detail = { ...this.current, reason, told };
    this.#drop();
    this.dispatchEvent(new CustomEvent("over", { detail }));
  }

  #drop() {
    clearTimeout(this.#timer);
    this.current = null;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** The reason, when `text` ends the call `id`; else "". */
export function endOf(text, id) {
  try {
    const { kind, invitation, reason } = JSON.parse(text);
    return kind === "call-ended" && (id === undefined || invitation === id) ? reason || "hang-up" : "";
  } catch {
    return "";
  }
}
