// What the page says about a code: endings, states, devices, network, calls.

import { _, has } from "./words.js";

// code -> what the person can do: "paste" an invitation, give a "key", press a button of these words, or "" nothing.
const ENDINGS = {
  "token-missing": "paste",
  "token-invalid": "paste",
  "token-expired": "paste",
  "room-full": "retry",
  "duplicate-user": "rejoin",
  banned: "retry",
  kicked: "rejoin",
  removed: "rejoin",
  "room-closed": "rejoin",
  left: "rejoin",
  "invalid-room": "",
  unsupported: "",
  "crypt-mismatch": "key",
  "crypt-insecure": "",
  "crypt-browser": "",
};
const TOLD = new Set(["kicked", "banned", "removed", "room-closed"]); // with the words of a person

/** What the end screen says: {title, text, detail, action: "" | "paste" | "key" | a button's label}. */
export function ending(code, message = "") {
  const known = code in ENDINGS;
  const key = known ? code : "unknown";
  const action = known ? ENDINGS[code] : "retry";
  return {
    title: _(`ended.${key}`),
    text: has(`ended.${key}_text`) ? _(`ended.${key}_text`) : "",
    detail: TOLD.has(code) || !known ? message : "",
    action: ["", "paste", "key"].includes(action) ? action : _(`ended.${action}`),
  };
}

/** Connection state in words. */
export const stateWords = (state) => (has(`state.${state}`) ? _(`state.${state}`) : "");

/** What to do about a device that can't be used, or about "both" when one thing keeps us from them. */
export const deviceProblem = (kind, problem) => _(`device.${problem}_${kind}`);

const BARS = ["unknown", "excellent", "good", "poor", "bad", "very_bad", "down"];

export const qualityWords = (level) => _("quality.network", { quality: _(`quality.${BARS[level] ?? BARS[0]}`) });

const REFUSED = new Set([
  "not-connected", "rate-limit", "peer-not-found", "role", "invalid-argument", "invitation-ended", "token-invalid",
  "token-expired", "banned", "room-full",
]);

/** Why the hub refused what was asked. */
export const refusal = (error) => (REFUSED.has(error.code) ? _(`refused.${error.code}`) : error.message);
