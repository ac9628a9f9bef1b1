// The list of what happened: events of the unit in words, the newest first.

import { qualityWord } from "./unit.js";

const KEPT = 60;

const names = new Map(); // user id -> name, from those who came in

const named = (userId) => names.get(userId) || userId;

function person({ user_id: userId, user_name: name }) {
  if (name) names.set(userId, name);
  return named(userId);
}
const device = (what) => (fields) =>
  fields.state === "ADD" ? `${what} works: ${fields.label}` : `${what} is gone: ${fields.message}`;

const STATES = {
  CONNECTING: "joining the room",
  CONNECTED: "in the room",
  RECONNECTING: "connection lost",
  RECONNECTED: "connection is back",
  DISCONNECTING: "leaving the room",
  DISCONNECTED: "out of the room",
};

// null: says nothing to a person.
const WORDS = {
  "connection-state-changed": (fields) => [STATES[fields.cur_state], fields.error?.message].filter(Boolean).join(": "),
  "peer-joined": (fields) => `${person(fields)} came in`,
  "peer-left": (fields) => `${person(fields)} left`,
  "stream-added": (fields) => `${named(fields.stream.user_id)} sends ${fields.kinds.join(" and ")}`,
  "stream-removed": (fields) => `${named(fields.stream.user_id)} stopped sending`,
  "stream-updated": (fields) => `${named(fields.stream.user_id)} changed what it sends`,
  "stream-subscribed": (fields) => `${fields.kind} of ${named(fields.stream.user_id)} arrives`,
  "audio-muted": (fields) => `${named(fields.user_id)} muted`,
  "audio-unmuted": (fields) => `${named(fields.user_id)} unmuted`,
  "video-muted": (fields) => `${named(fields.user_id)} switched the camera off`,
  "video-unmuted": (fields) => `${named(fields.user_id)} switched the camera on`,
  "network-quality": (fields) =>
    fields.changed ? `network: up ${qualityWord(fields.uplink)}, down ${qualityWord(fields.downlink)}` : null,
  "audio-volume": () => null,
  "active-speaker": (fields) => (fields.user_id ? `${named(fields.user_id)} speaks` : null),
  "mute-changed": (fields) =>
    `own sound ${fields.audio ? "muted" : "on"}, own picture ${fields.video ? "off" : "on"}`,
  "camera-changed": device("camera"),
  "recording-device-changed": device("microphone"),
  "playback-device-changed": device("speaker"),
  "kicked": (fields) => `thrown out: ${fields.message || fields.reason}`,
  "room-closed": (fields) => `the room was closed${fields.message ? `: ${fields.message}` : ""}`,
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
  time.textContent = new Date(at).toLocaleTimeString([], { hour12: false });
  text.textContent = words;
  code.textContent = name;
  row.append(time, text, code);
  list.prepend(row);
  while (list.childElementCount > KEPT) list.lastElementChild.remove();
}
