// Media legs, one way each: Downlink asks for a remote stream and keeps it, Uplinks serves whoever asks for ours.
// A leg is never renegotiated: another one is made, and the old one goes when the new one carries media.

const GATHER_MS = 1000;
const OFFER_MS = 8000; // a request is answered in this time: gathering with a dead STUN server takes 5 s
const CONNECT_MS = 10000; // and its leg carries media in this
const DISCONNECTED_MS = 3000; // ICE may find another way by itself
const HANDOVER_MS = 1500; // the old leg stays so long for the new one's first packets
const RETRY_MS = [100, 500, 1000, 2000, 4000, 8000];
const STEADY_MS = 5000; // a leg that lived so long starts the retries afresh
const MAX_LEGS_A_PEER = 4;

/** The local description with its candidates: complete, or what was found in a second. */
async function described(pc) {
  await pc.setLocalDescription();
  if (pc.iceGatheringState !== "complete") {
    await new Promise((resolve) => {
      setTimeout(resolve, GATHER_MS);
      pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && resolve());
    });
  }
  return pc.localDescription.sdp;
}

/** `lost(reason)` once when the connection is beyond hope; never after pc.close(). */
function watch(pc, connected, lost) {
  let timer = 0;
  pc.addEventListener("connectionstatechange", () => {
    clearTimeout(timer);
    if (pc.connectionState === "connected") connected();
    else if (pc.connectionState === "failed") lost("connection failed");
    else if (pc.connectionState === "disconnected") {
      timer = setTimeout(() => pc.connectionState === "disconnected" && lost("connection lost"), DISCONNECTED_MS);
    }
  });
}

// crypto.randomUUID is for secure origins only.
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const configuration = (iceServers, frames) => ({
  ...frames.configuration,
  bundlePolicy: "max-bundle",
  iceServers: iceServers.map(({ urls, username, credential }) => (username ? { urls, username, credential } : { urls })),
});

/** One remote stream. `send(message)` answers false while there is no link; `changed()` after `tracks` changed. */
export class Downlink {
  #send;
  #iceServers;
  #changed;
  #stream;
  #kinds = [];
  #next = null;
  #current = null;
  #retry = 0;
  #attempt = 0;
  #layer = "high";
  #asked = false; // asked for while there was no link
  #frames;
  #label;

  /** `frames`: what coded frames go through; `label` says whose they are. */
  constructor({ stream, iceServers, send, changed, frames, label }) {
    this.#frames = frames;
    this.#label = label;
    this.#stream = stream;
    this.#iceServers = iceServers;
    this.#send = send;
    this.#changed = changed;
  }

  /** {audio?, video?}: the tracks that arrive now. */
  get tracks() {
    return this.#current?.tracks ?? {};
  }

  get pc() {
    return this.#current?.pc ?? null;
  }

  /** "connected", "connecting" or "none". */
  get state() {
    return this.#current ? "connected" : this.#kinds.length ? "connecting" : "none";
  }

  /** Says which kinds to carry; the same again changes nothing. */
  want(kinds) {
    if (kinds.join() === this.#kinds.join()) return;
    this.#kinds = kinds;
    if (kinds.length) this.ask();
    else this.#discard("not wanted");
  }

  get layer() {
    return this.#layer;
  }

  /** Says which layer of the video to carry, "high" or "low", from its next key frame on. */
  select(layer) {
    if (layer === this.#layer) return;
    this.#layer = layer;
    for (const leg of [this.#next, this.#current]) if (leg) this.#send({ type: "leg-select", leg: leg.id, layer });
  }

  /** Makes a new leg; the present one stays until the new one carries media. */
  ask() {
    clearTimeout(this.#retry);
    if (!this.#kinds.length) return;
    this.#end(this.#next, "asked again");
    const leg = { id: newId(), pc: null, tracks: {}, timer: 0 };
    const sent = this.#send({ type: "leg-request", leg: leg.id, stream: this.#stream, kinds: this.#kinds, layer: this.#layer });
    this.#asked = !sent;
    this.#next = sent ? leg : null;
    leg.timer = sent ? setTimeout(() => this.#fail(leg, "no offer"), OFFER_MS) : 0;
  }

  /** The link is back: what could not be asked for is asked for now. */
  wake() {
    if (this.#asked || (this.#kinds.length && !this.#current && !this.#next)) this.ask();
  }

  /** The leg is up but nothing arrives. */
  stalled() {
    if (!this.#next) this.ask();
  }

  knows(id) {
    return Boolean(this.#find(id));
  }

  #find(id) {
    return [this.#next, this.#current].find((known) => known?.id === id);
  }

  /** A message on a leg that it `knows`. */
  async handle(message) {
    const leg = this.#find(message.leg);
    if (message.type === "leg-close") this.#fail(leg, message.reason);
    else if (message.type === "leg-offer" && leg === this.#next && !leg.pc) {
      try {
        await this.#answer(leg, message.sdp);
      } catch (error) {
        this.#fail(leg, String(error));
      }
    }
  }

  close() {
    this.#kinds = [];
    this.#discard("left");
  }

  async #answer(leg, sdp) {
    clearTimeout(leg.timer);
    leg.timer = setTimeout(() => this.#fail(leg, "no media"), CONNECT_MS);
    const pc = (leg.pc = new RTCPeerConnection(configuration(this.#iceServers(), this.#frames)));
    pc.addEventListener("track", ({ track, receiver }) => {
      this.#frames.receive(receiver, track.kind, this.#label, leg.id);
      leg.tracks[track.kind] = track;
      track.addEventListener("unmute", () => this.#carries(leg));
    });
    pc.addEventListener("datachannel", ({ channel }) => this.#frames.takeChannel(channel, this.#label, leg.id));
    const connected = () => {
      setTimeout(() => this.#carries(leg, true), this.#current ? HANDOVER_MS : 0);
      this.#carries(leg);
    };
    watch(pc, connected, (reason) => this.#fail(leg, reason));
    await pc.setRemoteDescription({ type: "offer", sdp });
    const answer = await described(pc);
    if (leg === this.#next) this.#send({ type: "leg-answer", leg: leg.id, sdp: answer });
  }

  /** Takes the new leg over once each of its tracks has begun, or `anyway`: a camera that is off sends nothing. */
  #carries(leg, anyway = false) {
    if (leg !== this.#next || leg.pc.connectionState !== "connected") return;
    if (!anyway && Object.values(leg.tracks).some((track) => track.muted)) return;
    clearTimeout(leg.timer);
    this.#end(this.#current, "replaced");
    this.#current = leg;
    this.#next = null;
    leg.timer = setTimeout(() => (this.#attempt = 0), STEADY_MS);
    this.#changed();
  }

  #fail(leg, reason) {
    if (leg !== this.#next && leg !== this.#current) return;
    const wasCurrent = leg === this.#current;
    this.#end(leg, reason);
    if (wasCurrent) {
      this.#current = null;
      this.#changed();
    } else this.#next = null;
    clearTimeout(this.#retry);
    if (!this.#next) this.#retry = setTimeout(() => this.ask(), RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)]);
  }

  #discard(reason) {
    clearTimeout(this.#retry);
    this.#end(this.#next, reason);
    this.#end(this.#current, reason);
    this.#next = this.#current = null;
    this.#asked = false;
    this.#changed();
  }

  #end(leg, reason) {
    if (!leg) return;
    clearTimeout(leg.timer);
    leg.pc?.close();
    this.#send({ type: "leg-close", leg: leg.id, reason: reason.slice(0, 200) });
  }
}

/** Bit rate and size of our video on each of so many legs: a browser encodes once for every leg. */
export function videoBudget(legs) {
  if (legs <= 2) return { maxBitrate: 1_800_000, scaleResolutionDownBy: 1 };
  if (legs <= 4) return { maxBitrate: 700_000, scaleResolutionDownBy: 2 };
  return { maxBitrate: 300_000, scaleResolutionDownBy: 3 };
}

const LOW = { height: 180, maxBitrate: 150_000 };

/** What a leg that carries this layer sends of a camera `height` pixels high, within `budget`. */
export function encoding(layer, budget, height) {
  if (layer !== "low") return { ...budget, active: layer === "high" };
  return { active: true, maxBitrate: LOW.maxBitrate, scaleResolutionDownBy: Math.max(budget.scaleResolutionDownBy, height / LOW.height) };
}

const SCREEN_BUDGET = { maxBitrate: 2_500_000, scaleResolutionDownBy: 1 }; // text is to be read

/** Our streams, served to every peer that asks. `offered(stream)` answers {audio, video}: a track, null (published but
 *  off for now) or undefined (not published). */
export class Uplinks {
  iceServers = [];
  #send;
  #offered;
  #codec;
  #frames;
  #legs = new Map(); // "peer leg" -> {peer, id, stream, pc, senders, layer}

  constructor({ send, offered, frames, codec = "" }) {
    this.#frames = frames;
    this.#send = send;
    this.#offered = offered;
    this.#codec = codec.toLowerCase();
  }

  get connections() {
    return [...this.#legs.values()].map((leg) => leg.pc);
  }

  async handle(peer, message) {
    const key = `${peer} ${message.leg}`;
    const leg = this.#legs.get(key);
    if (message.type === "leg-request") await this.#offer(peer, message);
    else if (message.type === "leg-close") this.#close(key);
    else if (leg && message.type === "leg-select") {
      leg.layer = message.layer;
      this.#tune();
    } else if (leg && message.type === "leg-answer" && leg.pc.signalingState === "have-local-offer") {
      try {
        await leg.pc.setRemoteDescription({ type: "answer", sdp: message.sdp });
        this.#tune();
      } catch (error) {
        this.#refuse(peer, message.leg, String(error));
      }
    }
  }

  setTrack(kind, track) {
    const served = [...this.#legs.values()].filter(({ stream }) => stream === "main");
    const replaced = served.map(({ senders }) => senders[kind]?.replaceTrack(track).catch(() => {}));
    if (kind === "video" && track) void Promise.all(replaced).then(() => this.#tune()); // another size, perhaps
  }

  /** Ends the legs of a stream that is no longer published. */
  withdraw(stream) {
    for (const leg of [...this.#legs.values()]) if (leg.stream === stream) this.#refuse(leg.peer, leg.id, "not published");
  }

  /** Ends the legs of these peers. */
  forget(peers) {
    for (const [key, { peer }] of this.#legs) if (peers.includes(peer)) this.#close(key);
  }

  close() {
    for (const key of [...this.#legs.keys()]) this.#close(key);
  }

  async #offer(peer, { leg: id, stream, kinds, layer }) {
    const key = `${peer} ${id}`;
    const offered = this.#offered(stream);
    const carried = kinds.filter((kind) => offered[kind] !== undefined);
    if (!carried.length) return this.#refuse(peer, id, "not published");
    this.#close(key);
    const theirs = [...this.#legs].filter(([, leg]) => leg.peer === peer);
    if (theirs.length >= MAX_LEGS_A_PEER) this.#close(theirs[0][0]);
    const pc = new RTCPeerConnection(configuration(this.iceServers, this.#frames));
    const leg = { peer, id, stream, pc, senders: {}, layer };
    this.#legs.set(key, leg);
    watch(pc, () => {}, () => this.#legs.get(key) === leg && this.#refuse(peer, id, "connection lost"));
    try {
      const together = new MediaStream();
      for (const kind of carried) {
        const transceiver = pc.addTransceiver(offered[kind] ?? kind, { direction: "sendonly", streams: [together] });
        this.#frames.send(transceiver.sender, kind, key);
        if (kind === "video" && this.#codec !== "h264") this.#frames.openChannel(pc, key);
        leg.senders[kind] = transceiver.sender;
        if (kind === "video") this.#prefer(transceiver);
      }
      const sdp = await described(pc);
      if (this.#legs.get(key) === leg) this.#send(peer, { type: "leg-offer", leg: id, sdp });
    } catch (error) {
      this.#refuse(peer, id, String(error));
    }
  }

  #prefer(transceiver) {
    if (!this.#codec || !transceiver.setCodecPreferences) return;
    const { codecs } = RTCRtpSender.getCapabilities("video");
    const first = (codec) => (codec.mimeType.toLowerCase() === `video/${this.#codec}` ? 0 : 1);
    transceiver.setCodecPreferences([...codecs].sort((a, b) => first(a) - first(b)));
  }

  #tune() {
    const budget = videoBudget([...this.#legs.values()].filter(({ stream }) => stream === "main").length);
    for (const { stream, senders, layer } of this.#legs.values()) {
      const parameters = senders.video?.getParameters();
      if (!parameters?.encodings?.length) continue;
      const height = senders.video.track?.getSettings().height ?? LOW.height;
      const most = stream === "screen" ? SCREEN_BUDGET : budget;
      Object.assign(parameters.encodings[0], encoding(layer ?? "high", most, height));
      senders.video.setParameters(parameters).catch(() => {});
    }
  }

  #refuse(peer, id, reason) {
    this.#close(`${peer} ${id}`);
    this.#send(peer, { type: "leg-close", leg: id, reason: reason.slice(0, 200) });
  }

  #close(key) {
    const leg = this.#legs.get(key);
    if (!leg) return;
    this.#legs.delete(key);
    leg.pc.close();
    this.#tune();
  }
}
