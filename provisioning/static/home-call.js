// The call on the home page: who rings, whom the unit rings, who it is spoken to; and the calls that nobody answered.

import { call, toast, words } from "./api.js";
import { _, has, language } from "./words.js";

const END_SHOWN_MS = 15_000;
const $ = (id) => document.getElementById(id);

let endUntil = 0; // how a call has ended is only told to who has seen it
let listed = 0; // missed calls in the list

function text(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function sentence({ phase, peer, peer_name: name, calling, reason }) {
  const who = name || peer || calling.join(_("common.comma"));
  if (phase !== "idle") return _(`home.call_${phase}`, { name: who });
  const key = `home.call_end_${reason}`;
  return Date.now() < endUntil && has(key) ? _(key, { name: who || _("home.call_somebody") }) : "";
}

const seen = () => (endUntil = Date.now() + END_SHOWN_MS);

function button(id, visible, label) {
  $(id).hidden = !visible;
  if (visible) text($(id), label);
}

async function tell(path, body, options) {
  for (const each of $("call").querySelectorAll("button")) each.disabled = true;
  try {
    await call(path, body, options);
    if (path === "/api/call") seen(); // it may be over before the next look
  } catch (error) {
    toast(words(error), "bad");
  }
  for (const each of $("call").querySelectorAll("button")) each.disabled = false;
  $("call").dispatchEvent(new Event("told"));
}

function row({ user_id: userId, user_name: name, at }) {
  const item = document.createElement("li");
  const who = document.createElement("span");
  const when = document.createElement("time");
  const back = document.createElement("button");
  const time = new Date(at).toLocaleString(language, { dateStyle: "short", timeStyle: "short" });
  who.textContent = name || userId;
  when.textContent = time;
  when.dateTime = at;
  back.className = "button";
  back.type = "button";
  back.textContent = _("home.call_back");
  back.setAttribute("aria-label", _("home.call_back_whom", { name: name || userId, time }));
  back.addEventListener("click", () => tell("/api/call", { peers: [userId] }));
  item.append(who, when, back);
  return item;
}

async function list(count) {
  listed = count;
  $("missed").hidden = !count;
  if (!count) return;
  text($("missed-title"), _("home.missed", { count }));
  try {
    const { calls } = await call("/api/calls");
    $("missed-calls").replaceChildren(...calls.reverse().map(row));
  } catch {
    listed = -1; // the hub keeps them, and cannot be reached: the next look asks again
  }
}

export function showCall(now) {
  const { phase, peers, missed } = now;
  if (phase !== "idle") seen();
  const says = sentence(now);
  $("call").hidden = phase === "idle" && !peers.length && !missed && !says;
  $("call").dataset.phase = phase;
  text($("call-now"), says);
  button("answer", phase === "ringing-in", _("home.answer"));
  button("hang-up", phase !== "idle", _(`home.hang_up_${phase}`));
  button("ring", phase === "idle" && peers.length, _("home.ring", { name: peers.join(_("common.comma")) }));
  for (const back of $("missed-calls").querySelectorAll("button")) back.hidden = phase !== "idle";
  if (missed !== listed) list(missed);
}

/** `look()` asks the unit anew. */
export function wireCall(look) {
  $("answer").addEventListener("click", () => tell("/api/answer", {}));
  $("hang-up").addEventListener("click", () => tell("/api/hangup", {}));
  $("ring").addEventListener("click", () => tell("/api/call", {}));
  $("missed-clear").addEventListener("click", () => tell("/api/calls", undefined, { method: "DELETE" }));
  $("call").addEventListener("told", look);
}
