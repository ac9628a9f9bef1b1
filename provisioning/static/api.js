// The unit's API with this page's cookie, and words for everybody: toasts that are read out too.

import { _ } from "./words.js";

// What the unit refused. `field`: which input is to blame, where one is; `problems` [{field, message}]: of several.
export class Refused extends Error {
  constructor(status, { code = "", message, field = "", problems = [] }) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field ?? "";
    this.problems = problems;
  }
}

const OPEN_PAGES = ["/login", "/setup"];

// What a change carries beside the page's cookie: scripts of this unit's own pages can read it, and no others.
function csrfToken() {
  const name = `room_appliance_csrf${location.port && `_${location.port}`}=`;
  return document.cookie.split("; ").find((cookie) => cookie.startsWith(name))?.slice(name.length) ?? "";
}

function request(path, options) {
  return fetch(path, { ...options, headers: { ...options.headers, "X-CSRF-Token": csrfToken() } });
}

// JSON of an answer, null for 204. POST when there is a `body`, else GET, unless `options.method` says otherwise.
// Throws Refused with the unit's own words, or TypeError when it cannot be reached.
export async function call(path, body, options = {}) {
  const post = body === undefined ? {} : {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  };
  let response = await request(path, { ...post, ...options });
  if (response.status === 401 && !OPEN_PAGES.includes(location.pathname)) {
    await fetch(location.href, { cache: "no-store" }); // a demo that was started anew gives its page a new cookie
    response = await request(path, { ...post, ...options });
    if (response.status === 401) {
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.hash)}`);
    }
  }
  if (!response.ok) {
    const problem = await response.json().then((answer) => answer.error, () => ({ message: response.statusText }));
    throw new Refused(response.status, problem);
  }
  return response.status === 204 ? null : response.json();
}

// What went wrong, in words for a person.
export function words(error) {
  return error instanceof Refused ? error.message : _("common.unreachable");
}

export function say(text) {
  document.getElementById("live").textContent = text;
}

// A word in passing: shown for some seconds, and read out.
export function toast(text, tone = "good") {
  const item = document.createElement("p");
  item.dataset.tone = tone;
  item.textContent = text;
  const toasts = document.getElementById("toasts");
  toasts.replaceChildren(item);
  say(text);
  setTimeout(() => item.remove(), 6000);
}
