"""The microphone's way out: gate -> level -> Opus, once for everybody. All of it in the microphone's own thread.

In silence, and behind a shut gate after 0.2 s of it, little is sent (DTX): one packet that says so, then one every
400 ms, so that no receiver takes a quiet room for a lost link: what its noise is like, or behind a gate the same once
more. Nothing is encoded in between: a unit on a wall stands in a quiet room for most of its life.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from appliance.media.frames import AUDIO_CLOCK_HZ, CodedFrame
from appliance.media.gate import Gate
from appliance.media.opus_encoder import BITRATE_BPS, LONG_FRAMES, OpusEncoder, is_silence
from appliance.media.trace import Trace
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, Samples
from hw.level import Meter, dbov_of, mean_square

BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ
GAP_S = 0.1  # a capture time further ahead than this means that sound is missing, not late
_PAUSE_FRAMES = 19_200  # 400 ms, as libopus
_QUIET_POWER = 1e-5  # -50 dBov: nobody speaks (hw/level.py)
_SILENCE: Samples = np.zeros(BLOCK_FRAMES, np.int16)
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
    """The plain attributes are set on the event loop and read in the microphone's thread, each in one step."""

    def __init__(self, post: Post, trace: Trace | None = None) -> None:
        self.gate = Gate()
        self.loss = 0.0  # worst of all legs, 0..1
        self.bitrate_bps = BITRATE_BPS
        self.frame_frames = LONG_FRAMES  # of the packets to come: 480 or 960
        self.wanted = False  # somebody taps
        self.newcomer = False  # somebody taps who has got nothing yet: the next packet goes out, silent or not
        self._post = post
        self._trace = trace or Trace()
        self._clock = SampleClock()
        self._meter = Meter()
        self._encoder: OpusEncoder | None = None
        self._epoch = 0
        self._pause = b""  # the packet that said that nothing is said; empty while something is
        self._sent_timestamp = 0
        self._first: Samples | None = None  # block of a packet
        self._first_power = 0.0

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
            self._epoch, self._encoder, self._first, self._meter = gate.epoch, None, None, Meter()
            self._pause = b""
        samples, power = (block.samples, mean_square(block.samples)) if passes else (_SILENCE, 0.0)
        self._meter.feed(dbov_of(power), BLOCK_S)
        if not self.wanted:
            self._encoder = self._first = None
        elif self._first is not None:
            sound, power = np.concatenate((self._first, samples)), (self._first_power + power) / 2
            self._first = None
            self._encode(sound, power, first_s - BLOCK_S)
        elif self.frame_frames == BLOCK_FRAMES:
            self._encode(samples, power, first_s)
        else:
            self._first = samples.copy()  # a driver may use its buffer again
            self._first_power = power

    def _encode(self, sound: Samples, power: float, captured_s: float) -> None:
        timestamp = self._clock.stamp(captured_s, sound.size)
        quiet = power < _QUIET_POWER
        paused = quiet and bool(self._pause) and not self.newcomer
        if paused and (timestamp - self._sent_timestamp) & 0xFFFFFFFF < _PAUSE_FRAMES:
            return
        if power or not self._pause:
            payload = self._encoded(sound, may_pause=quiet and not paused)
            self._pause = payload if is_silence(payload) else b""
        else:
            payload = self._pause
        self._sent_timestamp = timestamp
        self.newcomer = False
        frame = CodedFrame(
            data=payload,
            timestamp=timestamp,
            keyframe=True,
            audio_level=rfc6464(dbov_of(power)),
            captured_s=captured_s,
        )
        self._post(self._epoch, frame)

    def _encoded(self, sound: Samples, *, may_pause: bool) -> bytes:
        if self._encoder is None:
            self._encoder = OpusEncoder()
        self._encoder.expect_loss(self.loss)
        self._encoder.aim(self.bitrate_bps)
        self._encoder.may_pause(may_pause)
        started_s = time.monotonic()
        payload = self._encoder.encode(sound)
        self._trace.since("audio-encode", started_s)
        return payload


def rfc6464(level_dbov: float) -> int:
    """The audio level of an RTP header extension: 0..127, which is -dBov."""
    return round(max(0.0, min(127.0, -level_dbov)))
