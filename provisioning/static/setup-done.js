// The end of set-up: where the unit is, to be remembered.

import { call } from "./api.js";
import { connection } from "./state.js";
import { _ } from "./words.js";

const LOOK_MS = 2000;
const $ = (id) => document.getElementById(id);

let timer = 0;

async function look() {
  const state = await call("/api/state").catch(() => null);
  $("done-state").textContent = state ? _("setup.done_state", { name: state.device.name, state: connection(state).words }) : "";
  timer = setTimeout(look, LOOK_MS);
}

function link(address) {
  const item = document.createElement("li");
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.textContent = address;
  item.append(anchor);
  return item;
}

export function enter(setup) {
  const [first = `${location.origin}/`, ...others] = setup.addresses ?? [];
  $("done-address").href = first;
  $("done-address").textContent = first;
  $("done-others").replaceChildren(...others.map(link));
  $("done-qr").hidden = !setup.qr;
  if (setup.qr) $("done-qr").src = `data:image/svg+xml,${encodeURIComponent(setup.qr)}`;
  look();
}

export function leave() {
  clearTimeout(timer);
}
