// The settings: every key of the schema in its section, saved together; what waits for a restart; what was taken back.

import { call, Refused, say, toast } from "./api.js";
import { busy, clear, errorWords, onSubmit, problem, wireReveals } from "./forms.js";
import { Field, labelOf, nameOf } from "./settings-field.js";
import { wireTokens } from "./settings-tokens.js";
import { _, has, language } from "./words.js";

const LOOK_MS = 2000;
const AWAY_MS = 500; // the unit needs so long to go at least
const BACK_MS = 300;
const BACK_LIMIT_MS = 60_000;
const $ = (id) => document.getElementById(id);
const list = (names) => names.map(labelOf).join(_("common.comma"));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const fields = new Map(); // by "section.key"
let status = null; // what GET /api/config said last

const changed = () => [...fields.values()].filter((field) => field.isChanged);

function showBar() {
  const count = changed().length;
  $("save-bar").hidden = !count;
  $("save-words").textContent = count ? _("settings.changes", { count }) : "";
}

function showStatus() {
  const { notice, pending, on_trial: onTrial } = status;
  $("notice").hidden = !notice;
  if (notice) {
    const at = new Date(notice.at * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
    $("notice-keys").textContent = _("settings.taken_back_keys", { keys: list(notice.keys) || "–", time: at });
    $("notice-reason").textContent = notice.reason;
  }
  $("pending").hidden = !pending.length;
  $("pending-keys").textContent = list(pending);
  $("trial").hidden = !onTrial || pending.length > 0;
}

function adopt(answer, { untouched = false } = {}) {
  status = answer;
  document.querySelector("[data-unit-name]").textContent = answer.config.device.name;
  for (const [name, field] of fields) {
    const [section, key] = name.split(".");
    if (!untouched || !field.isChanged) field.set(answer.config[section][key]);
  }
  showStatus();
  showBar();
}

function build(keys) {
  const sections = new Map();
  for (const info of keys) {
    const field = new Field(info, showBar);
    fields.set(nameOf(info), field);
    if (!sections.has(info.section)) sections.set(info.section, []);
    sections.get(info.section).push(field);
  }
  for (const [section, members] of sections) {
    const fold = document.createElement("details");
    fold.className = "card fold";
    fold.id = `section-${section}`;
    const summary = document.createElement("summary");
    const title = document.createElement("h2");
    title.textContent = has(`settings.section_${section}`) ? _(`settings.section_${section}`) : section;
    const words = document.createElement("p");
    words.textContent = has(`settings.about_${section}`) ? _(`settings.about_${section}`) : "";
    summary.append(title, words);
    const inside = document.createElement("div");
    inside.className = "fold-keys";
    inside.append(...members.map((field) => field.root));
    fold.append(summary, inside);
    $("sections").append(fold);
  }
  const wished = document.getElementById(`section-${location.hash.slice(1)}`);
  if (wished) wished.open = true;
}

function find() {
  const words = $("find").value.trim().toLowerCase();
  let found = 0;
  for (const fold of document.querySelectorAll(".fold")) {
    const members = [...fields.values()].filter((field) => fold.contains(field.root));
    const hits = members.filter((field) => field.matches(words));
    for (const field of members) field.root.hidden = !hits.includes(field);
    fold.hidden = !hits.length;
    fold.open = Boolean(words) && hits.length > 0;
    found += hits.length;
  }
  $("found-none").hidden = found > 0;
}

// Opens what hides the field and goes there.
function goTo(field) {
  $("find").value = "";
  field.root.hidden = false;
  const fold = field.root.closest("details");
  fold.hidden = false;
  fold.open = true;
  field.input.focus({ preventScroll: true });
  field.input.scrollIntoView({ block: "center" });
}

function blameAll(error) {
  const problems = (error.problems ?? []).filter(({ field }) => fields.has(field));
  for (const { field, message } of problems) fields.get(field).blame(message.replace(/^= \S+; /, ""));
  if (problems.length) goTo(fields.get(problems[0].field));
  const general = $("keys").querySelector("[data-problem]");
  general.hidden = problems.length > 0;
  general.textContent = errorWords(error);
}

async function save() {
  const wanted = changed();
  const faulty = wanted.filter((field) => {
    field.blame(field.fault());
    return field.fault();
  });
  if (faulty.length) {
    goTo(faulty[0]);
    return;
  }
  const changes = Object.fromEntries(wanted.map((field) => [field.name, field.value]));
  try {
    const { restart } = await call("/api/config", changes, { method: "PUT" });
    adopt(await call("/api/config"));
    toast(_(restart.length ? "settings.saved_restart" : "settings.saved"));
  } catch (error) {
    blameAll(error);
  }
}

// Shows that the unit is away.
function showAway() {
  $("restarting").hidden = false;
  $("pending").hidden = true;
  $("trial").hidden = true;
  $("restarting").scrollIntoView({ block: "center" });
  say(_("settings.restarting"));
}

// Goes to where the unit's `page` will be.
async function follow({ scheme, port }, page) {
  const address = new URL(page, location.href);
  if (scheme) address.protocol = `${scheme}:`;
  if (port) address.port = port;
  $("moved").hidden = address.origin === location.origin;
  $("moved-to").href = address.href;
  $("moved-to").textContent = address.href;
  await wait(2 * LOOK_MS);
  location.assign(address.href);
}

// Follows the unit to where it comes back.
async function restart() {
  const place = await call("/api/restart", {});
  showAway();
  if (place.scheme || place.port) {
    await follow(place, location.href);
    return;
  }
  if (await comeBack()) {
    $("restarting").hidden = true;
    toast(_("settings.restarted"));
  }
}

async function comeBack() {
  await wait(AWAY_MS);
  for (const until = Date.now() + BACK_LIMIT_MS; Date.now() < until; await wait(BACK_MS)) {
    try {
      adopt(await call("/api/config"), { untouched: true });
      return true;
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
  }
  toast(_("common.unreachable"), "bad");
  return false;
}

function ask(title, words, yes) {
  $("ask-title").textContent = title;
  $("ask-words").textContent = words;
  $("ask-yes").textContent = yes;
  const dialog = $("ask");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function wireButton(id, work) {
  $(id).addEventListener("click", () => busy($(id), () => work().catch((error) => toast(errorWords(error), "bad"))));
}

function wire() {
  $("find").addEventListener("input", find);
  $("keys").addEventListener("submit", (event) => {
    event.preventDefault();
    clear($("keys"));
    busy($("save"), save);
  });
  $("discard").addEventListener("click", () => adopt(status));
  wireButton("restart", restart);
  wireButton("restart-unit", async () => {
    if (await ask(_("settings.restart_unit"), _("settings.restart_words"), _("settings.restart_now"))) await restart();
  });
  wireButton("notice-ok", async () => {
    await call("/api/config/notice", undefined, { method: "DELETE" });
    status.notice = null;
    showStatus();
  });
  wireButton("reset", async () => {
    if (!(await ask(_("settings.reset"), _("settings.reset_words"), _("settings.reset_yes")))) return;
    const place = await call("/api/reset", { confirm: "factory-reset" });
    showAway();
    await follow(place, "/setup");
  });
  onSubmit($("import-form"), async () => {
    const [file] = $("import-file").files;
    if (!file) {
      problem($("import-file"), _("common.required"));
      return;
    }
    if (!(await ask(_("settings.import"), _("settings.import_words"), _("settings.import")))) return;
    const { restart: waiting } = await call("/api/config/import", { toml: await file.text() });
    adopt(await call("/api/config"));
    toast(_(waiting.length ? "settings.saved_restart" : "settings.saved"));
  });
  onSubmit($("password-form"), async () => {
    const wish = { current: $("current").value, new: $("new").value };
    await call("/api/auth/password", wish);
    $("password-form").reset();
    toast(_("settings.password_changed"));
  }, () => ({ current: $("current"), new: $("new") }));
  addEventListener("beforeunload", (event) => {
    if (changed().length) event.preventDefault();
  });
  wireReveals();
  wireTokens(ask);
}

async function look() {
  try {
    if ($("restarting").hidden && !document.hidden) adopt(await call("/api/config"), { untouched: true });
  } catch {
    // away for a moment: the next look tells
  }
  setTimeout(look, LOOK_MS);
}

async function begin() {
  const [schema, config] = await Promise.all([call("/api/config/schema"), call("/api/config")]);
  const keys = schema.keys.filter((key) => !key.later);
  build(keys);
  adopt(config);
  wire();
  $("loading").hidden = true;
  $("keys").hidden = false;
  setTimeout(look, LOOK_MS);
}

begin().catch((error) => {
  $("loading").textContent = errorWords(error);
});
