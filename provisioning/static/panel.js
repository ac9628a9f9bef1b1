// The virtual front panel: one event stream paints it, the buttons go back by POST.
//
// LED brightness comes from the unit as it was really set; nothing here knows a pattern.

import { wireButtons } from "./panel-buttons.js";
import { addEvent } from "./panel-events.js";
import { Pictures } from "./pictures.js";
import { call } from "./api.js";
import { connection, displayName, network } from "./state.js";
import { _ } from "./words.js";

const $ = (id) => document.getElementById(id);
const lamps = new Map([...document.querySelectorAll("[data-led]")].map((lamp) => [lamp.dataset.led, lamp]));
const tiles = new Map(); // user id -> the tile's element
const pictures = new Pictures();
let room = null; // whose invitation the link carries

function text(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function meter(element, level) {
  element.style.setProperty("--level", String(level / 100));
  element.setAttribute("aria-valuenow", String(level));
}

function showLeds(brightness) {
  for (const [name, level] of Object.entries(brightness)) lamps.get(name)?.style.setProperty("--level", String(level));
}

function showState(state) {
  const now = connection(state);
  text($("status"), now.words);
  $("dot").dataset.tone = now.tone;
  $("detail").hidden = !now.detail;
  text($("detail"), now.detail);
  text($("network"), network(state.network_quality));
  text($("user"), state.user_id ?? "–");
  text($("sends"), sends(state));
  text($("leds"), _("panel.leds", state.leds));
  pictures.note("own", ownWords(state));
  if (state.room !== room) invite(state.room);
  $("alone").hidden = state.peers.length > 0;
  showPeers(state.peers);
}

async function invite(into) {
  room = into;
  const invitation = await call("/api/invitation", {}).catch(() => null); // a unit in another one's room invites nobody
  if (room !== into) return;
  $("join").hidden = !invitation;
  if (invitation) $("join").href = invitation.url;
}

function sends({ device, mute }) {
  const sound = device.microphone ? (mute.audio ? "sound_muted" : "sound_sent") : "no_microphone";
  const picture = device.camera ? (mute.video ? "picture_off" : "picture_sent") : "no_camera";
  return [_(`panel.${sound}`), _(`panel.${picture}`)].join(_("common.comma"));
}

function ownWords({ device, mute }) {
  if (!device.camera) return _("panel.no_camera");
  return mute.video ? _("panel.camera_off") : "";
}

function showPeers(peers) {
  for (const [userId, tile] of tiles) {
    if (peers.some((peer) => peer.user_id === userId)) continue;
    tile.remove();
    tiles.delete(userId);
    pictures.forget(userId);
  }
  for (const peer of peers) {
    const tile = tiles.get(peer.user_id) ?? addTile(peer.user_id);
    text(tile.querySelector("strong"), displayName(peer));
    tile.querySelector("canvas").setAttribute("aria-label", _("panel.picture_of", { name: displayName(peer) }));
    tile.querySelector(".meter").setAttribute("aria-label", _("panel.sound_of", { name: displayName(peer) }));
    const badge = peer.undecryptable ? _("panel.undecryptable") : !peer.audio ? _("panel.no_sound") : peer.audio.muted ? _("panel.muted") : "";
    text(tile.querySelector(".badge"), badge);
    tile.querySelector(".badge").classList.toggle("bad", peer.undecryptable);
    meter(tile.querySelector(".meter"), peer.audio?.level ?? 0);
    pictures.note(peer.user_id, peer.undecryptable ? _("panel.undecryptable") : !peer.video ? _("panel.no_picture") : peer.video.muted ? _("panel.camera_off") : "");
  }
}

function addTile(userId) {
  const tile = $("peer").content.firstElementChild.cloneNode(true);
  tile.dataset.user = userId;
  tiles.set(userId, tile);
  $("peers").append(tile);
  const url = `/panel/peer.jpg?user=${encodeURIComponent(userId)}`;
  pictures.add(userId, url, tile.querySelector("canvas"), tile.querySelector(".off"));
  return tile;
}

function listen() {
  const stream = new EventSource("/panel/events");
  const on = (name, show) => stream.addEventListener(name, (message) => show(JSON.parse(message.data)));
  on("leds", showLeds);
  on("meters", ({ microphone, speaker }) => {
    meter($("microphone"), microphone);
    meter($("speaker"), speaker);
  });
  on("state", showState);
  on("event", (event) => addEvent($("events"), event));
  stream.onopen = () => {
    $("events").replaceChildren(); // the unit tells the last ones again
    $("lost").hidden = true;
  };
  stream.onerror = () => {
    lost(_("panel.lost"));
    if (stream.readyState === EventSource.CLOSED) setTimeout(again, 2000);
  };
}

// The browser gave up: the unit was started anew and does not know this page's cookie, or lets nobody in.
async function again() {
  try {
    await call("/api/state");
    listen();
  } catch (error) {
    if (error.status !== 401) setTimeout(again, 2000); // `call` has gone to the log-in page
  }
}

function lost(words) {
  for (const lamp of lamps.values()) lamp.style.setProperty("--level", "0");
  $("lost").hidden = false;
  text($("lost"), words);
}

pictures.add("own", "/panel/camera.jpg", $("own"), $("own-off"));
wireButtons(document.querySelectorAll("[data-button]"), lost);
listen();
