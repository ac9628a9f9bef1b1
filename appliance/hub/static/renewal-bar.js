// The invitation near its end, in words that count down, with a place for another one.

import { $, put } from "./dom.js";
import { tokenIn } from "./settings.js";
import { attempt, toast } from "./toasts.js";
import { _, counted } from "./words.js";

const TICK_MS = 250;

export class RenewalBar {
  #renewal;
  #keep;

  /** `keep(token)`: another invitation is in use. */
  constructor({ renewal, keep, signal }) {
    this.#renewal = renewal;
    this.#keep = keep;
    const timer = setInterval(() => this.#render(), TICK_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    renewal.addEventListener("change", () => this.#render(), { signal });
    renewal.addEventListener("renewed", () => toast(_("renewal.done")), { signal });
    $("renew-form").addEventListener("submit", (event) => void this.#pasted(event), { signal });
    this.#render();
  }

  #render() {
    const { left, expired } = this.#renewal;
    put($("renewal"), "hidden", left === null);
    if (left === null) return;
    put($("renewal-words"), "textContent", _(expired ? "renewal.expired" : "renewal.ends")); // said once
    put($("renewal-left"), "textContent", counted("renewal.seconds", left));
  }

  async #pasted(event) {
    event.preventDefault();
    const token = tokenIn($("renew-text").value);
    if (!token) return toast(_("ended.paste_problem"));
    if (!(await attempt(() => this.#renewal.use(token)))) return;
    this.#keep(token);
    $("renew-text").value = "";
  }
}
