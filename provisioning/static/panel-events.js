// The list of what happened: events of the unit in words, the newest first.

import { qualityWord } from "./state.js";
import { _, language } from "./words.js";

const KEPT = 60;

const names = new Map(); // user id -> name, from those who came in

const named = (userId) => names.get(userId) || userId;

function person({ user_id: userId, user_name: name }) {
  if (name) names.set(userId, name);
  return named(userId);
}
const say = (key, values) => _(`panel.event_${key}`, values);
const user = (key) => (fields) => say(key, { name: named(fields.user_id) });
const stream = (key) => (fields) =>
  say(key, { name: named(fields.stream.user_id), kinds: (fields.kinds ?? [fields.kind]).map(kindWord).join(" + ") });
const kindWord = (kind) => _(`panel.kind_${kind}`);
const device = (kind) => (fields) =>
  fields.state === "ADD"
    ? say("device_works", { device: _(`panel.${kind}`), label: fields.label })
    : say("device_gone", { device: _(`panel.${kind}`), why: fields.message });
const people = (key) => ({ users }) =>
  say(key, { name: users.map(({ user_id: userId }) => named(userId)).join(_("common.comma")) });
const because = (key) => (fields) => [say(key), fields.message || fields.reason].filter(Boolean).join(": ");

function callWords({ phase, peer_id: userId, peer_name: name, calling, reason }) {
  const who = name || userId || calling.join(_("common.comma"));
  return phase === "idle" ? say("call_over", { why: reason ?? "" }) : say(`call_${phase}`, { name: who });
}

// null: says nothing to a person.
const WORDS = {
  "connection-state-changed": (fields) =>
    [say(`state_${fields.cur_state.toLowerCase()}`), fields.error?.message].filter(Boolean).join(": "),
  "peer-joined": (fields) => say("joined", { name: person(fields) }),
  "peer-left": (fields) => say("left", { name: person(fields) }),
  "stream-added": stream("sends"),
  "stream-removed": stream("sends_no_more"),
  "stream-updated": stream("sends_else"),
  "stream-subscribed": stream("arrives"),
  "audio-muted": user("audio_muted"),
  "audio-unmuted": user("audio_unmuted"),
  "video-muted": user("video_muted"),
  "video-unmuted": user("video_unmuted"),
  "network-quality": (fields) =>
    fields.changed ? say("quality", { up: qualityWord(fields.uplink), down: qualityWord(fields.downlink) }) : null,
  "screen-muted": user("screen_muted"),
  "screen-unmuted": user("screen_unmuted"),
  "screen-share-stopped": () => say("own_screen_stopped"),
  "mute-forced": ({ kind, muted }) => say(muted ? "forced" : "allowed", { kind: kindWord(kind) }),
  "peer-name-changed": (fields) => say("renamed", { before: named(fields.user_id), name: person(fields) }),
  "role-changed": ({ role }) => say(`role_${role}`),
  "stream-interrupted": people("interrupted"),
  "stream-recovered": people("recovered"),
  "crypt-error": () => say("crypt_error"),
  "warning": ({ reason }) => reason,
  "token-expired": because("token_expired"),
  "stream-error": () => null, // so do devices
  "audio-track-ended": () => null,
  "video-track-ended": () => null,
  "audio-volume": () => null,
  "volume-indicator": () => null,
  "rtc-stats": () => null,
  "room-network-quality": () => null,
  "exception": () => null, // the diagnostics have figures
  "video-strain-changed": () => null,
  "stream-connection-state-changed": () => null,
  "media-priority-changed": () => null,
  "setup-mode-changed": () => null,
  "peers-online-changed": () => null,
  "peer-message": () => null,
  "sei-message": () => null,
  "rtmp-state": () => null,
  "log-upload-result": () => null,
  "token-will-expire": () => null,
  "devices-changed": () => null, // each device says it itself
  "login-state-changed": () => null,
  "active-speaker": (fields) => (fields.user_id ? say("speaks", { name: named(fields.user_id) }) : null),
  "mute-changed": (fields) =>
    [say(fields.audio ? "own_muted" : "own_sound"), say(fields.video ? "own_dark" : "own_picture")].join(_("common.comma")),
  "camera-changed": device("camera"),
  "recording-device-changed": device("microphone"),
  "playback-device-changed": device("speaker"),
  "call-changed": callWords,
  "missed-calls-changed": ({ count }) => say("missed_calls", { count }),
  "invitation-received": () => null, // what becomes of it, call-changed says
  "invitation-received-by-peer": () => null,
  "invitation-accepted": () => null,
  "invitation-refused": () => null,
  "invitation-canceled": () => null,
  "invitation-failed": () => null,
  "kicked": because("kicked"),
  "room-closed": because("closed"),
  "error": (fields) => fields.error.message,
};

export function addEvent(list, { at, name, fields }) {
  const words = name in WORDS ? WORDS[name](fields) : "";
  if (words === null) return;
  const row = document.createElement("li");
  const time = document.createElement("time");
  const text = document.createElement("span");
  const code = document.createElement("code");
  time.dateTime = at;
  time.textContent = new Date(at).toLocaleTimeString(language, { hour12: false });
  text.textContent = words;
  code.textContent = name;
  row.append(time, text, code);
  list.prepend(row);
  while (list.childElementCount > KEPT) list.lastElementChild.remove();
}
