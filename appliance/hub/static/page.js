// The room page `/join/ROOM`: lobby, call, end; wires the other modules together.
//
// Address: `#token=...` the invitation, `#key=...` or `&key=...` the key of an encrypted room; `?auto=1` joins without the lobby, `?name=...` presets the name, `?codec=h264|vp8`
// prefers a codec for what we send, `?filter=off` sends the microphone untouched, `?role=audience` only listens,
// `?profile=live` makes a room in which listeners are unseen, `?lang=zh` speaks another language from now on.
// SEI: `document` gets a "sei-message" event, detail {userId, stream, payloadType, data: Uint8Array}, for each message with a
// received picture; a "send-sei-message" event with {data, payloadType = 243} sends one with ours.
// For tests and the curious: `document.documentElement.dataset.state` is lobby | connecting | connected | reconnecting |
// leaving | ended (then `dataset.ending` is its code), and `window.room` is read-only, see `inspector`.

import { Call } from "./call.js";
import { Control } from "./control.js";
import { $ } from "./dom.js";
import { Frames, encryptionProblem } from "./frames.js";
import { deviceChoice, lobby, toggle } from "./lobby.js";
import { HubError } from "./link.js";
import { LocalMedia } from "./media.js";
import { audioContext } from "./meter.js";
import { inbound, outbound } from "./quality.js";
import { nameOf } from "./roster.js";
import * as settings from "./settings.js";
import { SharedScreen } from "./shared-screen.js";
import { ending } from "./sentences.js";
import { toast } from "./toasts.js";
import { View } from "./view.js";
import { Volumes } from "./volumes.js";
import { _ } from "./words.js";

const FAREWELL_MS = 500;
const ROOM = /^[A-Za-z0-9._~-]{1,64}$/;
const query = new URLSearchParams(location.search);
let room = decodeURIComponent(location.pathname.split("/")[2] ?? "");

let { token, secret } = settings.takeInvitation(room);
let call = null;
let view = null;
let media = null;
const screen = new SharedScreen();
const volumes = new Volumes();
let control = null;
let me = ""; // our name

function newMedia() {
  const remembered = settings.load();
  return new LocalMedia({ ...remembered, filter: query.has("filter") ? query.get("filter") !== "off" : remembered.filter });
}

function chooseDevice(kind, id) {
  settings.save({ [kind]: id });
  if (kind === "speaker") view?.speakTo(id);
  else void media.choose(kind, id);
}

/** A token of the demo's hub, "" where there is none; `old` is renewed for the same guest. */
async function demoToken(old = "") {
  const headers = old ? { Authorization: `Bearer ${old}` } : {};
  const answer = await fetch(`/hub/token?${new URLSearchParams({ room, name: me })}`, { headers }).catch(() => null);
  if (!answer || answer.status >= 500) throw new HubError("service-unavailable", "the hub can't be reached");
  return answer.ok ? (await answer.json()).token : "";
}

const role = () => (query.get("role") === "audience" ? "audience" : (settings.claimsOf(token).role ?? "host"));

/** The invitation, or what the demo's hub hands out, or nothing: an open hub takes us without. */
function credentials() {
  let demo = null;
  return async (renew) => {
    if (token) return renew ? null : { token, userId: "", userName: me, role: role() };
    if (demo === null || renew) {
      demo = await demoToken();
      if (renew && !demo) return null;
    }
    return { token: demo, userId: "", userName: me, role: role() };
  };
}

async function join(seen) {
  const url = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/hub/ws`;
  const profile = query.get("profile") === "live" ? "live" : "rtc";
  const frames = new Frames(secret);
  frames.addEventListener("sei", ({ detail: { stream, ...message } }) => heardSei(stream, message));
  call = new Call({ url, room, profile, credentials: credentials(), media, screen, codec: query.get("codec") ?? "", frames });
  $("encrypted").hidden = !frames.isEncrypted;
  call.addEventListener("ended", ({ detail }) => ended(detail.code, detail.message));
  $("ended").hidden = true;
  $("room").hidden = false;
  view = new View(call, media, screen, {
    speaker: settings.load().speaker, userName: me, seen, volumes, open: (userId) => control.openMember(userId),
  });
  control = new Control(call, media, {
    name: me,
    volumes,
    named: (name) => {
      settings.save({ name });
      view.userName = me = name;
    },
    fetchToken: () => (token ? "" : demoToken(call.link.token)),
    keepToken,
    went,
  });
  audioContext().resume().catch(() => {});
  call.start();
}

const MAX_SEI = 50;
const sei = []; // the last ones

function heardSei(key, { payloadType, data }) {
  const at = key.lastIndexOf("/");
  const detail = { userId: key.slice(0, at), stream: key.slice(at + 1), payloadType, data };
  sei.push({ ...detail, data: [...data] });
  if (sei.length > MAX_SEI) sei.shift();
  document.dispatchEvent(new CustomEvent("sei-message", { detail }));
}

document.addEventListener("send-sei-message", ({ detail: { data, payloadType = 243 } }) => {
  call?.frames.sendSei(payloadType, Uint8Array.from(data));
});

function keepToken(given) {
  token = given;
  settings.keepToken(room, token);
}

function keepSecret(given) {
  secret = given;
  settings.keepSecret(room, secret);
}

/** A call took us to another room, or back. */
function went(other, given) {
  room = other;
  if (given) settings.keepToken(room, given);
  history.replaceState(null, "", `/join/${encodeURIComponent(room)}${location.search}`);
  document.title = _("room.title", { room });
}

function ended(code, message) {
  media?.close();
  view?.close();
  control?.close();
  $("device-dialog").close();
  $("room").hidden = $("lobby").hidden = true;
  const words = ending(code, message);
  $("ended-title").textContent = words.title;
  $("ended-text").textContent = words.text;
  $("ended-detail").textContent = words.detail;
  $("ended-detail").hidden = !words.detail;
  $("again").textContent = words.action;
  $("again").hidden = ["", "paste", "key"].includes(words.action);
  $("paste-form").hidden = words.action !== "paste";
  $("key-form").hidden = words.action !== "key";
  $("ended").hidden = false;
  Object.assign(document.documentElement.dataset, { state: "ended", ending: code });
  document.title = `${words.title} · ${room}`;
  $("ended-title").focus();
}

async function start({ direct }) {
  delete document.documentElement.dataset.ending;
  document.title = _("room.title", { room });
  if (!ROOM.test(room)) return ended("invalid-room");
  if (!window.RTCPeerConnection || !window.AudioContext) return ended("unsupported");
  if (secret && encryptionProblem()) return ended(`crypt-${encryptionProblem()}`);
  media = newMedia();
  me = query.get("name") ?? (settings.load().name || settings.claimsOf(token).name || "");
  const listens = role() === "audience";
  const opened = listens ? Promise.resolve() : media.open();
  if (direct) {
    await opened;
    me ||= _("lobby.guest");
  } else {
    document.documentElement.dataset.state = "lobby";
    ({ name: me, secret } = await lobby({ media, room, name: me, secret, listens, choose: chooseDevice }));
    settings.save({ name: me });
    if (secret && encryptionProblem()) return ended(`crypt-${encryptionProblem()}`);
    await opened;
  }
  await join(!direct);
}

async function toggleAndKeep(kind) {
  if (call?.standing.forced[kind]) return toast(_(`forced.${kind}_kept`));
  view?.remind();
  await toggle(media, kind);
  settings.save({ [`${kind}Muted`]: media.muted[kind] });
}

async function shareScreen() {
  if (screen.isShared) return screen.stop();
  if (call?.standing.forced.screen) return toast(_("forced.screen_kept"));
  try {
    await screen.start();
  } catch (error) {
    toast(_("screen.failed", { why: error.message }));
  }
}

screen.addEventListener("stopped", () => toast(_("screen.stopped")));

async function leave() {
  await Promise.race([control?.leave(), new Promise((resolve) => setTimeout(resolve, FAREWELL_MS))]);
  await call?.leave();
}

function openDevices() {
  const stop = new AbortController();
  const dialog = $("device-dialog");
  const chosen = (kind) => (kind === "speaker" ? settings.load().speaker : media.chosen(kind));
  deviceChoice(dialog, media, { chosen, choose: chooseDevice, signal: stop.signal });
  $("filter").checked = media.filter;
  const filter = () => {
    settings.save({ filter: $("filter").checked });
    void media.choose("audio", media.chosen("audio"), $("filter").checked);
  };
  $("filter").addEventListener("change", filter, { signal: stop.signal });
  dialog.addEventListener("close", () => stop.abort(), { once: true });
  dialog.showModal();
}

/** `room.state`, `.reason`, `.userId`, `.local`, `.peers`, `.control` and `await room.stats()`: values, nothing to act with. */
const inspector = Object.freeze({
  get state() {
    return document.documentElement.dataset.state;
  },
  get reason() {
    return call?.ending?.code ?? "";
  },
  get userId() {
    return call?.userId ?? "";
  },
  get local() {
    const { audio, video } = media?.muted ?? {};
    return { audioMuted: audio, videoMuted: video, screen: screen.isShared, problems: { ...media?.problems }, level: call?.level, quality: call?.uplink.level };
  },
  get peers() {
    return (call?.remotes ?? []).map((remote) => ({
      userId: remote.userId,
      name: nameOf(remote.member),
      stream: remote.name,
      leg: remote.downlink.state,
      audio: remote.stream.audio ? { muted: remote.isMuted("audio"), level: remote.level, frequency: remote.frequency() } : null,
      video: remote.stream.video ? { muted: remote.isMuted("video"), layer: remote.downlink.layer, ...view.tile(remote.userId, remote.name)?.picture } : null,
      undecryptable: call.frames.isFailing(remote.key),
      volume: volumes.of(remote.userId),
      speaking: remote.speaking.speaking,
      quality: remote.quality.level,
    }));
  },
  get control() {
    const { standing, reported } = call ?? {};
    const { calls, conversation, chat, people, renewal, tone } = control ?? {};
    return {
      room: call?.room, role: standing?.role, profile: standing?.profile, mayModerate: standing?.mayModerate,
      forced: standing?.forced, reported, tone, ringing: calls?.ringing.map(({ token: _secret, ...call }) => call), calling: calls?.calling, missed: calls?.missed,
      talking: conversation?.current, messages: chat?.messages, people: people?.list, tokenLeft: renewal?.left,
    };
  },
  /** Frames received so far: {opened, forged, malformed, replayed}; null in a room that is not encrypted. */
  get encryption() {
    return call?.frames.isEncrypted ? call.frames.counts : null;
  },
  get sei() {
    return sei;
  },
  async stats() {
    const read = async (pc, counts) => counts(await pc.getStats(), performance.now());
    const legs = (call?.remotes ?? []).filter((remote) => remote.downlink.pc);
    const down = legs.map(async (remote) => [remote.key, await read(remote.downlink.pc, inbound)]);
    const up = (call?.uplinkConnections ?? []).map((pc) => read(pc, outbound));
    return { downlinks: Object.fromEntries(await Promise.all(down)), uplinks: await Promise.all(up) };
  },
});
Object.defineProperty(window, "room", { value: inspector });

$("mic").addEventListener("click", () => void toggleAndKeep("audio"));
$("camera").addEventListener("click", () => void toggleAndKeep("video"));
$("screen").addEventListener("click", () => void shareScreen());
$("devices").addEventListener("click", openDevices);
$("leave").addEventListener("click", () => void leave());
$("again").addEventListener("click", () => void start({ direct: true }));
$("paste-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const pasted = settings.tokenIn($("paste").value);
  $("paste-problem").hidden = Boolean(pasted);
  if (!pasted) return;
  keepToken(pasted);
  if (settings.secretIn($("paste").value)) keepSecret(settings.secretIn($("paste").value));
  $("paste").value = "";
  $("ended").hidden = true;
  void start({ direct: false });
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepSecret(settings.secretIn($("key").value) || $("key").value);
  $("key").value = "";
  $("ended").hidden = true;
  void start({ direct: true });
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  if (!$("room").hidden && event.key.toLowerCase() === "m") $("mic").click();
  if (!$("room").hidden && event.key.toLowerCase() === "v") $("camera").click();
});
$("take-part").addEventListener("click", () => $("role-switch").click());
for (const link of document.querySelectorAll(".languages a")) {
  const there = new URLSearchParams(location.search);
  there.set("lang", link.hreflang);
  link.href = `?${there}`;
}
addEventListener("online", () => call?.wake());
document.addEventListener("visibilitychange", () => document.hidden || call?.wake());
addEventListener("pagehide", () => call?.leaveNow());
addEventListener("pageshow", (event) => event.persisted && location.reload());

void start({ direct: query.get("auto") === "1" });
