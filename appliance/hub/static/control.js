// Everything round the call that is not sound or picture: people, calls, messages, moderation, name, role, token. One
// for each stay on the hub; `close()` takes it all back.

import { CallCards } from "./call-cards.js";
import { CallPanel } from "./call-panel.js";
import { Calls } from "./calls.js";
import { Chat } from "./chat.js";
import { ChatPanel } from "./chat-panel.js";
import { Conversation } from "./conversation.js";
import { Moderation } from "./moderation.js";
import { People } from "./people.js";
import { PeoplePanel } from "./people-panel.js";
import { Renewal } from "./renewal.js";
import { RenewalBar } from "./renewal-bar.js";
import { refusal } from "./sentences.js";
import { Side } from "./side.js";
import { Stream } from "./stream.js";
import { toast } from "./toasts.js";
import { _ } from "./words.js";

export class Control {
  #call;
  #media;
  #side;
  #cards;
  #moderation;
  #went;
  #abort = new AbortController();

  /** `named(name)`: the own name is another one; `fetchToken()` as for Renewal; `keepToken(token)`; `went(room, token)`. */
  constructor(call, media, { name, volumes, named, fetchToken, keepToken, went }) {
    const { signal } = this.#abort;
    const { link, standing } = call;
    this.#call = call;
    this.#media = media;
    this.#went = went;
    this.people = new People(link);
    this.calls = new Calls(link);
    this.conversation = new Conversation(link, (userId) => userId in call.members);
    this.chat = new Chat(link, () => Object.keys(call.members));
    this.renewal = new Renewal(link, fetchToken);
    const nameOf = (userId) => this.people.nameOf(userId);
    const [people, calls, conversation, chat] = [this.people, this.calls, this.conversation, this.chat];
    const panel = new ChatPanel({ chat, call, people, isOpen: () => this.#side.open === "chat", signal });
    this.#side = new Side((opened) => opened === "chat" && panel.seen());
    const writeTo = (userId) => {
      this.#side.show("chat");
      panel.writeTo(userId);
    };
    const moderation = (this.#moderation = new Moderation({ call, volumes, writeTo, signal }));
    const rename = async (wanted) => {
      await link.request({ type: "set-user-name", user_name: wanted });
      named(wanted);
    };
    new PeoplePanel({ call, name, rename, setRole: (role) => this.#setRole(role), moderation, signal });
    this.stream = new Stream({ call, signal });
    new CallPanel({ people, calls, room: () => call.room, signal });
    this.#cards = new CallCards({ calls, conversation, nameOf, signal });
    new RenewalBar({ renewal: this.renewal, keep: keepToken, signal });
    standing.addEventListener("forced", ({ detail }) => this.#forced(detail, nameOf), { signal });
    link.addEventListener("message", ({ detail }) => {
      if (detail.type === "invitation-received") people.meet(detail.sender, detail.sender_name);
    }, { signal });
    call.addEventListener("change", () => conversation.look(), { signal });
    calls.addEventListener("answered", ({ detail }) => void this.#answered(detail.call), { signal });
    calls.addEventListener("ended", ({ detail }) => this.#taken(detail), { signal });
    conversation.addEventListener("over", ({ detail }) => void this.#over(detail, nameOf), { signal });
  }

  /** What can be done with this member. */
  openMember(userId) {
    this.#moderation.show(userId);
  }

  /** "ringing", "calling" or "". */
  get tone() {
    return this.#cards.tone;
  }

  /** Before the page leaves: whoever we are in a call with, or ring, is told. */
  async leave() {
    if (this.conversation.current) this.conversation.hangUp();
    await this.calls.cancel();
  }

  close() {
    this.#side.close();
    this.#abort.abort();
  }

  /** Somebody took our call: they come to us. */
  #taken({ call, outgoing, state }) {
    if (outgoing && state === "accepted") {
      this.conversation.begin({ id: call.id, peer: call.to, name: this.people.nameOf(call.to) });
    }
  }

  /** We took a call: there we go. */
  async #answered({ id, sender, name, room, token }) {
    const home = room === this.#call.room ? "" : this.#call.room;
    this.conversation.begin({ id, peer: sender, name, home });
    if (home && !(await this.#move(room, token))) this.conversation.hangUp();
  }

  async #over({ peer, reason, home, told }, nameOf) {
    if (told) toast(_(`call.over_${reason}`, { name: nameOf(peer) }));
    if (home) await this.#move(home, "");
  }

  async #move(room, token) {
    if (room === this.#call.room) return true;
    try {
      await this.#call.link.move(room, token);
      this.#went(room, token);
      return true;
    } catch (error) {
      toast(_("call.no_way", { room, why: refusal(error) }));
      return false;
    }
  }

  async #setRole(role) {
    if (role === "host") await this.#media.open();
    await this.#call.standing.setRole(role);
    if (role === "audience") this.#media.release();
  }

  #forced({ kind, muted, by, message }, nameOf) {
    if (muted && kind !== "screen") void this.#media.setMuted(kind, true);
    const words = _(`forced.${kind}_${muted ? "off" : "on"}`, { name: by ? nameOf(by) : _("forced.host") });
    toast(message ? `${words} ${message}` : words);
  }
}
