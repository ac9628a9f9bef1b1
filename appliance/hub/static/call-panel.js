// Whom to ring: people one has met, those who called in vain, or an id that is typed in.

import { $, attribute, button, draw, make, put } from "./dom.js";
import { attempt } from "./toasts.js";
import { _, clock, counted } from "./words.js";

const MAX_ID = 64;

export class CallPanel {
  #people;
  #calls;
  #room;

  /** `room()`: where a call takes place. */
  constructor({ people, calls, room, signal }) {
    this.#people = people;
    this.#calls = calls;
    this.#room = room;
    people.addEventListener("change", () => this.#render(), { signal });
    calls.addEventListener("change", () => this.#render(), { signal });
    $("dial").addEventListener("submit", (event) => this.#dialed(event), { signal });
    $("missed-clear").addEventListener("click", () => void attempt(() => this.#calls.clearMissed()), { signal });
    this.#render();
  }

  #render() {
    const busy = Boolean(this.#calls.calling);
    draw($("contacts"), this.#people.list.map((person) => ({ ...person, busy })), (person) => this.#contact(person));
    put($("contacts-none"), "hidden", this.#people.list.length > 0);
    const missed = this.#calls.missed.map((call) => ({ ...call, busy }));
    draw($("missed"), missed, (call) => this.#missed(call));
    put($("missed-part"), "hidden", !missed.length);
    put($("missed-badge"), "hidden", !missed.length);
    put($("missed-badge"), "textContent", String(missed.length));
    const label = missed.length ? `${_("call.title")}, ${counted("call.missed", missed.length)}` : _("call.title");
    attribute($("open-call"), "aria-label", label);
    put($("dial-call"), "disabled", busy);
  }

  #contact({ userId, name, state, busy }) {
    return make(
      "li",
      { className: "row", dataset: { who: userId, state } },
      make("span", { className: "dot", dataset: { tone: { ONLINE: "good", UNREACHABLE: "busy" }[state] ?? "" } }),
      make("span", { className: "who" }, name, make("small", {}, _(`presence.${state || "unknown"}`))),
      this.#callButton(userId, name, busy || state === "OFFLINE"),
      button("×", () => this.#people.forget(userId), "button quiet small", {
        ariaLabel: _("call.forget", { name }),
        dataset: { key: `forget ${userId}` },
      }),
    );
  }

  #missed({ sender, sender_name: name, at_ms: atMs, busy }) {
    return make(
      "li",
      { className: "row" },
      make("span", { className: "who" }, name || sender, make("small", {}, clock(atMs))),
      this.#callButton(sender, name || sender, busy, _("call.back")),
    );
  }

  #callButton(userId, name, disabled, words = _("call.call")) {
    return button(words, () => void this.#ring(userId, name), "button small", {
      disabled,
      ariaLabel: `${words}: ${name}`,
      dataset: { key: `call ${userId}` },
    });
  }

  #dialed(event) {
    event.preventDefault();
    const id = $("dial-id").value.trim();
    if (!id || id.length > MAX_ID) return;
    $("dial-id").value = "";
    void this.#ring(id, "");
  }

  async #ring(userId, name) {
    this.#people.meet(userId, name);
    await attempt(() => this.#calls.ring(userId, this.#room()));
  }
}
