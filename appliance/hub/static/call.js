// The call: link, roster, legs and devices held together. The view reads it and listens to its events:
// "change" (anything to draw anew), "notice" {text}, "ended" {code, message}.

import { Uplinks } from "./legs.js";
import { Link } from "./link.js";
import { Meter, audioContext, listen, quiet } from "./meter.js";
import { Quality, outbound } from "./quality.js";
import { Remote } from "./remote.js";
import * as roster from "./roster.js";
import { Standing } from "./standing.js";
import { _ } from "./words.js";

const STATS_MS = 2000;
const LEVEL_MS = 100;

export class Call extends EventTarget {
  members = roster.empty;
  room;
  link;
  standing;
  reported = {}; // user id -> {uplink, downlink}: what each member says of its own network
  uplink = new Quality();
  speaking = quiet;
  level = 0;
  #media;
  #uplinks;
  #remotes = new Map(); // "user_id/stream" -> Remote
  #iceServers = [];
  #published = {}; // stream name -> what the hub was told, as JSON
  #screen;
  #meter = null;
  #sending = { audio: null, video: null };
  #timers;

  /** `frames`: what coded frames go through, until the call has ended. */
  constructor({ url, room, profile, credentials, media, screen, codec, frames }) {
    super();
    this.frames = frames;
    this.room = room;
    this.#media = media;
    this.#screen = screen;
    this.link = new Link({ url, room, profile, credentials, introduction: (name) => frames.introduction(name) });
    this.standing = new Standing(this.link);
    this.standing.addEventListener("role", () => this.#roleChanged());
    this.standing.addEventListener("change", () => this.#changed());
    this.standing.addEventListener("forced", ({ detail }) => detail.kind === "screen" && detail.muted && screen.stop());
    this.#uplinks = new Uplinks({
      send: (peer, leg) => this.#signal(peer, leg),
      offered: (stream) => (this.standing.listens ? {} : stream === "screen" ? screen.tracks : media.offered()),
      codec,
      frames,
    });
    frames.addEventListener("failing", () => this.#changed());
    this.link.addEventListener("state", () => this.#changed());
    this.link.addEventListener("joined", ({ detail }) => this.#joined(detail));
    this.link.addEventListener("message", ({ detail }) => this.#receive(detail));
    this.link.addEventListener("ended", ({ detail }) => this.#ended(detail));
    media.addEventListener("change", this.#mediaChanged);
    screen.addEventListener("change", this.#screenChanged);
    this.#timers = [
      setInterval(() => void this.#measure(), STATS_MS),
      setInterval(() => this.#listen(), LEVEL_MS),
    ];
  }

  start() {
    this.#mediaChanged();
    void this.link.run();
  }

  get state() {
    return this.link.state;
  }

  get ending() {
    return this.link.ending;
  }

  get role() {
    return this.standing.role;
  }

  get userId() {
    return this.link.userId;
  }

  /** Failed tries to connect since the link was last up. */
  get attempts() {
    return this.link.attempt;
  }

  get remotes() {
    return [...this.#remotes.values()];
  }

  get uplinkConnections() {
    return this.#uplinks.connections;
  }

  /** After a tap: the browser lets us play. */
  hear() {
    audioContext().resume().catch(() => {});
  }

  wake() {
    this.link.wake();
  }

  leave() {
    return this.link.leave();
  }

  leaveNow() {
    this.link.leaveNow();
  }

  #signal(to, leg) {
    return this.link.state === "connected" && this.link.send({ type: "signal", to, leg });
  }

  #joined({ joined, resumed }) {
    if (joined.room !== this.room) this.members = roster.empty;
    this.room = joined.room;
    this.#iceServers = this.#uplinks.iceServers = joined.ice_servers ?? [];
    this.#published = {};
    this.#publish();
    const before = this.remotes;
    this.#roster(roster.reset(this.members, joined.members ?? []));
    for (const remote of before) resumed ? remote.downlink.wake() : remote.downlink.ask();
  }

  #receive(message) {
    const { type } = message;
    if (type === "joined") this.#roster(roster.reset(this.members, message.members ?? []));
    else if (type === "member-changed") this.#memberChanged(message);
    else if (type === "member-left") this.#roster(roster.remove(this.members, message.user_id, message.role_change));
    else if (type === "room-quality") this.reported = Object.fromEntries(message.items.map((item) => [item.user_id, item]));
    else if (type === "signal") this.#routed(message.sender, message.leg);
    else if (type === "error") console.warn(`hub: ${message.code}: ${message.message} ${message.field ?? ""}`);
  }

  #memberChanged({ member, rejoined }) {
    const before = this.#of(member.user_id);
    this.#roster(roster.change(this.members, member));
    if (rejoined) before.forEach((remote) => remote.downlink.ask());
  }

  #routed(sender, leg) {
    if (leg.type !== "leg-offer") void this.#uplinks.handle(sender, leg);
    const remote = this.#of(sender).find(({ downlink }) => downlink.knows(leg.leg));
    if (remote) void remote.downlink.handle(leg);
    else if (leg.type === "leg-offer") this.#signal(sender, { type: "leg-close", leg: leg.leg, reason: "not asked for" });
  }

  #of(userId) {
    return this.remotes.filter((remote) => remote.userId === userId);
  }

  #roster([members, notes]) {
    // A listener of a live room is in no roster and is served all the same.
    this.#uplinks.forget(Object.keys(this.members).filter((id) => !members[id] && !notes.some((note) => stays(note, id))));
    this.members = members;
    const wanted = Object.values(members).flatMap(remoteStreams);
    for (const [key, remote] of this.#remotes) {
      if (!wanted.some((stream) => stream.key === key)) {
        remote.close();
        this.#remotes.delete(key);
        this.frames.forget(key);
      }
    }
    for (const { key, member, stream } of wanted) {
      let remote = this.#remotes.get(key);
      if (!remote) {
        remote = new Remote(key, member, stream.name, {
          iceServers: () => this.#iceServers,
          send: (leg) => this.#signal(member.user_id, leg),
          changed: () => this.#changed(),
          frames: this.frames,
        });
        this.#remotes.set(key, remote);
      }
      remote.update(member, stream);
    }
    for (const { what, member, before } of notes) {
      this.#notice(_(`room.note_${what}`, { name: roster.nameOf(member), before }));
    }
    this.#changed();
  }

  #mediaChanged = () => {
    const { tracks } = this.#media;
    for (const kind of ["audio", "video"]) {
      if (tracks[kind] === this.#sending[kind]) continue;
      this.#sending[kind] = tracks[kind];
      this.#uplinks.setTrack(kind, tracks[kind]);
    }
    if (this.#meter?.track !== (tracks.audio ?? undefined)) {
      this.#meter?.close();
      this.#meter = tracks.audio ? new Meter(tracks.audio) : null;
    }
    this.#publish();
    this.#changed();
  };

  #screenChanged = () => {
    if (!this.#screen.isShared) this.#uplinks.withdraw("screen");
    this.#publish();
    this.#changed();
  };

  /** Tells the hub what we send. */
  #publish() {
    if (this.link.state !== "connected" || this.standing.listens) return;
    this.#publishOne("main", published(this.#media));
    this.#publishOne("screen", this.#screen.published());
  }

  /** A mute alone goes as SetMute. */
  #publishOne(name, stream) {
    const now = JSON.stringify(stream);
    const before = this.#published[name];
    if (now === before) return;
    this.#published[name] = now;
    let message;
    if (!stream) message = before && before !== "null" ? { type: "unpublish", name } : null;
    else message = onlyMuteDiffers(before && JSON.parse(before), stream) ?? { type: "publish", stream };
    if (message) this.link.request(message).catch((error) => this.#publishFailed(error));
  }

  #publishFailed(error) {
    this.#published = {}; // told again with the next change or join
    if (error.code !== "not-connected") this.#notice(_("room.not_published", { why: error.message }));
  }

  /** The hub took our streams back, or takes them again. */
  #roleChanged() {
    this.#published = {};
    if (this.standing.listens) {
      this.#uplinks.close();
      this.#screen.stop();
    } else this.#publish();
    this.#changed();
  }

  #listen() {
    const now = performance.now();
    this.level = this.#media.muted.audio || !this.#meter ? 0 : this.#meter.level();
    this.speaking = listen(this.speaking, this.level, now);
    for (const remote of this.remotes) remote.listen(now);
    this.dispatchEvent(new Event("levels"));
  }

  async #measure() {
    const now = performance.now();
    await Promise.all(this.remotes.map((remote) => remote.measure(now, this.state === "connected")));
    const reports = await Promise.all(this.#uplinks.connections.map((pc) => pc.getStats()));
    const counts = reports.map((report) => outbound(report, now)).filter((count) => count.packets);
    if (counts.length) {
      const worst = counts.reduce((a, b) => (b.lost / b.packets > a.lost / a.packets ? b : a));
      const total = (field) => counts.reduce((sum, count) => sum + count[field], 0);
      this.uplink.add({ packets: total("packets"), lost: total("lost"), rtt_ms: worst.rtt_ms, at_ms: now }, false);
    } else this.uplink = new Quality();
    const downlink = Math.max(0, ...this.remotes.map((remote) => remote.quality.level));
    if (this.state === "connected") this.link.send({ type: "report-quality", uplink: this.uplink.level, downlink });
    this.#changed();
  }

  #ended(detail) {
    this.#timers.forEach(clearInterval);
    this.#media.removeEventListener("change", this.#mediaChanged);
    this.#screen.removeEventListener("change", this.#screenChanged);
    this.#screen.stop();
    this.#uplinks.close();
    this.remotes.forEach((remote) => remote.close());
    this.#remotes.clear();
    this.members = roster.empty;
    this.#meter?.close();
    this.frames.close();
    this.#changed();
    this.dispatchEvent(new CustomEvent("ended", { detail }));
  }

  #notice(text) {
    this.dispatchEvent(new CustomEvent("notice", { detail: { text } }));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** It left the roster, not the room. */
const stays = ({ what, member }, userId) => what === "listens" && member.user_id === userId;

/** A member without a stream still has a tile: its "main" stream carries nothing. */
function remoteStreams(member) {
  const streams = member.streams?.length ? member.streams : [{ name: "main" }];
  return streams.map((stream) => ({ key: `${member.user_id}/${stream.name}`, member, stream }));
}

/** The StreamInfo of our devices, or null. */
function published(media) {
  const offered = media.offered();
  const size = offered.video?.getSettings() ?? {};
  const stream = { name: "main" };
  if (offered.audio !== undefined) stream.audio = { muted: media.muted.audio };
  if (offered.video !== undefined) {
    stream.video = { muted: media.muted.video, low: true, width: size.width ?? 0, height: size.height ?? 0 };
  }
  return stream.audio || stream.video ? stream : null;
}

/** A SetMute when nothing but one mute flag is different. */
function onlyMuteDiffers(before, after) {
  if (!before || roster.kindsOf(before).join() !== roster.kindsOf(after).join()) return null;
  const kinds = roster.kindsOf(after).filter((kind) => before[kind].muted !== after[kind].muted);
  return kinds.length === 1 ? { type: "set-mute", kind: kinds[0], muted: after[kinds[0]].muted } : null;
}
