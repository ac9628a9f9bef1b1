// Who is in the room, one's own name and role, and for a moderator the end of it.

import { $, button, draw, make, put } from "./dom.js";
import { hue, initials } from "./avatar.js";
import * as roster from "./roster.js";
import { refusal } from "./sentences.js";
import { attempt, toast } from "./toasts.js";
import { _ } from "./words.js";

export class PeoplePanel {
  #call;
  #rename;
  #setRole;
  #moderation;

  /** `rename(name)` and `setRole(role)` resolve once the hub agreed. */
  constructor({ call, name, rename, setRole, moderation, signal }) {
    this.#call = call;
    this.#rename = rename;
    this.#setRole = setRole;
    this.#moderation = moderation;
    $("own-name").value = name;
    call.addEventListener("change", () => this.#render(), { signal });
    $("name-form").addEventListener("submit", (event) => void this.#named(event), { signal });
    $("role-switch").addEventListener("click", () => void this.#switchRole(), { signal });
    $("end-room").addEventListener("click", () => void this.#moderation.endRoom(), { signal });
    this.#render();
  }

  #render() {
    const { members, standing, state } = this.#call;
    const rows = Object.values(members).map((member) => ({
      userId: member.user_id,
      name: roster.nameOf(member),
      role: member.role,
      muted: roster.isMuted(roster.streamOf(member), "audio"),
    }));
    draw($("members"), rows, (row) => this.#row(row));
    const live = standing.profile === "live";
    put($("role-part"), "hidden", !(live || standing.listens));
    put($("role-words"), "textContent", _(standing.listens ? "role.listening" : "role.speaking"));
    put($("role-switch"), "textContent", _(standing.listens ? "role.take_part" : "role.listen"));
    put($("end-room"), "hidden", !standing.mayModerate);
    put($("name-save"), "disabled", state !== "connected");
  }

  #row({ userId, name, role, muted }) {
    const face = make("span", { className: "face", attributes: { "aria-hidden": "true" } }, initials(name));
    face.style.setProperty("--hue", hue(name));
    const state = role === "audience" ? _("role.listener") : muted ? _("room.microphone_off") : "";
    return make(
      "li",
      { className: "row", dataset: { who: userId } },
      face,
      make("span", { className: "who" }, name, state ? make("small", {}, state) : null),
      button("⋯", () => this.#moderation.show(userId), "button quiet small", {
        ariaLabel: _("moderate.open", { name }),
        dataset: { key: userId },
      }),
    );
  }

  async #named(event) {
    event.preventDefault();
    const name = $("own-name").value.trim();
    if (!name) return;
    if (await attempt(() => this.#rename(name))) toast(_("people.renamed", { name }));
  }

  async #switchRole() {
    $("role-switch").disabled = true;
    try {
      await this.#setRole(this.#call.standing.listens ? "host" : "audience");
    } catch (error) {
      toast(error.code === "role" ? _("role.refused") : refusal(error));
    } finally {
      $("role-switch").disabled = false;
    }
  }
}
