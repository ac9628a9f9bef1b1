// What one does with a member: how loud it is here, a message, and what a moderator does to it or to the room; each act
// that cannot be taken back is asked about first.

import { $, attribute, button, draw, put } from "./dom.js";
import { confirm } from "./confirm.js";
import * as roster from "./roster.js";
import { attempt, toast } from "./toasts.js";
import { _ } from "./words.js";

const BANS_S = { 900: "ban.quarter", 3600: "ban.hour", 86400: "ban.day", 604800: "ban.week", forever: "ban.forever" };
const KINDS = ["audio", "video", "screen"];
const MAX_NOTE = 256;

export class Moderation {
  #call;
  #volumes;
  #writeTo;
  #userId = "";

  /** `writeTo(userId)` opens the messages. */
  constructor({ call, volumes, writeTo, signal }) {
    this.#call = call;
    this.#volumes = volumes;
    this.#writeTo = writeTo;
    call.addEventListener("change", () => this.#render(), { signal });
    $("member-volume").addEventListener("input", () => volumes.set(this.#userId, $("member-volume").valueAsNumber), { signal });
    volumes.addEventListener("change", () => this.#renderVolume(), { signal });
    signal.addEventListener("abort", () => $("member-dialog").close());
  }

  /** Opens what can be done with this member. */
  show(userId) {
    this.#userId = userId;
    $("member-actions").drawn = "";
    this.#render();
    if (!$("member-dialog").open) $("member-dialog").showModal();
  }

  async endRoom() {
    const answer = await confirm({
      title: _("moderate.end_title"),
      text: _("moderate.end_text"),
      yes: _("moderate.end"),
      note: true,
    });
    if (answer) await this.#ask({ type: "disband", message: answer.note.slice(0, MAX_NOTE) });
  }

  #render() {
    if (!this.#userId) return;
    const member = this.#call.members[this.#userId];
    if (!member) {
      this.#userId = "";
      $("member-dialog").close();
      return;
    }
    $("member-title").textContent = roster.nameOf(member);
    $("member-id").textContent = member.user_id;
    put($("member-volume-field"), "hidden", member.role === "audience");
    this.#renderVolume();
    draw($("member-actions"), this.#actions(member), (action) => this.#button(action, member));
  }

  #renderVolume() {
    const volume = this.#volumes.of(this.#userId);
    const words = _("volume.percent", { volume });
    put($("member-volume"), "valueAsNumber", volume);
    attribute($("member-volume"), "aria-valuetext", words);
    put($("member-volume-words"), "textContent", words);
  }

  #actions(member) {
    if (!this.#call.standing.mayModerate) return ["write"];
    const isForced = (kind) => member.forced?.includes(kind);
    const mutes = KINDS.filter((kind) => isForced(kind) || roster.carries(member, kind)).map((kind) => `${isForced(kind) ? "un" : ""}mute_${kind}`);
    return ["write", ...mutes, "kick", "remove", "ban"];
  }

  #button(action, member) {
    const dangerous = ["kick", "remove", "ban"].includes(action);
    const act = () => void this.#act(action, member);
    return button(_(`moderate.${action}`), act, dangerous ? "button warned" : "button", { dataset: { key: action } });
  }

  async #act(action, member) {
    const [name, userId] = [roster.nameOf(member), member.user_id];
    if (action === "write") {
      $("member-dialog").close();
      return this.#writeTo(userId);
    }
    const [what, kind] = action.split("_");
    if (kind) {
      return this.#moderate({ user_id: userId, action: what, kind }, _(`moderate.did_${action}`, { name }));
    }
    $("member-dialog").close();
    this.#userId = "";
    const answer = await confirm({
      title: _(`moderate.${action}_title`, { name }),
      text: _(`moderate.${action}_text`),
      yes: _(`moderate.${action}_yes`),
      choices: action === "ban" ? Object.fromEntries(Object.entries(BANS_S).map(([s, key]) => [s, _(key)])) : null,
      choiceWords: _("ban.how_long"),
      note: true,
    });
    if (!answer) return;
    const message = answer.note.slice(0, MAX_NOTE);
    const ban = action === "ban" && answer.choice !== "forever" ? { ban_s: Number(answer.choice) } : {};
    await this.#moderate({ user_id: userId, action, message, ...ban }, _(`moderate.did_${action}`, { name }));
  }

  async #moderate(request, done) {
    if (await this.#ask({ type: "moderate", ...request })) toast(done);
  }

  #ask(request) {
    return attempt(() => this.#call.link.request(request));
  }
}
