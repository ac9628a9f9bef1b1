// The token of this login near its end: another one is fetched, or the person is told how long is left.
//
// Events: "change" (see `left` and `expired`), "renewed".

const RETRY_MS = 5000;

export class Renewal extends EventTarget {
  /** It is over: what is left is the hub's grace. */
  expired = false;
  #link;
  #fetch;
  #endsAt = 0; // performance.now(); 0: nothing is near
  #timer = 0;

  /** `fetchToken()` answers another token for the same user, or "" where there is none. */
  constructor(link, fetchToken) {
    super();
    this.#link = link;
    this.#fetch = fetchToken;
    link.addEventListener("message", ({ detail }) => this.#receive(detail));
    link.addEventListener("logged-in", ({ detail }) => detail.resumed || this.#settle());
    link.addEventListener("ended", () => this.#settle());
  }

  /** Seconds until the token ends, or once it is `expired` until the hub puts us off; null: no hurry. */
  get left() {
    return this.#endsAt ? Math.max(0, Math.ceil((this.#endsAt - performance.now()) / 1000)) : null;
  }

  /** Rejects with HubError for a token of another user or room, or one that is over. */
  async use(token) {
    await this.#link.renew(token);
    this.#settle();
    this.dispatchEvent(new Event("renewed"));
  }

  #receive({ type, token_left_s: left, grace_s: grace }) {
    if (type !== "token-will-expire" && type !== "token-expired") return;
    this.expired = type === "token-expired";
    this.#endsAt = performance.now() + (this.expired ? grace : left) * 1000;
    void this.#renew();
  }

  async #renew() {
    clearTimeout(this.#timer);
    const ending = this.#endsAt;
    try {
      const token = await this.#fetch();
      if (token) await this.use(token);
    } catch {
      if (this.#endsAt === ending) this.#timer = setTimeout(() => void this.#renew(), RETRY_MS);
    }
    this.dispatchEvent(new Event("change"));
  }

  #settle() {
    clearTimeout(this.#timer);
    this.expired = false;
    this.#endsAt = 0;
    this.dispatchEvent(new Event("change"));
  }
}
