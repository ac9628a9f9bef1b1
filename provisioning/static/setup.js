// The wizard: which step is shown. What is done follows from the unit's own facts (`GET /api/setup`), so this page can
// be reloaded, or opened by another address, at any point.

import { call, say } from "./api.js";
import { wireReveals } from "./forms.js";
import * as claim from "./setup-claim.js";
import * as done from "./setup-done.js";
import * as name from "./setup-name.js";
import * as network from "./setup-network.js";
import * as room from "./setup-room.js";
import * as test from "./setup-test.js";
import { _ } from "./words.js";

const RETRY_MS = 2000;
const $ = (id) => document.getElementById(id);
const steps = { claim, name, network, room, test, done };
const names = Object.keys(steps);

let setup = null; // the last answer of GET /api/setup
let shown = "";

function section(step) {
  return $(`step-${step}`);
}

function paintWalk() {
  for (const link of document.querySelectorAll("[data-step]")) {
    const step = setup.steps.find((one) => one.name === link.dataset.step);
    const isShown = step.name === shown;
    link.dataset.done = String(step.done);
    if (isShown) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
    if (step.may_open || isShown) link.href = `#${step.name}`;
    else link.removeAttribute("href");
  }
  const at = names.indexOf(shown) + 1;
  $("walk-now").textContent = _("setup.step_of", { at, of: names.length, step: _(`setup.step_${shown}`) });
}

function show(step, { focus = true } = {}) {
  if (shown !== step) {
    if (shown) {
      steps[shown].leave?.();
      section(shown).hidden = true;
    }
    shown = step;
    section(step).hidden = false;
    steps[step].enter(setup, { next, refresh });
  }
  $("loading").hidden = true;
  paintWalk();
  const heading = section(step).querySelector("h1");
  document.title = `${heading.textContent} · ${setup.name || document.title.split(" · ").at(-1)}`;
  for (const place of document.querySelectorAll("[data-unit-name]")) if (setup.name) place.textContent = setup.name;
  if (focus) {
    heading.focus({ preventScroll: true });
    scrollTo({ top: 0 });
    say($("walk-now").textContent);
  }
}

async function refresh() {
  setup = await call("/api/setup");
  return setup;
}

// Where the address wants to go, if the facts allow it; else the next step that is to be done.
function wanted() {
  const asked = location.hash.slice(1);
  return setup.steps.some((step) => step.name === asked && step.may_open) ? asked : setup.step;
}

// On from the step that is shown: after it was saved, or as it is.
async function next() {
  await refresh();
  const following = names[names.indexOf(shown) + 1] ?? "done";
  const step = setup.steps.find((one) => one.name === following);
  const target = step.may_open ? following : setup.step;
  if (target === shown) return;
  history.pushState(null, "", `#${target}`);
  show(target);
}

async function start() {
  claim.takeCode();
  for (;;) {
    try {
      await refresh();
      break;
    } catch {
      $("lost").hidden = false;
      $("lost").textContent = _("common.unreachable");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  $("lost").hidden = true;
  show(wanted(), { focus: false });
}

addEventListener("hashchange", () => {
  claim.takeCode();
  if (setup) show(wanted());
});
for (const step of Object.values(steps)) step.wire?.({ next, refresh });
wireReveals();
start();
