// The cards over the stage: who rings, whom we ring, who we are in a call with; and their tones.

import { $, button, draw, icon, make } from "./dom.js";
import { Ring } from "./ring.js";
import { attempt, toast } from "./toasts.js";
import { _, has } from "./words.js";

const OUTCOMES = { refused: "refused", canceled: "", accepted: "", failed: "failed" };

/** Why nobody came, in words. */
export function outcome({ state, failure, content }) {
  const keys = [`call.${state}_${failure || content}`, `call.${state}`];
  return OUTCOMES[state] ? _(keys.find(has)) : "";
}

export class CallCards {
  #calls;
  #conversation;
  #nameOf;
  #ring = new Ring();
  #title = document.title;

  /** `nameOf(userId)`; `move(room, token)` goes where a call is. */
  constructor({ calls, conversation, nameOf, signal }) {
    this.#calls = calls;
    this.#conversation = conversation;
    this.#nameOf = nameOf;
    calls.addEventListener("change", () => this.#render(), { signal });
    conversation.addEventListener("change", () => this.#render(), { signal });
    calls.addEventListener("ended", ({ detail }) => this.#ended(detail), { signal });
    signal.addEventListener("abort", () => this.#close());
    this.#render();
  }

  get tone() {
    return this.#ring.tone;
  }

  #render() {
    const { calling, ringing } = this.#calls;
    const { current } = this.#conversation;
    const cards = [
      ...ringing.map(({ id, name }) => ({ what: "ringing", id, name })),
      ...(calling ? [{ what: "calling", ...calling, name: this.#nameOf(calling.to) }] : []),
      ...(current ? [{ what: "talking", ...current, name: this.#nameOf(current.peer) }] : []),
    ];
    draw($("call-cards"), cards, (card) => this.#card(card));
    $("call-cards").hidden = !cards.length;
    this.#ring.play(ringing.length ? "ringing" : calling?.state === "received" ? "calling" : "");
    this.#announce(ringing[0]);
  }

  #card(card) {
    const { what, id, name } = card;
    const words = { ringing: "call.rings", talking: "call.talking" }[what] ?? `call.calling_${card.state}`;
    return make(
      "section",
      { className: `call-card ${what}`, dataset: { call: what }, attributes: { "aria-label": _(`call.card_${what}`) } },
      make("p", { attributes: what === "ringing" ? { role: "alert" } : { role: "status" } }, _(words, { name })),
      make("div", { className: "actions" }, ...this.#actions(what, id)),
    );
  }

  #actions(what, id) {
    const red = (words, act, key) => button(words, act, "button danger", { dataset: { key } });
    if (what === "calling") return [red(_("call.cancel"), () => void this.#calls.cancel(), "cancel")];
    if (what === "talking") return [red(_("call.hang_up"), () => this.#conversation.hangUp(), "hang-up")];
    const accept = button("", () => void this.#answer(id, true), "button primary", { dataset: { key: `accept ${id}` } });
    accept.append(icon("call"), _("call.accept"));
    return [accept, red(_("call.refuse"), () => void this.#answer(id, false), `refuse ${id}`)];
  }

  async #answer(id, accept) {
    const call = this.#calls.ringing.find((one) => one.id === id);
    if (!call) return;
    await attempt(() => this.#calls.answer(call, accept));
  }

  #ended({ call, outgoing, state, failure, content }) {
    const name = this.#nameOf(outgoing ? call.to : call.sender);
    if (outgoing) {
      const why = outcome({ state, failure, content });
      if (why) toast(_("call.no_answer_of", { name, why }));
    } else if (state === "canceled" && content === "answered") toast(_("call.taken", { name }));
    else if (state === "canceled" || state === "failed") toast(_("call.missed_of", { name }));
  }

  /** In the title, for who looks at another tab. */
  #announce(call) {
    if (!document.title.startsWith("☎ ")) this.#title = document.title;
    document.title = call ? `☎ ${_("call.rings", { name: call.name })}` : this.#title;
  }

  #close() {
    this.#ring.stop();
    this.#announce(null);
    $("call-cards").replaceChildren();
    $("call-cards").drawn = "";
    $("call-cards").hidden = true;
  }
}
