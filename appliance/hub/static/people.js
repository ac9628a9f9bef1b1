// Whom one can call or write to: who was met here, and whether they are online. Events: "change".
//
// The hub tells of users by id only, so the list is what this browser has seen: members of rooms, callers, and ids that
// were typed in. Guests have another id tomorrow: they are forgotten with the page.

import { nameOf } from "./roster.js";
import * as settings from "./settings.js";

const GATHER_MS = 300; // ids that come together are asked for together: the hub takes 10 calls in 5 s
const MAX_WATCHED = 128; // the hub would take 512
const GUEST = /^guest-/;

export class People extends EventTarget {
  #link;
  #names;
  #states = {}; // user id -> ONLINE | UNREACHABLE | OFFLINE
  #asked = new Set();
  #timer = 0;

  constructor(link) {
    super();
    this.#link = link;
    this.#names = new Map(Object.entries(settings.load().people));
    link.addEventListener("logged-in", ({ detail }) => detail.resumed || this.#asked.clear());
    link.addEventListener("joined", ({ detail }) => this.#joined(detail));
    link.addEventListener("message", ({ detail }) => this.#receive(detail));
  }

  /** [{userId, name, state: "" until it is known}]: who is online first. */
  get list() {
    const rank = ({ state }) => ["ONLINE", "UNREACHABLE", "", "OFFLINE"].indexOf(state);
    return [...this.#names]
      .filter(([userId]) => userId !== this.#link.userId)
      .map(([userId, name]) => ({ userId, name: name || userId, state: this.stateOf(userId) }))
      .filter(({ userId, state }) => !GUEST.test(userId) || state !== "OFFLINE")
      .sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  }

  nameOf(userId) {
    return this.#names.get(userId) || userId;
  }

  stateOf(userId) {
    return this.#states[userId] ?? "";
  }

  meet(userId, name = "") {
    const known = this.#names.get(userId);
    if (!userId || userId === this.#link.userId || (known !== undefined && (!name || known === name))) return;
    this.#names.set(userId, name || known || "");
    const kept = [...this.#names].filter(([id]) => !GUEST.test(id)).slice(-settings.MAX_PEOPLE);
    settings.save({ people: Object.fromEntries(kept) });
    this.#watch();
    this.#changed();
  }

  forget(userId) {
    this.#names.delete(userId);
    settings.save({ people: Object.fromEntries([...this.#names].filter(([id]) => !GUEST.test(id))) });
    if (this.#asked.delete(userId)) {
      this.#link.request({ type: "unsubscribe-presence", user_ids: [userId] }).catch(() => {});
    }
    this.#changed();
  }

  #joined({ joined }) {
    for (const member of joined.members ?? []) this.meet(member.user_id, nameOf(member));
    this.#watch();
  }

  #receive(message) {
    if (message.type === "presence-changed") {
      this.#states = { ...this.#states, ...message.statuses };
      this.#changed();
    } else if (message.type === "member-changed") this.meet(message.member.user_id, nameOf(message.member));
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), GATHER_MS);
  }

  async #ask() {
    const ids = [...this.#names.keys()].filter((id) => !this.#asked.has(id) && id !== this.#link.userId);
    const some = ids.slice(-Math.max(0, MAX_WATCHED - this.#asked.size));
    if (!some.length || this.#link.state !== "connected") return;
    some.forEach((id) => this.#asked.add(id));
    await this.#link.request({ type: "subscribe-presence", user_ids: some }).catch(() => {
      some.forEach((id) => this.#asked.delete(id));
    });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
