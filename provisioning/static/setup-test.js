// Camera, microphone, speaker and LEDs, seen and heard by whoever stands before the unit.

import { call } from "./api.js";
import { blame, busy } from "./forms.js";
import { Pictures } from "./pictures.js";
import { _ } from "./words.js";

const TONES = { works: "good", waiting: "busy", absent: "", shut: "busy" };
const $ = (id) => document.getElementById(id);
const section = $("step-test");

let stream = null;
let pictures = null;
let heard = false; // the microphone picked something up since this step was opened

function meter(element, level) {
  element.style.setProperty("--level", String(level / 100));
  element.setAttribute("aria-valuenow", String(level));
}

function paintDevice(name, state, words = "") {
  const place = section.querySelector(`[data-device="${name}"]`);
  place.querySelector(".dot").dataset.tone = TONES[state];
  place.querySelector("[data-words]").textContent = words || _(`setup.device_${state}`);
  for (const button of place.querySelectorAll("button:not(#unmute)")) button.disabled = state !== "works";
}

function paintDevices(devices) {
  for (const [name, state] of Object.entries(devices)) paintDevice(name, state);
  if (devices.microphone === "works" && heard) paintDevice("microphone", "works", _("setup.heard"));
  $("unmute").hidden = devices.microphone !== "shut" && devices.camera !== "shut";
  pictures.note("own", devices.camera === "works" ? "" : _(`setup.device_${devices.camera}`));
}

function paintLevels({ microphone, speaker }) {
  meter($("microphone-meter"), microphone);
  meter($("speaker-meter"), speaker);
  if (microphone > 25 && !heard) {
    heard = true;
    paintDevice("microphone", "works", _("setup.heard"));
  }
}

function listen() {
  stream = new EventSource("/api/test/levels");
  stream.addEventListener("devices", (message) => paintDevices(JSON.parse(message.data)));
  stream.addEventListener("levels", (message) => paintLevels(JSON.parse(message.data)));
}

function tryOut(id, path) {
  $(id).addEventListener("click", () => busy($(id), async () => {
    try {
      await call(path, {});
    } catch (error) {
      blame(section, error);
    }
  }));
}

export function wire({ next }) {
  tryOut("chime", "/api/test/speaker");
  tryOut("walk-leds", "/api/test/leds");
  $("unmute").addEventListener("click", () => busy($("unmute"), () => call("/api/mute", { audio: false, video: false })));
  $("finish").addEventListener("click", () => busy($("finish"), async () => {
    try {
      await call("/api/setup/finish", {});
      await next();
    } catch (error) {
      blame(section, error);
    }
  }));
}

export function enter() {
  heard = false;
  section.querySelector("[data-problem]").hidden = true;
  pictures = new Pictures();
  pictures.add("own", "/api/test/camera.jpg", $("picture"), $("picture-off"));
  listen();
}

export function leave() {
  stream?.close();
  pictures?.forget("own");
}
