// How loud a track is, and who is speaking.

const FLOOR_DB = -60;
const SPEAKING_LEVEL = 35; // about -39 dBFS
const HOLD_MS = 700; // a pause between words is still speaking

let context = null;

/** The page's one AudioContext, made at first need; it runs after a gesture or while the page captures. */
export function audioContext() {
  context ??= new AudioContext({ latencyHint: "interactive" });
  return context;
}

/** 0..100 for an RMS amplitude 0..1: -60 dBFS is 0, full scale is 100. */
export function loudness(rms) {
  const db = rms > 0 ? 20 * Math.log10(rms) : FLOOR_DB;
  return Math.round(Math.min(1, Math.max(0, 1 - db / FLOOR_DB)) * 100);
}

/** Speaking with hysteresis. `state` is {speaking, heardAt}; answers the next one. */
export function listen(state, level, nowMs) {
  const heardAt = level >= SPEAKING_LEVEL ? nowMs : state.heardAt;
  return { speaking: nowMs - heardAt < HOLD_MS, heardAt };
}

export const quiet = Object.freeze({ speaking: false, heardAt: -Infinity });

export class Meter {
  #source;
  #analyser;
  #samples;

  constructor(track) {
    this.track = track;
    const audio = audioContext();
    this.#source = audio.createMediaStreamSource(new MediaStream([track]));
    this.#analyser = new AnalyserNode(audio, { fftSize: 2048, smoothingTimeConstant: 0 });
    this.#source.connect(this.#analyser);
    this.#samples = new Float32Array(this.#analyser.fftSize);
  }

  /** 0..100 of the last 43 ms. */
  level() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return loudness(Math.sqrt(this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length));
  }

  /** The strongest frequency in Hz, within 12 Hz; 0 in silence. */
  frequency() {
    const bins = new Float32Array(this.#analyser.frequencyBinCount);
    this.#analyser.getFloatFrequencyData(bins);
    const peak = bins.reduce((best, value, index) => (value > bins[best] ? index : best), 0);
    return bins[peak] > -80 ? (peak * audioContext().sampleRate) / this.#analyser.fftSize : 0;
  }

  close() {
    this.#source.disconnect();
  }
}
