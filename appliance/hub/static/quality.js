// Network quality 0..6 out of RTCPeerConnection statistics; thresholds as in the appliance's own quality module.
//
//   0 unknown   1 excellent   2 good   3 poor   4 bad   5 very bad   6 down
//
// counts: {packets, lost, rtt_ms | null, at_ms}, cumulative; a report is the difference of two.

const LOSS = [0.02, 0.05, 0.1, 0.2];
const RTT_MS = [100, 200, 350, 500];
const DOWN_MS = 4000;
const REPORTS = 2; // smoothed over this many, the loss over more
const MOST_REPORTS = 10; // while there are not
const ENOUGH_PACKETS = 50; // to judge by: a microphone in a quiet room sends five in two seconds

const row = (value, limits) => {
  const index = limits.findIndex((limit) => value < limit);
  return index < 0 ? 5 : index + 1;
};

/** The worse of the loss and the round-trip row; null is not measured. */
export function level(loss, rttMs) {
  const rows = [loss === null ? 0 : row(loss, LOSS), rttMs === null ? 0 : row(rttMs, RTT_MS)];
  return loss === null ? 0 : Math.max(...rows);
}

/** Judges one direction of one leg, report by report. */
export class Quality {
  level = 0;
  loss = null;
  rttMs = null;
  #last = null;
  #heardAt = null;
  #reports = [];
  #before = 0; // what the report before said

  /** `expected`: whether packets should flow at all (a camera that is off sends none). Answers the level. */
  add(counts, expected = true) {
    const last = this.#last;
    this.#last = counts;
    if (!last || counts.packets < last.packets) {
      this.#heardAt = counts.at_ms;
      return this.level;
    }
    const packets = counts.packets - last.packets;
    const lost = Math.max(0, counts.lost - last.lost);
    if (packets > 0 || !expected) this.#heardAt = counts.at_ms;
    if (counts.at_ms - this.#heardAt >= DOWN_MS) return (this.level = 6);
    if (packets === 0) {
      if (!expected) this.level = 0;
      return this.level;
    }
    this.#reports = [{ lost, total: packets + lost, rtt: counts.rtt_ms }, ...this.#reports].slice(0, MOST_REPORTS);
    this.loss = lossOf(this.#reports);
    this.rttMs = mean(this.#reports.slice(0, REPORTS).map((report) => report.rtt));
    const now = level(this.loss, this.rttMs);
    this.level = Math.max(now, this.#before); // worse at once, better when two reports say so
    this.#before = now;
    return this.level;
  }
}

/** Of the newest reports that have packets enough between them. */
function lossOf(reports) {
  let lost = 0;
  let total = 0;
  for (const [index, report] of reports.entries()) {
    if (index >= REPORTS && total >= ENOUGH_PACKETS) break;
    lost += report.lost;
    total += report.total;
  }
  return Math.min(1, lost / Math.max(total, ENOUGH_PACKETS));
}

function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

/** What arrives on a leg. */
export function inbound(report, atMs) {
  const rtps = [...report.values()].filter((entry) => entry.type === "inbound-rtp");
  return {
    packets: sum(rtps, "packetsReceived"),
    lost: sum(rtps, "packetsLost"),
    bytes: sum(rtps, "bytesReceived"),
    frames: sum(rtps, "framesDecoded"),
    codecs: codecs(report, rtps),
    audioPackets: sum(rtps.filter((entry) => entry.kind === "audio"), "packetsReceived"),
    rtt_ms: pairRtt(report),
    at_ms: atMs,
  };
}

/** What the other side says of a leg we send: lost packets come out of its receiver reports. */
export function outbound(report, atMs) {
  const entries = [...report.values()];
  const rtps = entries.filter((entry) => entry.type === "outbound-rtp");
  const remote = entries.filter((entry) => entry.type === "remote-inbound-rtp");
  const rtts = remote.map((entry) => entry.roundTripTime).filter((value) => value !== undefined);
  const sent = sum(rtps, "packetsSent");
  const lost = sum(remote, "packetsLost");
  return {
    packets: remote.length ? sent - lost : 0,
    sent,
    lost,
    bytes: sum(rtps, "bytesSent"),
    codecs: codecs(report, rtps),
    rtt_ms: rtts.length ? Math.max(...rtts) * 1000 : pairRtt(report),
    at_ms: atMs,
  };
}

const codecs = (report, rtps) => rtps.map((entry) => report.get(entry.codecId)?.mimeType).filter(Boolean);

function sum(entries, field) {
  return entries.reduce((total, entry) => total + (entry[field] ?? 0), 0);
}

function pairRtt(report) {
  const pairs = [...report.values()].filter((entry) => entry.type === "candidate-pair" && entry.nominated);
  const rtts = pairs.map((pair) => pair.currentRoundTripTime).filter((value) => value !== undefined);
  return rtts.length ? Math.min(...rtts) * 1000 : null;
}
