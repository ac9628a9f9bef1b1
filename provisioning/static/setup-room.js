// Which room the unit goes to: its own, another unit's that was found on this network, or one by an invitation.

import { call } from "./api.js";
import { blame, clear, errorWords, onSubmit, problem } from "./forms.js";
import { canScan, scanCode } from "./scanner.js";
import { connection } from "./state.js";
import { _ } from "./words.js";

const LOOK_MS = 700;
const PATIENCE_MS = 12_000; // for the room to be joined
const $ = (id) => document.getElementById(id);
const form = $("step-room");

let hooks = null;
let chosenRoom = null; // what the unit is set to now
let seen = null; // the answer of POST /api/setup/room that waits for somebody to trust it
let stopScan = null;
let byHand = false; // token and room are typed: the link does not carry them
let visit = 0;

const where = () => form.querySelector("input[name=where]:checked")?.value ?? "own";

function paint() {
  const place = where();
  $("link-field").hidden = place !== "link";
  $("token-field").hidden = place === "own" || (place === "link" && !byHand);
  $("room-field").hidden = place === "link" && !byHand;
  $("token-hint").textContent = _(place === "link" ? "setup.token_hint" : "setup.token_hint_hub");
  $("by-hand").hidden = byHand;
  if (place !== "link") stopScan?.();
  untrust();
}

function showByHand() {
  byHand = true;
  paint();
}

// The room of a hub that was found stands in its announcement.
function suggest() {
  const chosen = form.querySelector("input[name=where]:checked");
  $("room").value = chosen?.dataset.room || chosenRoom.room;
}

function untrust() {
  seen = null;
  $("trust").hidden = true;
  $("trusted").checked = false;
  $("room-anyway").hidden = true;
}

// --- hubs on this network

async function find(thisVisit) {
  const { hubs } = await call("/api/hubs").catch(() => ({ hubs: [] })); // none is not a problem: there are other ways
  if (thisVisit !== visit) return;
  $("hubs").replaceChildren(...hubs.map((hub) => {
    const item = $("hub-template").content.firstElementChild.cloneNode(true);
    const input = item.querySelector("input");
    input.value = hub.url;
    input.dataset.room = hub.room;
    item.querySelector("strong").textContent = hub.name;
    item.querySelector("small").textContent = _("setup.hub_found", { room: hub.room, address: new URL(hub.url).host });
    return item;
  }));
}

// --- saving

async function choice() {
  const room = $("room").value.trim();
  if (where() === "own") {
    if (!room) throw blameField($("room"), _("common.required"));
    return { url: "hub:", room, token: "", fingerprint: "", key: "" };
  }
  const address = where() === "link" ? $("address").value : where();
  if (!address.trim()) throw blameField($("address"), _("common.required"));
  const typed = (id) => ($(`${id}-field`).hidden ? "" : $(id).value);
  return call("/api/setup/room", { address, room: typed("room"), token: typed("token") });
}

class Said extends Error {} // already said beside its input

function blameField(input, words) {
  problem(input, words);
  input.focus();
  return new Said();
}

async function submit() {
  try {
    const wanted = seen && $("trusted").checked ? seen : await choice();
    if (wanted.certificate === "own" && wanted !== seen) {
      ask(wanted);
      return;
    }
    if (wanted.certificate === "other") throw blameField($("address"), _("setup.other_certificate"));
    if (wanted.certificate === "unreachable") throw blameField($("address"), _("setup.hub_unreachable"));
    const before = (await call("/api/state")).connection.since;
    await join(await save(wanted) ? before : "");
  } catch (error) {
    if (!(error instanceof Said)) throw error;
  }
}

function ask(wanted) {
  seen = wanted;
  $("fingerprint").textContent = wanted.fingerprint.replace(/((?:..:){7}..):/g, "$1\n");
  $("trust").hidden = false;
  $("room").value = wanted.room;
  $("trusted").focus();
}

// Whether it is another room than before.
async function save({ url, room, token, fingerprint, key }) {
  const encryption = key ? { "room.encryption": "aes-128-gcm", "room.encryption_secret": key } : { "room.encryption": "none" };
  const settings = { "room.url": url, "room.room": room, "room.token": token, "room.fingerprint": fingerprint, ...encryption };
  const { applied } = await call("/api/config", settings, { method: "PUT" });
  return applied.some((key) => key.startsWith("room."));
}

// The unit goes there now: wait until it is in, and say why if it is not. What it was since `before` counts for nothing.
async function join(before) {
  const thisVisit = visit;
  $("room-work").hidden = false;
  $("room-anyway").hidden = true;
  try {
    await call("/api/join", {}).catch(() => null); // it may be composed anew at this very moment
    const endMs = performance.now() + PATIENCE_MS;
    let last = null;
    while (thisVisit === visit && performance.now() < endMs) {
      const state = await call("/api/state").catch(() => null);
      last = state && state.connection.since !== before ? connection(state) : null;
      $("room-work-words").textContent = last?.words ?? _("setup.joining_room");
      if (last?.tone === "good") {
        await hooks.next();
        return;
      }
      if (last?.tone === "bad") break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (thisVisit !== visit) return;
    $("room-anyway").hidden = false;
    throw new Error([last?.words, last?.detail].filter(Boolean).join(". ") || _("setup.room_slow"));
  } finally {
    $("room-work").hidden = true;
  }
}

// --- the camera of this phone

async function scan() {
  $("scanner").hidden = false;
  $("scan").hidden = true;
  $("scanner-words").textContent = _("setup.scan_aim");
  const { found, stop } = scanCode($("scanner-video"));
  stopScan = stop;
  try {
    const text = await found;
    if (text) {
      $("address").value = text;
      problem($("address"), "");
      untrust();
    }
  } catch {
    problem($("address"), _("setup.scan_refused"));
  } finally {
    stopScan = null;
    $("scanner").hidden = true;
    $("scan").hidden = false;
    $("address").focus();
  }
}

// --- the step

export function wire({ next }) {
  hooks = { next };
  form.addEventListener("change", (event) => {
    if (event.target.name !== "where") return;
    clear(form);
    suggest();
    paint();
  });
  for (const id of ["address", "room", "token"]) {
    $(id).addEventListener("input", () => {
      problem($(id), "");
      untrust();
    });
  }
  $("by-hand").addEventListener("click", () => {
    showByHand();
    $("token").focus();
  });
  $("scan").addEventListener("click", scan);
  $("scan-stop").addEventListener("click", () => stopScan?.());
  $("room-anyway").addEventListener("click", () => next());
  onSubmit(form, async () => {
    try {
      await submit();
    } catch (error) {
      if (["room", "token"].includes(error.field)) showByHand();
      if (error instanceof Error && error.constructor === Error) {
        const general = form.querySelector("[data-problem]");
        general.hidden = false;
        general.textContent = error.message;
        return;
      }
      throw error;
    }
  }, () => ({
    address: where() === "link" ? $("address") : $("token"),
    token: $("token"),
    room: $("room"),
    "room.url": $("address"),
    "room.room": $("room"),
    "room.token": $("token"),
  }));
  canScan().then((can) => {
    $("scan").hidden = !can;
  });
}

export function enter(setup) {
  visit += 1;
  chosenRoom = setup.room;
  if (!$("room").value) $("room").value = chosenRoom.room;
  if (!chosenRoom.own && !$("address").value) {
    $("address").value = chosenRoom.url;
    form.querySelector("input[value=link]").checked = true;
  }
  paint();
  find(visit);
}

export function leave() {
  visit += 1;
  stopScan?.();
  untrust();
}
