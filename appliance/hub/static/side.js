// The side panel: one of its sections at a time, opened and closed by the buttons of the header.

import { $ } from "./dom.js";

const NAMES = ["call", "chat", "people"];

export class Side {
  /** The name of what is open, or "". */
  open = "";
  #opened;
  #abort = new AbortController();

  /** `opened(name)`: a section was opened. */
  constructor(opened) {
    this.#opened = opened;
    const { signal } = this.#abort;
    for (const name of NAMES) $(`open-${name}`).addEventListener("click", () => this.toggle(name), { signal });
    for (const close of $("side").querySelectorAll("[data-close]")) {
      close.addEventListener("click", () => this.show(""), { signal });
    }
    $("side").addEventListener("keydown", (event) => event.key === "Escape" && this.show(""), { signal });
    this.#render();
  }

  toggle(name) {
    this.show(this.open === name ? "" : name);
  }

  /** Opens `name`, or with "" closes: the focus goes to the first thing to do, and back. */
  show(name) {
    const before = this.open;
    if (name === before) return;
    const inside = $("side").contains(document.activeElement);
    this.open = name;
    this.#render();
    if (name) {
      this.#opened(name);
      $(`side-${name}`).querySelector("h2").focus();
    } else if (inside || before) $(`open-${before}`).focus();
  }

  close() {
    this.open = "";
    this.#render();
    this.#abort.abort();
  }

  #render() {
    $("side").hidden = !this.open;
    for (const name of NAMES) {
      $(`side-${name}`).hidden = name !== this.open;
      $(`open-${name}`).setAttribute("aria-expanded", String(name === this.open));
    }
  }
}
