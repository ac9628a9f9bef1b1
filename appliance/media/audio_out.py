"""The microphone's way out: gate -> level -> Opus, once for everybody. All of it in the microphone's own thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from appliance.media.frames import AUDIO_CLOCK_HZ, CodedFrame
from appliance.media.gate import Gate
from appliance.media.opus_encoder import FRAME_FRAMES, OpusEncoder
from appliance.media.trace import Trace
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, Samples
from hw.level import SILENCE_DBOV, Meter, dbov

BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ
GAP_S = 0.1  # a capture time further ahead than this means that sound is missing, not late
_DRIFT_SHARE = 0.01  # of the offset taken into the reference with each frame: follows a sound card's clock

Post = Callable[[int, CodedFrame], None]  # epoch of the gate, frame; called in the microphone's thread


class SampleClock:
    """RTP timestamps that count samples, and jump ahead where the capture times show that some are missing.

    Capture times jitter, samples don't; but a device that stalls and comes back must come back at its right time.
    """

    def __init__(self, rate_hz: int = AUDIO_CLOCK_HZ) -> None:
        self._rate_hz = rate_hz
        self._next = 0
        self._reference_s: float | None = None  # capture time less sample time, smoothed

    def stamp(self, first_s: float, samples: int) -> int:
        """The timestamp (growing, 32 bit) of `samples` captured from `first_s` on."""
        if self._reference_s is None:
            self._next = round(first_s * self._rate_hz)
            self._reference_s = first_s - self._next / self._rate_hz
        ahead_s = first_s - self._next / self._rate_hz - self._reference_s
        if ahead_s > GAP_S:
            self._next += round(ahead_s * self._rate_hz)
        else:
            self._reference_s += _DRIFT_SHARE * ahead_s
        stamp = self._next
        self._next += samples
        return stamp & 0xFFFFFFFF


class AudioOut:
    """`gate`, `loss` and `wanted` are set on the event loop and read in the microphone's thread, each in one step."""

    def __init__(self, post: Post, trace: Trace | None = None) -> None:
        self.gate = Gate()
        self.loss = 0.0  # worst of all legs, 0..1
        self.wanted = False  # somebody taps
        self._post = post
        self._trace = trace or Trace()
        self._clock = SampleClock()
        self._meter = Meter()
        self._encoder: OpusEncoder | None = None
        self._epoch = 0
        self._half: Samples | None = None

    @property
    def dbov(self) -> float:
        """The level behind the gate, -127 to 0 dBov."""
        return self._meter.dbov

    @property
    def level(self) -> int:
        """Volume 0..100 behind the gate."""
        return self._meter.volume

    def on_block(self, block: AudioBlock) -> None:
        """The microphone's sink."""
        gate = self.gate
        first_s = block.captured_s - BLOCK_S
        passes = gate.passes(first_s)
        if gate.epoch != self._epoch:
            # Nothing of what was said before may be left in a predictor, a buffer or a meter.
            self._epoch, self._encoder, self._half, self._meter = gate.epoch, None, None, Meter()
        samples = block.samples if passes else np.zeros(BLOCK_FRAMES, np.int16)
        level_dbov = dbov(samples) if passes else SILENCE_DBOV
        self._meter.feed(level_dbov, BLOCK_S)
        if not self.wanted:
            self._encoder = self._half = None
            return
        if self._half is None:
            self._half = samples.copy()  # a driver may use its buffer again
            return
        sound = np.concatenate((self._half, samples))
        self._half = None
        if self._encoder is None:
            self._encoder = OpusEncoder()
        self._encoder.expect_loss(self.loss)
        started_s = first_s - BLOCK_S
        encoding_s = time.monotonic()
        payload = self._encoder.encode(sound)
        self._trace.since("audio-encode", encoding_s)
        frame = CodedFrame(
            data=payload,
            timestamp=self._clock.stamp(started_s, FRAME_FRAMES),
            keyframe=True,
            audio_level=rfc6464(dbov(sound)) if passes else 127,
            captured_s=started_s,
        )
        self._post(gate.epoch, frame)


def rfc6464(level_dbov: float) -> int:
    """The audio level of an RTP header extension: 0..127, which is -dBov."""
    return round(max(0.0, min(127.0, -level_dbov)))
