// Diagnostics: the unit as it is now and was in the last hour, looked at again and again.

import { call, words } from "./api.js";
import { draw, HOUR_S, roundTop, spanOf } from "./diagnostics-chart.js";
import { followLog, restartLog, wireLog } from "./diagnostics-log.js";
import { connection, displayName, qualityWord } from "./state.js";
import { _, has, language } from "./words.js";

const LOOK_MS = 3000;
const BAD = /^(failed|crashed|restarting)/;
const $ = (id) => document.getElementById(id);
const number = (value, digits = 0) => value.toLocaleString(language, { maximumFractionDigits: digits });
const ms = (value) => (value === null || value === undefined ? "–" : _("diagnostics.ms", { ms: number(value, value < 10 ? 1 : 0) }));
const kbps = (value) => (value === null ? "–" : _("diagnostics.kbps", { rate: number(value / 1000) }));
const percent = (share) => (share === null ? "–" : `${number(100 * share, 1)} %`);
const gigabytes = (value) => number(value / 2 ** 30, 1);
const word = (key, otherwise) => (has(`diagnostics.${key}`) ? _(`diagnostics.${key}`) : otherwise);

let samples = [];
let begun = null; // when the unit's numbers began: a new beginning starts the history anew

function element(tag, text, properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...properties });
}

// Rows of a <dl>: [term, words, {tone, more}].
function facts(list, rows) {
  list.replaceChildren(
    ...rows.map(([term, text, { tone = "", more = "" } = {}]) => {
      const value = element("dd", "");
      if (tone) {
        const dot = element("span", "", { className: "dot" });
        dot.dataset.tone = tone;
        dot.setAttribute("aria-hidden", "true");
        value.append(dot);
      }
      value.append(text);
      if (more) value.append(element("small", more));
      const row = element("div", "");
      row.append(element("dt", term), value);
      return row;
    }),
  );
}

function duration(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return _("diagnostics.days", { days, hours });
  return hours ? _("diagnostics.hours", { hours, minutes }) : _("diagnostics.minutes", { minutes, seconds: Math.floor(seconds % 60) });
}

// [[name, words]] of nested health.
function leaves(health, prefix = "") {
  return Object.entries(health).flatMap(([name, value]) =>
    typeof value === "string" ? [[prefix + name, value]] : leaves(value, `${prefix}${name} / `),
  );
}

function showState({ state, up_s: upS }) {
  const now = connection(state);
  $("dot").dataset.tone = now.tone;
  $("status").textContent = [now.words, now.detail].filter(Boolean).join(" ");
  facts($("state"), [
    [_("diagnostics.version"), state.device.version],
    [_("diagnostics.running"), duration(upS)],
    ...leaves(state.health).map(([name, text]) => {
      const [first, ...rest] = text.split(": ");
      const tone = BAD.test(first) ? "bad" : first === "ok" ? "good" : "busy";
      return [word(`part_${name}`, name), word(`health_${first}`, first), { tone, more: rest.join(": ") }];
    }),
  ]);
}

// How both ends talk, and what is done against the echo.
function talkRow({ duplex, echo, error, erle_db: erleDb, resets, double_talk: isDouble }) {
  const canceled = erleDb === null ? _("diagnostics.echo_cancelled") : _("diagnostics.echo_erle", { db: number(erleDb) });
  const more = [
    echo === "cancelled" ? canceled : _(`diagnostics.echo_${echo}`, { error }),
    resets ? _("diagnostics.echo_resets", { count: resets }) : "",
    isDouble ? _("diagnostics.double_talk") : "",
  ];
  const tone = echo === "failed" ? "bad" : "good";
  return [_("diagnostics.near_end"), _(`diagnostics.duplex_${duplex}`), { tone, more: more.filter(Boolean).join(" · ") }];
}

function showDevices({ devices, near_end: nearEnd }) {
  facts(
    $("devices"),
    devices.length
      ? [...devices.map((device) => {
          const measured = [
            device.error,
            device.losses ? _("diagnostics.losses", { count: device.losses }) : "",
            device.xruns ? _("diagnostics.xruns", { count: device.xruns }) : "",
          ];
          const text = device.works ? device.label || device.device_id : _("diagnostics.does_not_work");
          return [word(`kind_${device.kind}`, device.kind), text, { tone: device.works ? "good" : "bad", more: measured.filter(Boolean).join(" · ") }];
        }), ...(nearEnd ? [talkRow(nearEnd)] : [])]
      : [[_("diagnostics.devices_title"), _("diagnostics.none")]],
  );
}

function showCalls({ legs, state }) {
  const names = new Map(state.peers.map((peer) => [peer.user_id, displayName(peer)]));
  $("no-legs").hidden = legs.length > 0;
  $("legs").closest(".scroll").hidden = !legs.length;
  $("legs").replaceChildren(
    ...legs.map((leg) => {
      const row = element("tr", "");
      const sent = leg.direction === "up" ? leg.packets : leg.packets + leg.packets_lost; // what was sent counts the lost
      row.append(
        element("th", names.get(leg.user_id) ?? (leg.user_id || "–"), { scope: "row" }),
        ...[_(`diagnostics.${leg.direction}`), kbps(leg.bps), percent(sent ? leg.packets_lost / sent : null), ms(leg.rtt_ms), ms(leg.jitter_ms), number(leg.packets)].map((text) => element("td", text)),
      );
      return row;
    }),
  );
}

// One's own first; a picture with its layer, the sound of a shared tab with its stream.
function showTracks({ tracks }) {
  $("tracks").closest("section").hidden = !tracks.length;
  $("tracks").replaceChildren(
    ...tracks.map((track) => {
      const row = element("tr", "");
      const name = track.is_remote ? track.user_name || track.user_id : _("diagnostics.this_unit");
      const kind = track.media_type === "audio" && track.stream_type === "screen" ? "screen_audio" : track.media_type;
      row.append(
        element("th", name, { scope: "row" }),
        ...[
          _(`diagnostics.track_${kind}`),
          track.layer ? _(`diagnostics.layer_${track.layer}`) : "–",
          kbps(track.bitrate_kbps * 1000),
          track.frame_rate === null ? "–" : number(track.frame_rate, 1),
          percent(track.loss),
          ms(track.rtt_ms),
          ms(track.jitter_ms),
        ].map((text) => element("td", text)),
      );
      return row;
    }),
  );
}

function showStages({ state }) {
  $("stages").replaceChildren(
    ...Object.entries(state.stages).map(([stage, { p50_ms: p50, p95_ms: p95, max_ms: max }]) => {
      const row = element("tr", "");
      row.append(element("th", word(`stage_${stage}`, stage), { scope: "row" }), ...[p50, p95, max].map((value) => element("td", ms(value))));
      return row;
    }),
  );
}

function showMachine({ system, state }) {
  if (!system) return;
  const alarms = Object.entries(system.throttled ?? {}).filter(([, on]) => on).map(([name]) => word(`throttled_${name}`, name));
  const rows = [
    [_("diagnostics.model"), system.model ?? "–"],
    [
      _("diagnostics.video_strain"),
      state.video.rungs ? _(`diagnostics.strain_${state.video.reason}`, { rungs: state.video.rungs }) : _("diagnostics.none"),
      { tone: state.video.rungs ? "bad" : "good" },
    ],
    [_("diagnostics.temperature"), system.temperature_c === null ? "–" : `${number(system.temperature_c, 1)} °C`],
    [
      _("diagnostics.throttling"),
      system.throttled === null ? _("diagnostics.unknown") : alarms.join(_("common.comma")) || _("diagnostics.none"),
      { tone: system.throttled === null ? "" : alarms.length ? "bad" : "good" },
    ],
    [_("diagnostics.load"), system.cpu ? `${system.cpu.load.map((value) => number(value, 2)).join("\u00a0· ")} / ${system.cpu.cores}` : "–"],
  ];
  for (const kind of ["memory", "disk"]) {
    const { available, total } = system[kind] ?? {};
    rows.push([_(`diagnostics.${kind}`), total ? _("diagnostics.free", { free: gigabytes(available), all: gigabytes(total) }) : "–"]);
  }
  const clock = { true: "clock_set", false: "clock_not_set", null: "unknown" }[String(system.clock_synchronized)];
  rows.push([_("diagnostics.clock"), _(`diagnostics.${clock}`)]);
  facts($("machine"), rows);
}

function showHistory({ now_s: nowS, history, sample_s: sampleS, up_s: upS }) {
  if (begun === null || nowS - upS > begun + 1) {
    samples = [];
    begun = nowS - upS;
  }
  samples = [...samples, ...history].filter((sample) => nowS - sample.monotonic_s <= HOUR_S);
  const line = (value) => samples.map((sample) => [nowS - sample.monotonic_s, value(sample)]);
  const values = (...keys) => samples.flatMap((sample) => keys.map((key) => sample[key]));
  const gapS = 3 * sampleS;
  const newest = samples.at(-1);
  const spanS = spanOf(samples.length ? nowS - samples[0].monotonic_s : 0);
  for (const mark of document.querySelectorAll("[data-begin]")) mark.textContent = _("diagnostics.ago", { minutes: spanS / 60 });
  // Level 1 is the best and stands on top; 0 is "not measured".
  const height = (key) => (sample) => (sample[key] ? 7 - sample[key] : null);
  const charts = {
    quality: { lines: [line(height("uplink")), line(height("downlink"))], top: 6, steps: 6, now: newest && _("diagnostics.up_down", { up: qualityWord(newest.uplink), down: qualityWord(newest.downlink) }) },
    rtt: { lines: [line((sample) => sample.rtt_ms)], top: roundTop(values("rtt_ms"), 20), now: newest && ms(newest.rtt_ms) },
    rates: { lines: [line((sample) => (sample.in_room ? sample.uplink_bps : null)), line((sample) => (sample.in_room ? sample.downlink_bps : null))], top: roundTop(values("uplink_bps", "downlink_bps"), 100_000), now: newest && _("diagnostics.up_down", { up: kbps(newest.uplink_bps), down: kbps(newest.downlink_bps) }) },
    heat: { lines: [line((sample) => sample.temperature_c)], top: 100, now: newest?.temperature_c ? `${number(newest.temperature_c, 1)} °C` : "–" },
    lag: { lines: [line((sample) => sample.loop_lag_ms)], top: roundTop(values("loop_lag_ms"), 10), now: newest && ms(newest.loop_lag_ms) },
  };
  $("heat").closest("figure").hidden = samples.every((sample) => sample.temperature_c === null);
  for (const [id, { lines, top, steps, now }] of Object.entries(charts)) {
    draw($(id), lines, { top, steps, gapS, spanS });
    const scale = { quality: "", heat: "100 °C", rates: kbps(top) }[id] ?? ms(top);
    $(`${id}-now`).textContent = [now ?? "–", scale && _("diagnostics.scale", { top: scale })].filter(Boolean).join(" · ");
  }
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await call(`/api/diagnostics?after=${samples.at(-1)?.number ?? 0}`);
      if (begun !== null && answer.now_s - answer.up_s > begun + 1) {
        samples = []; // another composition of the unit: its numbers begin anew
        begun = null;
        return void setTimeout(look, 0);
      }
      for (const show of [showState, showDevices, showCalls, showTracks, showStages, showMachine, showHistory]) show(answer);
      await followLog();
      $("away").hidden = true;
    } catch (error) {
      $("away").hidden = false;
      $("away").textContent = words(error);
    }
  }
  setTimeout(look, LOOK_MS);
}

wireLog();
look();
addEventListener("visibilitychange", () => document.hidden || restartLog());
