// Ring tones out of two oscillators: no file to load, and heard at once. A browser plays them once the page has had a
// gesture or captures; a phone shakes as well.

import { audioContext } from "./meter.js";

// [seconds from the start, how long, Hz, Hz]; then silence until the period is over.
const TONES = {
  ringing: { period: 3, volume: 0.25, beeps: [[0, 0.4, 660, 880], [0.5, 0.4, 660, 880], [1.0, 0.4, 660, 880]] },
  calling: { period: 5, volume: 0.08, beeps: [[0, 1, 425, 425]] },
};
const SHAKE_MS = [400, 100, 400];

export class Ring {
  #tone = "";
  #timer = 0;
  #gain = null;

  /** "ringing", "calling" or "" for silence. */
  play(tone) {
    if (tone === this.#tone) return;
    this.stop();
    this.#tone = tone;
    if (!tone) return;
    this.#once();
    this.#timer = setInterval(() => this.#once(), TONES[tone].period * 1000);
  }

  get tone() {
    return this.#tone;
  }

  stop() {
    clearInterval(this.#timer);
    this.#tone = "";
    this.#gain?.disconnect();
    this.#gain = null;
    if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(0);
  }

  #once() {
    const audio = audioContext();
    const { beeps, volume } = TONES[this.#tone];
    if (this.#tone === "ringing" && navigator.userActivation?.hasBeenActive) navigator.vibrate?.(SHAKE_MS);
    audio.resume().catch(() => {});
    if (audio.state !== "running") return; // silent, not late: the tone is not kept for the first tap
    this.#gain?.disconnect();
    this.#gain = new GainNode(audio, { gain: volume });
    this.#gain.connect(audio.destination);
    for (const [from, long, ...frequencies] of beeps) {
      for (const frequency of frequencies) this.#beep(audio.currentTime + from, long, frequency);
    }
  }

  #beep(at, long, frequency) {
    const envelope = new GainNode(audioContext(), { gain: 0 });
    envelope.gain.setValueAtTime(0, at);
    envelope.gain.linearRampToValueAtTime(0.5, at + 0.02); // a hard edge would click
    envelope.gain.setValueAtTime(0.5, at + long - 0.05);
    envelope.gain.linearRampToValueAtTime(0, at + long);
    const tone = new OscillatorNode(audioContext(), { frequency });
    tone.connect(envelope).connect(this.#gain);
    tone.start(at);
    tone.stop(at + long);
  }
}
