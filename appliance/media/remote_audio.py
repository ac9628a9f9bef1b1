"""One received audio stream: packets in on the event loop, blocks of sound out on the playback thread."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from appliance.media.jitter import CLOCK_HZ, STEP_FRAMES, JitterBuffer, Lost, Packet
from appliance.media.libopus import OpusError
from appliance.media.mixer import Sound, ramped
from appliance.media.opus_decoder import packet_frames
from appliance.media.seamless import SeamlessDecoder
from appliance.media.stretch import lengthen, shorten
from appliance.media.trace import Trace
from hw import BLOCK_FRAMES
from hw.level import SILENCE_DBOV, Meter, dbov

_INBOX_PACKETS = 256  # 5 s of 20 ms packets; the oldest go while no playback thread comes
_LATE_S = 0.005  # so much too much: sound is taken out
_CHANGE_EVERY_FRAMES = 1_920  # at most 12 ms in 40
_BLOCK_S = BLOCK_FRAMES / CLOCK_HZ

SILENCE: Sound = np.zeros(BLOCK_FRAMES, np.float32)


@dataclass(frozen=True, slots=True)
class AudioInStats:
    """Counters are cumulative; `target_ms`, `delay_ms` and `buffer_ms` are of the newest packet."""

    packets: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    discarded: int = 0  # to keep the delay bounded
    malformed: int = 0  # not Opus
    underruns: int = 0
    concealed_ms: int = 0  # made up, with or without FEC
    removed_ms: int = 0  # to catch up
    inserted_ms: int = 0  # to fall back
    target_ms: float = 0.0
    delay_ms: float = 0.0
    buffer_ms: float = 0.0


class AudioReceiver(Protocol):
    """Who has use for received sound: a playout, a relay."""

    trace: Trace

    def add(self, user_id: str) -> RemoteAudio:
        """A new stream, until its `close`."""

    def heard(self, audio: RemoteAudio) -> tuple[int, float] | None:
        """RTP timestamp of a stream's newest packet that was played, and when it is heard (monotonic)."""


class RemoteAudio:
    """Made by an `AudioReceiver`. `push`, `gain`, `level`, `stats` and `close` are for the event loop's thread."""

    def __init__(self, user_id: str, trace: Trace | None = None) -> None:
        self.user_id = user_id
        self.gain = 1.0  # a change takes 10 ms
        self.closed = False
        self.played: tuple[int, float] | None = None  # RTP timestamp of the newest packet, and when it begins to play
        self._inbox: deque[tuple[int, int, bytes, float]] = deque(maxlen=_INBOX_PACKETS)
        self._trace = trace or Trace()
        self._meter = Meter()
        self._stats = AudioInStats()
        # From here on only the playback thread's.
        self._jitter = JitterBuffer()
        self._decoder = SeamlessDecoder()
        self._pending = np.zeros(0, np.float32)
        self._unchanged = 0  # frames since sound was taken out or put in
        self._applied_gain = 1.0
        self._malformed = self._removed = self._inserted = 0

    def push(self, sequence_number: int, timestamp: int, payload: bytes, arrival_s: float) -> None:
        """Takes one RTP packet that arrived at `arrival_s` (monotonic)."""
        self._inbox.append((sequence_number, timestamp, payload, arrival_s))

    @property
    def dbov(self) -> float:
        """The level before `gain`, -127 to 0 dBov."""
        return self._meter.dbov

    @property
    def level(self) -> int:
        """Volume 0..100 before `gain`: over 10 is speech (hw/level.py)."""
        return self._meter.volume

    def stats(self) -> AudioInStats:
        return self._stats

    def close(self) -> None:
        """Fades out within 10 ms and goes."""
        self.closed = True

    @property
    def faded_out(self) -> bool:
        """Closed, and nothing of it is left to be heard."""
        return self.closed and self._applied_gain == 0.0

    def render(self, play_s: float) -> Sound:
        """The next 480 samples, gain applied, played from `play_s` on; SILENCE itself where there is nothing to hear.

        For the playback thread alone.
        """
        self._take_inbox()
        if self._pending.size == 0 and self._decoder.is_silent and not self._jitter.waits:
            self._meter.feed(SILENCE_DBOV, _BLOCK_S)
            self._applied_gain = 0.0 if self.closed else self.gain
            return SILENCE
        while self._pending.size < BLOCK_FRAMES:
            more = self._more(play_s + self._pending.size / CLOCK_HZ, BLOCK_FRAMES - self._pending.size)
            self._pending = np.concatenate((self._pending, more)) if self._pending.size else more
        block, self._pending = self._pending[:BLOCK_FRAMES], self._pending[BLOCK_FRAMES:]
        self._meter.feed(dbov(block), _BLOCK_S)
        before, self._applied_gain = self._applied_gain, 0.0 if self.closed else self.gain
        return ramped(block, before, self._applied_gain)

    def _take_inbox(self) -> None:
        while self._inbox:
            sequence_number, timestamp, payload, arrival_s = self._inbox.popleft()
            try:
                frames = packet_frames(payload)
            except OpusError:
                self._malformed += 1
                continue
            self._jitter.push(Packet(sequence_number, timestamp, frames, payload, arrival_s))

    def _more(self, play_s: float, needed: int) -> Sound:
        match self._jitter.pop(play_s, (BLOCK_FRAMES - needed) / CLOCK_HZ):
            case Packet() as packet:
                sound = self._decoded(packet, play_s)
            case Lost() as lost:
                sound = self._decoder.recover(lost.fec, lost.frames, lost.play_frames)
            case None:
                return self._decoder.conceal(-(-needed // STEP_FRAMES) * STEP_FRAMES)
        self._note(self._jitter.delay_s(play_s + sound.size / CLOCK_HZ))
        return sound

    def _decoded(self, packet: Packet, play_s: float) -> Sound:
        self.played = packet.timestamp, play_s
        started_s = time.monotonic()
        try:
            sound = self._decoder.decode(packet.payload)
        except OpusError:
            self._malformed += 1
            return self._decoder.conceal(packet.frames)
        self._trace.since("audio-decode", started_s)
        self._trace.add("audio-buffer", play_s - packet.arrival_s)
        return self._fit(sound, play_s)

    def _fit(self, sound: Sound, play_s: float) -> Sound:
        """Brings the delay nearer to its target, a pitch period at a time."""
        early_s = (self._pending.size + sound.size) % BLOCK_FRAMES / CLOCK_HZ
        excess_s = self._jitter.excess_s(play_s + sound.size / CLOCK_HZ, early_s)
        self._unchanged += sound.size
        if 0.0 <= excess_s < _LATE_S or self._unchanged < _CHANGE_EVERY_FRAMES:
            return sound
        frames = round(abs(excess_s) * CLOCK_HZ)
        fitted = shorten(sound, frames) if excess_s > 0 else lengthen(sound, frames)
        if fitted.size != sound.size:
            self._unchanged = 0
        self._removed += max(0, sound.size - fitted.size)
        self._inserted += max(0, fitted.size - sound.size)
        return fitted

    def _note(self, delay_s: float) -> None:
        jitter = self._jitter
        self._stats = AudioInStats(
            packets=jitter.received,
            lost=jitter.lost,
            late=jitter.late,
            duplicates=jitter.duplicates,
            discarded=jitter.discarded,
            malformed=self._malformed,
            underruns=jitter.underruns,
            concealed_ms=self._decoder.concealed_frames * 1000 // CLOCK_HZ,
            removed_ms=self._removed * 1000 // CLOCK_HZ,
            inserted_ms=self._inserted * 1000 // CLOCK_HZ,
            target_ms=jitter.target_s * 1000,
            delay_ms=delay_s * 1000,
            buffer_ms=(jitter.buffered_s + self._pending.size / CLOCK_HZ) * 1000,
        )
