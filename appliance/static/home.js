// The home page: what the unit does, and the ways on.

import { Refused, call, connection, displayName, network } from "./unit.js";

const LOOK_MS = 2000;
const $ = (id) => document.getElementById(id);

function text(id, words) {
  if ($(id).textContent !== words) $(id).textContent = words;
}

function device(works, muted, off) {
  if (!works) return "none";
  return muted ? off : "on";
}

function show(state) {
  const now = connection(state);
  $("login").hidden = true;
  $("unit").hidden = false;
  $("problem").hidden = !now.detail;
  text("problem", now.detail);
  text("name", state.device.name);
  document.title = state.device.name;
  text("status", now.words);
  $("dot").dataset.tone = now.tone;
  $("join").href = `/join/${encodeURIComponent(state.room)}`;
  $("panel").hidden = !state.device.panel;
  text("room", state.room);
  text("others", state.peers.length ? state.peers.map(displayName).join(", ") : "nobody yet");
  text("network", network(state.network_quality));
  text("microphone", device(state.device.microphone, state.mute.audio, "muted"));
  text("camera", device(state.device.camera, state.mute.video, "off"));
  text("version", state.device.version);
  text("example", `curl -H "Authorization: Bearer TOKEN" ${location.origin}/api/state`);
}

async function look() {
  try {
    show(await call("/api/state"));
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      $("login").hidden = false;
      $("unit").hidden = true;
      text("status", "Who are you?");
      return;
    }
    text("status", "The unit does not answer. Is it running?");
    $("dot").dataset.tone = "bad";
  }
  setTimeout(look, LOOK_MS);
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await call("/login", { token: $("token").value.trim() });
    $("token").value = "";
    $("login-problem").hidden = true;
    await look();
  } catch (error) {
    $("login-problem").hidden = false;
    text("login-problem", error instanceof Refused ? error.message : "The unit does not answer.");
  }
});

look();
