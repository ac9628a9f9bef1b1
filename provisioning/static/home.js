// The home page: what the unit does now, its gates and its room, and the invitation for others.

import { call, toast, words } from "./api.js";
import { showCall, wireCall } from "./home-call.js";
import { connection, displayName, network } from "./state.js";
import { _, language } from "./words.js";

const LOOK_MS = 2000;
const LAST_MINUTES_MS = 10 * 60_000; // an invitation that is about to expire is made anew
const IN = new Set(["CONNECTED", "RECONNECTED", "CONNECTING", "RECONNECTING"]);
const $ = (id) => document.getElementById(id);

let state = null;
let looking = 0; // the timer of the next look
let invitation = null;

function text(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function control(id, { on, works = true, label, note, tone = "" }) {
  const button = $(id);
  button.disabled = !works;
  button.dataset.tone = tone;
  if (on !== undefined) button.setAttribute("aria-pressed", String(on));
  text(button.querySelector("span"), label);
  text(button.querySelector("small"), note);
}

const isForced = (kind) => state.mute.forced.includes(kind);

const shutNote = (kind, words) => (isForced(kind) ? _("home.by_host") : words);

function gate(id, name, works, kind) {
  const shut = state.mute[kind];
  control(id, {
    on: shut,
    works,
    label: _(shut ? `home.${name}_open` : `home.${name}_shut`),
    note: !works ? _("home.absent") : shut ? shutNote(kind, _(`home.${name}_is_shut`)) : _(`home.${name}_is_open`),
    tone: works && shut ? "shut" : "",
  });
}

const isHeldToTalk = () => state?.sound.duplex === "push-to-talk";

function talkControl() {
  const shut = state.mute.audio;
  control("mute", {
    on: !shut,
    works: state.device.microphone,
    label: _("home.hold_to_talk"),
    note: !state.device.microphone ? _("home.absent") : shut ? shutNote("audio", _("home.microphone_is_shut")) : _("home.microphone_is_open"),
    tone: shut ? "shut" : "",
  });
}

/** One that is only muted is shared again by the same button; while a host keeps it so, the button ends it. */
const sharesScreen = () => state.screen.wished && (!state.mute.screen || isForced("screen"));

function screenControl() {
  const { available, wished, shared, error } = state.screen;
  const note = !wished ? "screen_is_shut" : state.mute.screen ? "screen_paused" : shared ? "on" : "screen_wait";
  $("screen").hidden = !available;
  control("screen", {
    on: sharesScreen(),
    label: _(sharesScreen() ? "home.screen_open" : "home.screen_shut"),
    note: shutNote("screen", _(`home.${note}`)),
    tone: wished && (error || state.mute.screen) ? "shut" : "",
  });
  $("screen").title = error;
}

function show() {
  const now = connection(state);
  const problem = [now.detail, state.taken_back && _("home.taken_back")].filter(Boolean).join(" ");
  $("problem").hidden = !problem;
  text($("problem"), problem);
  text($("now-title"), state.device.name);
  text($("status"), now.words);
  $("dot").dataset.tone = now.tone;
  text($("room"), state.room);
  text($("others"), state.peers.map(displayName).join(_("common.comma")) || _("home.nobody"));
  text($("network"), network(state.network_quality));
  if (isHeldToTalk()) talkControl();
  else gate("mute", "microphone", state.device.microphone, "audio");
  gate("camera", "camera", state.device.camera, "video");
  screenControl();
  showCall(state.call);
  const isIn = IN.has(state.connection.state);
  control("room-switch", {
    label: _(isIn ? "home.leave" : "home.join"),
    note: _(isIn ? "home.in_room" : "home.out_of_room"),
  });
}

async function look() {
  clearTimeout(looking);
  try {
    state = await call("/api/state");
    show();
  } catch (error) {
    text($("status"), words(error));
    $("dot").dataset.tone = "bad";
  }
  looking = setTimeout(look, LOOK_MS);
}

function act(id, path, body) {
  $(id).addEventListener("click", async () => {
    try {
      const wish = body();
      if (wish) await call(path(), wish);
    } catch (error) {
      toast(words(error), "bad");
    }
    await look();
  });
}

act("mute", () => "/api/mute", () => (isHeldToTalk() ? null : { audio: !state.mute.audio }));
act("camera", () => "/api/mute", () => ({ video: !state.mute.video }));
act("screen", () => "/api/screen", () => ({ shared: !sharesScreen() }));
act("room-switch", () => (IN.has(state.connection.state) ? "/api/leave" : "/api/join"), () => ({}));

// Push to talk: said again while it is held, for the unit lets go of who says nothing for five seconds.
let talking = 0;

async function talk(on) {
  if (on === Boolean(talking) || (on && !isHeldToTalk())) return;
  clearInterval(talking);
  const say = () => call("/api/talk", { on }).catch((error) => toast(words(error), "bad"));
  talking = on ? setInterval(say, 2000) : 0;
  await say();
  await look();
}

const isTalkKey = ({ key, repeat }) => !repeat && (key === " " || key === "Enter");
$("mute").addEventListener("pointerdown", ({ pointerId }) => {
  $("mute").setPointerCapture(pointerId);
  talk(true);
});
$("mute").addEventListener("keydown", (event) => isTalkKey(event) && talk(true));
$("mute").addEventListener("keyup", (event) => isTalkKey(event) && talk(false));
for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) $("mute").addEventListener(end, () => talk(false));
addEventListener("pagehide", () => talk(false));

async function invite() {
  invitation = await call("/api/invitation", {}).catch(() => null); // a unit in another one's room invites nobody
  $("invitation").hidden = !invitation;
  if (!invitation) return;
  $("join").href = invitation.url;
  $("qr").src = `data:image/svg+xml,${encodeURIComponent(invitation.qr)}`;
  const until = new Date(invitation.expires_at);
  text($("expires"), _("home.expires", { time: until.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" }) }));
  setTimeout(invite, Math.max(60_000, Math.min(until - Date.now() - LAST_MINUTES_MS, 2 ** 31 - 1)));
}

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(invitation.url);
    toast(_("home.copied"));
  } catch {
    prompt(_("home.copy_yourself"), invitation.url); // browsers give the clipboard only to https and localhost
  }
});

wireCall(look);
look();
invite();
