// What both pages need: the API with this page's cookie, and the unit's state in words.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// JSON of an answer, null for 204. Throws Refused with the unit's own words, or TypeError when it cannot be reached.
export async function call(path, body, options = {}) {
  const post = body === undefined ? {} : {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  };
  let response = await fetch(path, { ...post, ...options });
  if (response.status === 401 && path !== "/login") {
    await fetch(location.href, { cache: "no-store" }); // a unit that was started anew gives its page a new cookie
    response = await fetch(path, { ...post, ...options });
  }
  if (!response.ok) {
    const text = await response.json().then((answer) => answer.error.message, () => response.statusText);
    throw new Refused(response.status, text);
  }
  return response.status === 204 ? null : response.json();
}

const QUALITY = ["not measured", "excellent", "good", "poor", "bad", "very bad", "down"];

export const qualityWord = (level) => QUALITY[level] ?? QUALITY[0];

const clock = (iso) => new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const ENDED = {
  LEAVE: "Not in the room",
  KICKED: "Thrown out of the room",
  ROOM_CLOSED: "The room was closed",
  TOKEN_EXPIRED: "The invitation has expired",
};

// {words, tone, detail}: tone is good, busy, bad or idle.
export function connection({ connection: { state, reason, error, retry_at: retryAt }, room }) {
  const detail = [error?.message, retryAt && `Next try at ${clock(retryAt)}.`].filter(Boolean).join(" ");
  switch (state) {
    case "CONNECTED":
    case "RECONNECTED":
      return { words: `In room ${room}`, tone: "good", detail: "" };
    case "CONNECTING":
      return { words: `Joining room ${room}…`, tone: "busy", detail: "" };
    case "RECONNECTING":
      return { words: "Connection lost, coming back…", tone: "busy", detail: "" };
    case "DISCONNECTING":
      return { words: "Leaving the room…", tone: "busy", detail: "" };
    default:
      if (reason === null || reason === "LEAVE") return { words: ENDED.LEAVE, tone: "idle", detail };
      return { words: ENDED[reason] ?? "Could not stay in the room", tone: "bad", detail };
  }
}

// "good, 12 ms, no loss" of {uplink, downlink, ...}; the worse direction counts.
export function network(quality) {
  const level = Math.max(quality.uplink, quality.downlink);
  if (level === 0) return qualityWord(0);
  const rtt = quality.uplink_rtt_ms ?? quality.downlink_rtt_ms;
  const loss = Math.max(quality.uplink_loss ?? 0, quality.downlink_loss ?? 0);
  const parts = [qualityWord(level)];
  if (rtt !== null) parts.push(rtt < 1 ? "under 1 ms" : `${Math.round(rtt)} ms`);
  if (loss >= 0.001) parts.push(`${(loss * 100).toFixed(1)} % lost`);
  return parts.join(", ");
}

export const displayName = (peer) => peer.user_name || peer.user_id;
