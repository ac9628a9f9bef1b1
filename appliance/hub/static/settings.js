// What the page remembers: name, devices and whom one met for good (localStorage), an invitation for this tab (sessionStorage).

const KEY = "room-appliance";
const DEFAULTS = {
  name: "", audio: "", video: "", speaker: "", filter: true, audioMuted: false, videoMuted: false, people: {},
};
export const MAX_PEOPLE = 50;

/** A storage may be blocked altogether: then nothing is remembered. */
function attempt(read, fallback) {
  try {
    return read() ?? fallback;
  } catch {
    return fallback;
  }
}

export function load() {
  const stored = attempt(() => JSON.parse(localStorage.getItem(KEY)), {});
  const known = Object.entries(stored).filter(([key, value]) => value !== null && typeof value === typeof DEFAULTS[key]);
  return { ...DEFAULTS, ...Object.fromEntries(known) };
}

export function save(changes) {
  attempt(() => localStorage.setItem(KEY, JSON.stringify({ ...load(), ...changes })));
}

/** Of this room, {token, secret}: from `#token=...&key=...`, which is taken out of the address at once, else what this
 *  tab kept. What is behind a # is never sent to a server. */
export function takeInvitation(room) {
  const given = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  if (given.get("token")) keepToken(room, given.get("token"));
  if (given.get("key")) keepSecret(room, given.get("key"));
  const kept = (what) => attempt(() => sessionStorage.getItem(`${KEY}/${what}/${room}`), "");
  return { token: given.get("token") || kept("token"), secret: given.get("key") || kept("secret") };
}

const keep = (what, room, value) => {
  const key = `${KEY}/${what}/${room}`;
  attempt(() => (value ? sessionStorage.setItem(key, value) : sessionStorage.removeItem(key)));
};

export const keepToken = (room, token) => keep("token", room, token);
export const keepSecret = (room, secret) => keep("secret", room, secret);

/** A token in pasted text: a whole link or the bare token; "" when there is none. */
export function tokenIn(text) {
  const match = /(?:token=)?([\w-]+\.[\w-]+\.[\w-]+)\s*(?:&\S*)?$/.exec(text.trim());
  return match ? match[1] : "";
}

/** The key of an encrypted room in a pasted link; "" when there is none. */
export function secretIn(text) {
  return new URLSearchParams(text.trim().split("#")[1] ?? "").get("key") ?? "";
}

/** Unverified claims of a token, to show a name and know the role; the hub checks it. */
export function claimsOf(token) {
  return attempt(() => {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  }, {});
}
