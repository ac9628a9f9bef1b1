// The unit's state (`GET /api/state`) in words.

import { _, language } from "./words.js";

const QUALITY = ["unknown", "excellent", "good", "poor", "bad", "very_bad", "down"];
const ENDED = { LEAVE: "out", KICKED: "kicked", ROOM_CLOSED: "closed", TOKEN_EXPIRED: "expired" };

export const qualityWord = (level) => _(`common.quality_${QUALITY[level] ?? QUALITY[0]}`);

export const clock = (iso) =>
  new Date(iso).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

// {words, tone, detail}: tone is good, busy, bad or idle.
export function connection({ connection: { state, reason, error, retry_at: retryAt }, room }) {
  const next = retryAt && _("common.state_retry", { time: clock(retryAt) });
  const detail = [error?.message, next].filter(Boolean).join(" ");
  switch (state) {
    case "CONNECTED":
    case "RECONNECTED":
      return { words: _("common.state_in", { room }), tone: "good", detail: "" };
    case "CONNECTING":
      return { words: _("common.state_joining", { room }), tone: "busy", detail: "" };
    case "RECONNECTING":
      return { words: _("common.state_reconnecting"), tone: "busy", detail: "" };
    case "DISCONNECTING":
      return { words: _("common.state_leaving"), tone: "busy", detail: "" };
    default:
      if (reason === null || reason === "LEAVE") return { words: _("common.state_out"), tone: "idle", detail };
      return { words: _(`common.state_${ENDED[reason] ?? "failed"}`), tone: "bad", detail };
  }
}

// "good, 12 ms, no loss" of {uplink, downlink, ...}; the worse direction counts.
export function network(quality) {
  const level = Math.max(quality.uplink, quality.downlink);
  if (level === 0) return qualityWord(0);
  const rtt = quality.uplink_rtt_ms ?? quality.downlink_rtt_ms;
  const loss = Math.max(quality.uplink_loss ?? 0, quality.downlink_loss ?? 0);
  const parts = [qualityWord(level)];
  if (rtt !== null) parts.push(rtt < 1 ? _("common.rtt_tiny") : _("common.rtt", { ms: Math.round(rtt) }));
  if (loss >= 0.001) parts.push(_("common.loss", { percent: (loss * 100).toFixed(1) }));
  return parts.join(_("common.comma"));
}

export const displayName = (peer) => peer.user_name || peer.user_id;
