// One's standing in the room: the role, whether one moderates, and what a host has muted of us.
//
// Events: "change"; "forced" {kind, muted, by, message}; "role" {role}.

const nothing = Object.freeze({ audio: null, video: null, screen: null });

export class Standing extends EventTarget {
  role = "host";
  profile = "rtc";
  /** {by, message} of who muted this kind, or null. */
  forced = { ...nothing };
  #link;
  #moderator = false;

  constructor(link) {
    super();
    this.#link = link;
    link.addEventListener("joined", ({ detail }) => this.#joined(detail));
    link.addEventListener("message", ({ detail }) => detail.type === "mute-forced" && this.#forced(detail));
  }

  get listens() {
    return this.role === "audience";
  }

  /** Whether the hub obeys: kick, ban, mute, end the room. */
  get mayModerate() {
    return this.#moderator && !this.listens;
  }

  /** Rejects with HubError, "role" when the invitation is for listeners only. */
  async setRole(role) {
    await this.#link.request({ type: "set-role", role });
    this.#link.role = role;
    this.#take(role);
  }

  #joined({ joined, resumed }) {
    this.profile = joined.profile;
    this.#moderator = joined.may_moderate || (resumed && this.#moderator);
    if (!resumed) this.forced = { ...nothing };
    this.#take(joined.role);
    this.dispatchEvent(new Event("change"));
  }

  #take(role) {
    if (this.role === role) return;
    this.role = role;
    this.dispatchEvent(new CustomEvent("role", { detail: { role } }));
    this.dispatchEvent(new Event("change"));
  }

  #forced({ kind, muted, by, message }) {
    this.forced = { ...this.forced, [kind]: muted ? { by, message } : null };
    this.dispatchEvent(new CustomEvent("forced", { detail: { kind, muted, by, message } }));
    this.dispatchEvent(new Event("change"));
  }
}
