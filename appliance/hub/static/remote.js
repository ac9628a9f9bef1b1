import { layerFor } from "./layout.js";
import { Downlink } from "./legs.js";
import { Meter, listen, quiet } from "./meter.js";
import { Quality, inbound } from "./quality.js";
import * as roster from "./roster.js";

const STALL_REPORTS = 2; // reports without a packet before a leg is made anew

/** One remote stream: who, its leg, its level and its network. */
export class Remote {
  quality = new Quality();
  speaking = quiet;
  level = 0;
  counts = null;
  #meter = null;
  #silentReports = 0;

  constructor(key, member, name, { iceServers, send, changed, frames }) {
    this.key = key;
    this.userId = member.user_id;
    this.name = name;
    this.downlink = new Downlink({
      stream: name,
      iceServers,
      send,
      frames,
      label: key,
      changed: () => {
        this.#meterAnew();
        changed();
      },
    });
  }

  update(member, stream) {
    this.member = member;
    this.stream = stream;
    this.downlink.want(roster.kindsOf(stream));
  }

  /** Its picture is so many device pixels high: a small one needs no more than the LOW layer. */
  shown(height) {
    if (height && this.stream.video?.low) this.downlink.select(layerFor(height, this.downlink.layer));
  }

  isMuted(kind) {
    return roster.isMuted(this.stream, kind);
  }

  get tracks() {
    return this.downlink.tracks;
  }

  frequency() {
    return this.#meter?.frequency() ?? 0;
  }

  listen(nowMs) {
    this.level = this.#meter && !this.isMuted("audio") ? this.#meter.level() : 0;
    this.speaking = listen(this.speaking, this.level, nowMs);
  }

  async measure(nowMs, linked) {
    const { pc } = this.downlink;
    if (!pc) {
      this.quality = new Quality();
      this.counts = null;
      return;
    }
    const counts = inbound(await pc.getStats(), nowMs);
    const expected = Boolean(this.stream.audio) || !this.isMuted("video");
    const moved = !this.counts || counts.packets !== this.counts.packets;
    this.counts = counts;
    this.quality.add(counts, expected);
    this.#silentReports = moved || !expected ? 0 : this.#silentReports + 1;
    if (linked && this.#silentReports >= STALL_REPORTS) {
      this.#silentReports = 0;
      this.downlink.stalled();
    }
  }

  close() {
    this.downlink.close();
  }

  #meterAnew() {
    const track = this.downlink.tracks.audio;
    if (this.#meter?.track === track) return;
    this.#meter?.close();
    this.#meter = track ? new Meter(track) : null;
    this.counts = null;
    this.quality = new Quality();
  }
}
