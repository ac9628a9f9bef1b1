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

/** The token of this room: from `#token=...`, which is taken out of the address at once, else what this tab kept. */
export function takeToken(room) {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    history.replaceState(null, "", location.pathname + location.search);
    keepToken(room, given);
  }
  return given ?? attempt(() => sessionStorage.getItem(`${KEY}/token/${room}`), "");
}

export function keepToken(room, token) {
  const key = `${KEY}/token/${room}`;
  attempt(() => (token ? sessionStorage.setItem(key, token) : sessionStorage.removeItem(key)));
}

/** A token in pasted text: a whole link or the bare token; "" when there is none. */
export function tokenIn(text) {
  const match = /(?:token=)?([\w-]+\.[\w-]+\.[\w-]+)\s*$/.exec(text.trim());
  return match ? match[1] : "";
}

/** Unverified claims of a token, to show a name and know the role; the hub checks it. */
export function claimsOf(token) {
  return attempt(() => {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  }, {});
}
