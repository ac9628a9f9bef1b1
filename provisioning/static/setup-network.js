// Into a network: what is in reach, joining it, and what the phone is told when the unit's own network goes away for it.

import { Refused, call, say } from "./api.js";
import { blame, busy, clear, errorWords, onSubmit, problem } from "./forms.js";
import { _, language } from "./words.js";

const POLL_MS = 1500;
const SLOW_MS = 8000; // joining takes longer than that now and then: say that it is normal
const FETCH_MS = 4000; // a phone that changes networks leaves requests hanging
const $ = (id) => document.getElementById(id);
const COUNTRIES = (
  "AD AE AF AL AM AR AT AU AZ BA BD BE BG BH BN BO BR BY CA CH CL CN CO CR CY CZ DE DK DO DZ EC EE EG ES FI FR GB GE GR " +
  "GT HK HN HR HU ID IE IL IN IQ IR IS IT JM JO JP KE KH KR KW KZ LB LI LK LT LU LV MA MC MD ME MK MN MO MT MV MX MY NG " +
  "NI NL NO NP NZ OM PA PE PH PK PL PR PT PY QA RO RS RU SA SE SG SI SK SV TH TN TR TT TW UA US UY UZ VE VN YE ZA ZW"
).split(" ");

let hooks = null;
let address = ""; // where the unit will be found by its name
let active = 0; // counts the visits to this step: a loop of an earlier one ends
let chosen = null; // the network of the form; null ssid: a hidden one
let attempt = null; // {ssid, since} that this page asked for

function get(path) {
  return call(path, undefined, { signal: AbortSignal.timeout(FETCH_MS) });
}

const connected = (status, kind) => status.interfaces.find((one) => one.kind === kind && one.state === "connected");

function paintNow(status) {
  const wifi = connected(status, "wifi");
  const cable = connected(status, "ethernet");
  const isOnline = !status.available || wifi || cable;
  const words = !status.available
    ? _("setup.network_not_ours")
    : wifi ? _("setup.network_wifi", { ssid: wifi.ssid ?? "" }) : cable ? _("setup.network_cable") : "";
  $("network-now").hidden = !words;
  $("network-now").textContent = words;
  $("network-choice").hidden = !status.available || Boolean(attempt);
  $("network-next").hidden = !isOnline || Boolean(attempt);
}

// --- what is in reach

function bars(signal) {
  return String(Math.max(1, Math.min(4, Math.ceil(signal / 25))));
}

function row(network) {
  const item = $("network-template").content.firstElementChild.cloneNode(true);
  const button = item.querySelector("button");
  item.querySelector("strong").textContent = network.ssid;
  item.querySelector(".bars").dataset.bars = bars(network.signal);
  const notes = [
    network.in_use ? _("setup.in_use") : network.known ? _("setup.known") : "",
    _(`setup.security_${network.security}`),
    _("setup.signal", { percent: network.signal }),
  ];
  item.querySelector("small").textContent = notes.filter(Boolean).join(" · ");
  item.querySelector(".choice-mark").hidden = network.security === "open";
  button.disabled = network.security === "unsupported";
  button.addEventListener("click", () => choose(network, button));
  return item;
}

function hiddenRow() {
  const item = row({ ssid: _("setup.other_network"), signal: 0, security: "wpa2" });
  item.querySelector("small").textContent = _("setup.other_network_help");
  item.querySelector(".bars").style.visibility = "hidden";
  const button = item.querySelector("button");
  const fresh = button.cloneNode(true);
  button.replaceWith(fresh);
  fresh.addEventListener("click", () => choose({ ssid: null, security: "wpa2" }, fresh));
  return item;
}

async function scan() {
  $("scanning").hidden = false;
  $("no-networks").hidden = true;
  try {
    const { networks } = await call("/api/network/scan", undefined, { signal: AbortSignal.timeout(30_000) });
    closeForm();
    $("networks").replaceChildren(...networks.map(row), hiddenRow());
    $("no-networks").hidden = networks.length > 0;
    $("no-networks").textContent = _("setup.no_networks");
  } catch (error) {
    $("networks").replaceChildren(hiddenRow());
    $("no-networks").hidden = false;
    $("no-networks").textContent = errorWords(error);
  } finally {
    $("scanning").hidden = true;
  }
}

// --- the form of one network

function closeForm() {
  $("join-wifi").hidden = true;
  $("network-choice").append($("join-wifi"));
  for (const button of document.querySelectorAll("#networks button")) button.removeAttribute("aria-expanded");
  chosen = null;
}

function choose(network, button) {
  closeForm();
  chosen = network;
  const form = $("join-wifi");
  clear(form);
  button.setAttribute("aria-expanded", "true");
  button.closest("li").append(form);
  form.hidden = false;
  $("ssid-field").hidden = network.ssid !== null;
  $("psk-field").hidden = network.security === "open";
  $("psk").value = "";
  (network.ssid === null ? $("ssid") : network.security === "open" ? form.querySelector("[type=submit]") : $("psk")).focus();
}

function wish() {
  const join = { ssid: chosen.ssid ?? $("ssid").value, country: $("country").value };
  if (chosen.ssid === null) join.hidden = true;
  if (chosen.security !== "open" && $("psk").value) join.password = $("psk").value;
  if ($("static-address").value.trim()) {
    join.static = {
      address: $("static-address").value.trim(),
      gateway: $("static-gateway").value.trim(),
      dns: $("static-dns").value.split(/[\s,]+/).filter(Boolean),
    };
  }
  return join;
}

const inputs = () => ({
  ssid: $("ssid"), password: $("psk"), country: $("country"), "static": $("static-address"),
  "static.address": $("static-address"), "static.gateway": $("static-gateway"), "static.dns": $("static-dns"),
});

async function join() {
  const asked = wish();
  if (!asked.ssid) {
    problem($("ssid"), _("common.required"));
    $("ssid").focus();
    return;
  }
  if (chosen.ssid !== null && chosen.security !== "open" && !asked.password && !chosen.known) {
    problem($("psk"), _("common.required"));
    $("psk").focus();
    return;
  }
  await call("/api/network/connect", asked);
  attempt = { ssid: asked.ssid, since: performance.now() };
  follow(active);
}

// --- while it joins

function paintWork(ssid) {
  $("network-work").hidden = false;
  $("network-choice").hidden = true;
  $("network-next").hidden = true;
  $("network-work-words").textContent = _("setup.joining", { ssid });
  $("network-work-more").textContent =
    performance.now() - attempt.since > SLOW_MS ? _("setup.joining_slow") : _("setup.joining_more");
}

function paintAway(isAway) {
  const wasAway = !$("network-away").hidden;
  $("network-away").hidden = !isAway;
  if (!isAway) return;
  $("away-ssid").textContent = attempt?.ssid ?? "";
  $("away-address").href = `${address}setup`;
  $("away-address").textContent = address;
  if (!wasAway) say($("network-away").innerText);
}

async function follow(visit) {
  while (visit === active && attempt) {
    paintWork(attempt.ssid);
    try {
      const status = await get("/api/network");
      paintAway(false);
      const last = status.last_attempt;
      if (last && last.state !== "joining") {
        ended(status, last);
        return;
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
      paintAway(true); // the unit's own network went away: on one radio it has to
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function ended(status, last) {
  const { ssid } = attempt;
  attempt = null;
  $("network-work").hidden = true;
  paintNow(status);
  if (last.state === "joined") {
    await hooks.next();
    return;
  }
  const form = $("join-wifi");
  const { code, message, field } = last.error;
  const error = new Refused(409, {
    code: code === "invalid" ? code : "",
    message: code === "failed" || code === "invalid" ? message : _(`setup.network_${code}`),
    field: code === "bad-password" ? "password" : field,
  });
  if (!chosen) {
    $("no-networks").hidden = false;
    $("no-networks").textContent = `${ssid}: ${errorWords(error)}`;
    return;
  }
  blame(form, error, inputs());
}

// --- the step

function fillCountries() {
  const names = new Intl.DisplayNames([language], { type: "region" });
  const sorted = COUNTRIES.map((code) => [names.of(code), code]).sort(([one], [other]) => one.localeCompare(other, language));
  const same = new Option(_("setup.country_same"), "");
  $("country").replaceChildren(same, ...sorted.map(([name, code]) => new Option(name, code)));
}

export function wire({ next }) {
  hooks = { next };
  fillCountries();
  onSubmit($("join-wifi"), join, inputs);
  $("join-cancel").addEventListener("click", () => {
    const opener = document.querySelector("#networks [aria-expanded]");
    closeForm();
    opener?.focus();
  });
  $("rescan").addEventListener("click", () => busy($("rescan"), scan));
  $("network-next").addEventListener("click", () => busy($("network-next"), next));
}

export async function enter(setup) {
  const visit = ++active;
  address = setup.addresses?.[0] ?? `${location.origin}/`;
  $("network-work").hidden = true;
  paintAway(false);
  try {
    const status = await get("/api/network");
    if (visit !== active) return;
    if (status.last_attempt?.state === "joining") {
      attempt = { ssid: status.last_attempt.ssid, since: performance.now() };
      follow(visit);
      return;
    }
    paintNow(status);
    if (status.available) await busy($("rescan"), scan);
  } catch (error) {
    $("no-networks").hidden = false;
    $("no-networks").textContent = errorWords(error);
    $("networks").replaceChildren(hiddenRow());
  }
}

export function leave() {
  active += 1;
  attempt = null;
  closeForm();
}
