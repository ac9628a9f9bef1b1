// Messages on the screen: to the room or to one person.

import { $, attribute, draw, make, put } from "./dom.js";
import { MAX_BYTES, sizeOf, wrap } from "./chat.js";
import { toast } from "./toasts.js";
import { _, clock, counted } from "./words.js";

export class ChatPanel {
  #chat;
  #call;
  #people;
  #isOpen;
  #unread = 0;

  /** `isOpen()`: whether the messages are in sight. */
  constructor({ chat, call, people, isOpen, signal }) {
    this.#chat = chat;
    this.#call = call;
    this.#people = people;
    this.#isOpen = isOpen;
    chat.addEventListener("change", () => this.#render(), { signal });
    chat.addEventListener("arrived", ({ detail }) => this.#arrived(detail.message), { signal });
    call.addEventListener("change", () => this.#renderReceivers(), { signal });
    $("chat-form").addEventListener("submit", (event) => this.#submit(event), { signal });
    $("chat-text").addEventListener("input", () => this.#check(), { signal });
    $("chat-to").addEventListener("change", () => this.#check(), { signal });
    $("chat-text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      $("chat-form").requestSubmit();
    }, { signal });
    this.#render();
    this.#renderReceivers();
  }

  /** They are in sight now. */
  seen() {
    this.#unread = 0;
    this.#renderUnread();
    $("chat-log").scrollTop = $("chat-log").scrollHeight;
  }

  /** Ready to write to this one. */
  writeTo(userId) {
    $("chat-to").value = userId;
    $("chat-text").focus();
  }

  #arrived(message) {
    if (this.#isOpen()) return this.seen();
    this.#unread += 1;
    this.#renderUnread();
    toast(`${this.#people.nameOf(message.sender)}: ${message.text.slice(0, 120)}`);
  }

  #render() {
    const { messages } = this.#chat;
    const lines = messages.map((message) => ({ ...message, name: this.#people.nameOf(message.sender) }));
    draw($("chat-log"), lines, (line) => this.#line(line));
    put($("chat-none"), "hidden", messages.length > 0);
    $("chat-log").scrollTop = $("chat-log").scrollHeight;
  }

  #line({ own, name, sender, to, text, atMs, missing, pending }) {
    const alone = to ? (own ? _("chat.to_one", { name: this.#people.nameOf(to) }) : _("chat.to_you")) : "";
    const head = [own ? _("chat.you") : name, alone, clock(atMs)].filter(Boolean).join(" · ");
    const lost = missing.map((userId) => this.#people.nameOf(userId)).join(", ");
    return make(
      "li",
      { className: own ? "message mine" : "message", dataset: { sender, pending } },
      make("small", {}, head),
      make("p", {}, text),
      lost ? make("small", { className: "lost" }, _("chat.not_delivered", { names: lost })) : null,
    );
  }

  #renderReceivers() {
    const members = Object.keys(this.#call.members);
    const options = [
      { value: "", words: _("chat.everybody") },
      ...members.map((userId) => ({ value: userId, words: this.#people.nameOf(userId) })),
    ];
    const chosen = $("chat-to").value;
    draw($("chat-to"), options, ({ value, words }) => make("option", { value }, words));
    if (members.includes(chosen)) $("chat-to").value = chosen;
    put($("chat-send"), "disabled", this.#call.state !== "connected" || !members.length);
  }

  #renderUnread() {
    put($("chat-badge"), "hidden", !this.#unread);
    put($("chat-badge"), "textContent", String(this.#unread));
    const label = this.#unread ? `${_("chat.title")}, ${counted("chat.unread", this.#unread)}` : _("chat.title");
    attribute($("open-chat"), "aria-label", label);
  }

  /** Says when a text is too long to go. */
  #check() {
    const [text, to] = [$("chat-text").value, $("chat-to").value];
    const over = sizeOf(wrap(text.trim(), to ? "" : this.#call.room)) - MAX_BYTES;
    const problem = over > 0 ? _("chat.too_long", { over }) : "";
    put($("chat-problem"), "textContent", problem);
    put($("chat-problem"), "hidden", !problem);
    return !problem;
  }

  #submit(event) {
    event.preventDefault();
    const text = $("chat-text").value.trim();
    if (!text || !this.#check() || $("chat-send").disabled) return;
    $("chat-text").value = "";
    void this.#chat.send($("chat-to").value, text, this.#call.room);
  }
}
