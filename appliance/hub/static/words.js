// Every sentence of the room page, by code. `ending()` says what happened and what to do next.

const ENDINGS = {
  "token-missing": ["This room needs an invitation", "Open the link you were sent, or paste it below.", "paste"],
  "token-invalid": [
    "This invitation doesn't work",
    "It is for another room, or part of the link was lost. Ask for a new link, or paste it again below.",
    "paste",
  ],
  "token-expired": ["This invitation has expired", "Ask for a new link and open it, or paste it below.", "paste"],
  "room-full": ["The room is full", "Wait until somebody leaves, then try again.", "Try again"],
  "duplicate-user": [
    "You are already in this room",
    "Another device or tab uses your place. Close it there, then join again here.",
    "Join again",
  ],
  banned: ["You can't come back into this room", "An administrator has closed it for you.", "Try again"],
  kicked: ["You were disconnected", "An administrator ended your call, or you joined from somewhere else.", "Join again"],
  removed: ["You were removed from the room", "An administrator ended your call.", "Join again"],
  "room-closed": ["The call has ended", "The room was closed.", "Join again"],
  left: ["You left the call", "", "Join again"],
  "invalid-room": [
    "There is no such room",
    "A room's name has only letters, digits and . _ ~ - in it. Check the address.",
    "",
  ],
  unsupported: [
    "This browser can't join calls",
    "Open the page in a current Chrome, Edge, Firefox or Safari.",
    "",
  ],
};

/** What the end screen says: {title, text, detail, action: "" | "paste" | a button's label}. */
export function ending(code, message = "") {
  const [title, text, action] = ENDINGS[code] ?? ["You can't join right now", "", "Try again"];
  const told = ["kicked", "banned", "removed", "room-closed"].includes(code) || !(code in ENDINGS); // by a person, or unknown
  return { title, text, detail: told ? message : "", action };
}

/** Connection state in words. */
export function stateWords(state) {
  return (
    {
      connecting: "Connecting…",
      connected: "Connected",
      reconnecting: "Connection lost. Reconnecting…",
      leaving: "Leaving…",
    }[state] ?? ""
  );
}

const DEVICE = { audio: "microphone", video: "camera", both: "camera and microphone" };

/** What to do about a device that can't be used, or about "both" when one thing keeps us from them. */
export function deviceProblem(kind, problem) {
  const device = DEVICE[kind];
  return {
    denied: `Your browser blocks the ${device}. Click the icon beside the page's address, allow the ${device}, then try again.`,
    absent: `No ${kind === "both" ? "camera and no microphone" : device} found. Plug one in, or go on without.`,
    busy: `The ${device} is used by another program. Close that program, then try again.`,
    lost: `The ${device} was unplugged. Plug it in again, or choose another one.`,
    insecure: `Browsers give a page the ${device} only over a secure address (https). You can still watch and listen.`,
    failed: `The ${device} doesn't start. Try again, or choose another one.`,
  }[problem];
}

const BARS = ["not measured yet", "excellent", "good", "poor", "bad", "very bad", "nothing arrives"];

export const qualityWords = (level) => `Network: ${BARS[level] ?? BARS[0]}`;

/** Up to two initials for an avatar. */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  if (words.length === 0) return "?";
  const first = [...words[0]][0];
  const last = words.length > 1 ? [...words[words.length - 1]][0] : "";
  return (first + last).toLocaleUpperCase();
}

/** A hue 0..359 that is always the same for the same person. */
export function hue(text) {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + character.codePointAt(0)) % 3600;
  return hash % 360;
}
