// The room page `/join/ROOM`: lobby, call, end; wires the other modules together.
//
// Address: `#token=...` the invitation; `?auto=1` joins without the lobby, `?name=...` presets the name, `?codec=h264|vp8`
// prefers a codec for what we send, `?filter=off` sends the microphone untouched.
// For tests and the curious: `document.documentElement.dataset.state` is lobby | connecting | connected | reconnecting |
// leaving | ended (then `dataset.ending` is its code), and `window.room` is read-only, see `inspector`.

import { Call } from "./call.js";
import { deviceChoice, lobby, toggle } from "./lobby.js";
import { HubError } from "./link.js";
import { LocalMedia } from "./media.js";
import { audioContext } from "./meter.js";
import { inbound, outbound } from "./quality.js";
import { nameOf } from "./roster.js";
import * as settings from "./settings.js";
import { View } from "./view.js";
import { ending } from "./words.js";

const ROOM = /^[A-Za-z0-9._~-]{1,64}$/;
const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const room = decodeURIComponent(location.pathname.split("/")[2] ?? "");

let token = settings.takeToken(room);
let call = null;
let view = null;
let media = null;

function newMedia() {
  const remembered = settings.load();
  return new LocalMedia({ ...remembered, filter: query.has("filter") ? query.get("filter") !== "off" : remembered.filter });
}

function chooseDevice(kind, id) {
  settings.save({ [kind]: id });
  if (kind === "speaker") view?.speakTo(id);
  else void media.choose(kind, id);
}

/** The invitation, or what the demo's hub hands out, or nothing: an open hub takes us without. */
function credentialsFor(userName) {
  let demo = null;
  return async (renew) => {
    if (token) return renew ? null : { token, userId: "", userName, role: settings.claimsOf(token).role ?? "host" };
    if (demo === null || renew) {
      const answer = await fetch(`/hub/token?${new URLSearchParams({ room, name: userName })}`).catch(() => null);
      if (!answer || answer.status >= 500) throw new HubError("service-unavailable", "the hub can't be reached");
      demo = answer.ok ? (await answer.json()).token : "";
      if (renew && !demo) return null;
    }
    return { token: demo, userId: "", userName, role: "host" };
  };
}

async function join(userName, seen) {
  const url = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/hub/ws`;
  call = new Call({ url, room, credentials: credentialsFor(userName), media, codec: query.get("codec") ?? "" });
  call.addEventListener("ended", ({ detail }) => ended(detail.code, detail.message));
  $("ended").hidden = true;
  $("room").hidden = false;
  view = new View(call, media, { speaker: settings.load().speaker, userName, seen });
  audioContext().resume().catch(() => {});
  call.start();
}

function ended(code, message) {
  media?.close();
  view?.close();
  $("device-dialog").close();
  $("room").hidden = $("lobby").hidden = true;
  const words = ending(code, message);
  $("ended-title").textContent = words.title;
  $("ended-text").textContent = words.text;
  $("ended-detail").textContent = words.detail;
  $("ended-detail").hidden = !words.detail;
  $("again").textContent = words.action;
  $("again").hidden = !words.action || words.action === "paste";
  $("paste-form").hidden = words.action !== "paste";
  $("ended").hidden = false;
  Object.assign(document.documentElement.dataset, { state: "ended", ending: code });
  document.title = `${words.title} · ${room}`;
  $("ended-title").focus();
}

async function start({ direct }) {
  delete document.documentElement.dataset.ending;
  document.title = `${room} · Room`;
  if (!ROOM.test(room)) return ended("invalid-room");
  if (!window.RTCPeerConnection || !window.AudioContext) return ended("unsupported");
  media = newMedia();
  const remembered = query.get("name") ?? (settings.load().name || settings.claimsOf(token).name || "");
  const opened = media.open();
  let name = remembered || "Guest";
  if (direct) await opened;
  else {
    document.documentElement.dataset.state = "lobby";
    name = await lobby({ media, room, name: remembered, choose: chooseDevice });
    settings.save({ name });
    await opened;
  }
  await join(name, !direct);
}

async function toggleAndKeep(kind) {
  view?.remind();
  await toggle(media, kind);
  settings.save({ [`${kind}Muted`]: media.muted[kind] });
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

/** `room.state`, `.reason`, `.userId`, `.local`, `.peers` and `await room.stats()`: values, nothing to act with. */
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
    return { audioMuted: audio, videoMuted: video, problems: { ...media?.problems }, level: call?.level, quality: call?.uplink.level };
  },
  get peers() {
    return (call?.remotes ?? []).map((remote) => ({
      userId: remote.userId,
      name: nameOf(remote.member),
      stream: remote.name,
      leg: remote.downlink.state,
      audio: remote.stream.audio ? { muted: remote.isMuted("audio"), level: remote.level, frequency: remote.frequency() } : null,
      video: remote.stream.video ? { muted: remote.isMuted("video"), ...view.tile(remote.userId)?.picture } : null,
      speaking: remote.speaking.speaking,
      quality: remote.quality.level,
    }));
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
$("devices").addEventListener("click", openDevices);
$("leave").addEventListener("click", () => void call?.leave());
$("again").addEventListener("click", () => void start({ direct: true }));
$("paste-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const pasted = settings.tokenIn($("paste").value);
  $("paste-problem").hidden = Boolean(pasted);
  if (!pasted) return;
  token = pasted;
  settings.keepToken(room, token);
  $("paste").value = "";
  $("ended").hidden = true;
  void start({ direct: false });
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog")) return;
  if (!$("room").hidden && event.key.toLowerCase() === "m") $("mic").click();
  if (!$("room").hidden && event.key.toLowerCase() === "v") $("camera").click();
});
addEventListener("online", () => call?.wake());
document.addEventListener("visibilitychange", () => document.hidden || call?.wake());
addEventListener("pagehide", () => call?.leaveNow());
addEventListener("pageshow", (event) => event.persisted && location.reload());

void start({ direct: query.get("auto") === "1" });
