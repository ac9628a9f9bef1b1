"""Everybody's sound to the one speaker: the playback thread pulls 10 ms from each peer, mixes and hands it over.
Sounds of the unit's own, such as a chime, are mixed in (`play`).

    loop thread      RemoteAudio.push ------> inbox (bounded)
    playback thread  inbox -> jitter buffer -> Opus decoder -> mixer -> limiter -> far end -> speaker

The playback thread is the speaker's own. Without a speaker, or after one was lost, a paced thread takes its place, so
that levels and statistics live on. Nothing here decodes or waits on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from appliance.media.far_end import FarEnd
from appliance.media.jitter import CLOCK_HZ
from appliance.media.mixer import Mixer, Sound
from appliance.media.remote_audio import SILENCE, AudioInStats, RemoteAudio
from appliance.media.trace import Trace
from appliance.media.volumes import FULL_VOLUME, Volumes
from hw import BLOCK_FRAMES, HardwareError, Measured, Samples, Speaker
from hw.level import SILENCE_DBOV, Meter, dbov
from hw.pacing import Pacer

__all__ = ["AudioInStats", "Playout", "RemoteAudio"]

_log = logging.getLogger(__name__)

_BLOCK_S = BLOCK_FRAMES / CLOCK_HZ


class Playout:
    """Mixes any number of peers; peers come and go while it runs. Its methods belong to the event loop."""

    def __init__(self, volumes: Volumes | None = None) -> None:
        """`volumes` may outlive it."""
        self.on_device_lost: Callable[[HardwareError], None] = lambda error: None  # called on the loop
        self.trace = Trace()
        self.far_end = FarEnd()
        self._volumes = volumes or Volumes()
        self._mixer = Mixer()
        self._clock = PullClock()
        self._peers: tuple[RemoteAudio, ...] = ()
        self._peers_lock = threading.Lock()  # held only to replace the tuple
        self._render_lock = threading.Lock()  # a speaker that is slow to close may pull once more beside the next one
        self._speaker: Speaker | None = None
        self._own: deque[Sound] = deque()  # blocks of the unit's own sound that are still to be played
        self._repeated: tuple[Sound, ...] = ()  # those that come again when they have been played
        self._meter = Meter()

    @property
    def level(self) -> int:
        """Volume 0..100 of what is played."""
        return self._meter.volume

    def play(self, sound: Sound, *, repeat: bool = False) -> None:
        """Mixes in `sound`, float -1..1 at 48 kHz, in place of what is still left of the one before; `repeat`: again
        and again, until the next one or `hush`."""
        whole = np.pad(sound.astype(np.float32), (0, -sound.size % BLOCK_FRAMES))
        with self._render_lock:
            self._own = deque(whole.reshape(-1, BLOCK_FRAMES))
            self._repeated = tuple(self._own) if repeat else ()

    def hush(self) -> None:
        """The unit's own sound ends."""
        with self._render_lock:
            self._own, self._repeated = deque(), ()

    def start(self, speaker: Speaker | None) -> None:
        """Plays to `speaker`, or to nobody. Again with another one at any time.

        HardwareError when the speaker can't be opened; then it goes on as without one.
        """
        if self._speaker is not None:
            self._speaker.close()
        try:
            self._open(speaker if speaker is not None else _NoSpeaker())
        except HardwareError:
            self._open(_NoSpeaker())
            raise

    def add(self, user_id: str) -> RemoteAudio:
        """A new stream in the mix, until its `close`."""
        audio = RemoteAudio(user_id, self.trace)
        audio.gain = self._volumes.of(user_id) / FULL_VOLUME
        with self._peers_lock:
            stays = self._peers if self._speaker is not None else (peer for peer in self._peers if not peer.closed)
            self._peers = (*stays, audio)
        return audio

    def set_volume(self, user_id: str, volume: int) -> None:
        """How loud this user is played, now and whenever it comes back: 0 to 100. Raises ValueError."""
        self._volumes.set(user_id, volume)
        for peer in self._peers:
            if peer.user_id == user_id:
                peer.gain = volume / FULL_VOLUME

    def stats(self) -> dict[str, AudioInStats]:
        """Of each stream, by its user."""
        return {peer.user_id: peer.stats() for peer in self._peers if not peer.closed}

    def heard(self, audio: RemoteAudio) -> tuple[int, float] | None:
        """RTP timestamp of a stream's newest packet that was played, and when it leaves the speaker (monotonic)."""
        played, speaker = audio.played, self._speaker
        if played is None:
            return None
        stats = speaker.stats if isinstance(speaker, Measured) else None
        return played[0], played[1] + (stats.latency_ms / 1000 if stats is not None else 0.0)

    async def close(self) -> None:
        """Stops, closes the speaker and every stream; no thread is left. May be started again."""
        speaker, self._speaker = self._speaker, None
        if speaker is not None:
            await asyncio.to_thread(speaker.close)
        with self._peers_lock:
            peers, self._peers = self._peers, ()
        for peer in peers:
            peer.close()

    def _open(self, speaker: Speaker) -> None:
        loop = asyncio.get_running_loop()

        def on_lost(error: HardwareError) -> None:
            with suppress(RuntimeError):  # the loop is gone, and so is everybody who would care
                loop.call_soon_threadsafe(self._lose, speaker, error)

        self._speaker = None
        self._clock = PullClock()
        self.far_end.restart(None if isinstance(speaker, _NoSpeaker) else speaker)
        speaker.start(self._render, on_lost)
        self._speaker = speaker

    def _lose(self, speaker: Speaker, error: HardwareError) -> None:
        if self._speaker is not speaker:
            return
        _log.debug("speaker lost: %s", error)  # who opens it again and again says so once
        self.start(None)
        self.on_device_lost(error)

    def _render(self) -> Samples:
        with self._render_lock:
            started_s = time.monotonic()
            play_s = self._clock.tick(started_s)
            peers = self._peers
            own = self._own
            if not own:
                own.extend(self._repeated)
            rendered = [self._render_peer(peer, play_s) for peer in peers] + ([own.popleft()] if own else [])
            sounds = [sound for sound in rendered if sound is not SILENCE]
            mixed = self.far_end.play(self._mixer.mix(sounds))
            self._meter.feed(dbov(mixed) if sounds else SILENCE_DBOV, _BLOCK_S)
            if any(peer.faded_out for peer in peers):
                with self._peers_lock:
                    self._peers = tuple(peer for peer in self._peers if not peer.faded_out)
            self.trace.since("audio-mix", started_s)
            return mixed

    def _render_peer(self, peer: RemoteAudio, play_s: float) -> Sound:
        """A stream that cannot be rendered is dropped: everybody else is heard."""
        try:
            return peer.render(play_s)
        except Exception:
            _log.exception("the sound of %s cannot be played", peer.user_id)
            with self._peers_lock:
                self._peers = tuple(other for other in self._peers if other is not peer)
            return SILENCE


class PullClock:
    """When the next pulled block is played, smoothed: a playback thread pulls late now and then, and then in a burst.

    Taken at face value a late pull would make everything in the jitter buffer look late as well.
    """

    GAIN = 0.02  # of the error, each block: half of it is gone after 0.35 s
    RESET_S = 0.25  # a larger error is a clock that starts anew

    def __init__(self) -> None:
        self._next_s: float | None = None

    def tick(self, now_s: float) -> float:
        """The time that stands for the pull at `now_s`; one block after the last one, but for a small correction."""
        if self._next_s is None or abs(now_s - self._next_s) > self.RESET_S:
            self._next_s = now_s
        time_s = self._next_s + self.GAIN * (now_s - self._next_s)
        self._next_s = time_s + _BLOCK_S
        return time_s


class _NoSpeaker:
    """Pulls 10 ms each 10 ms and throws it away."""

    device_id = "none"

    def __init__(self) -> None:
        self._pacer = Pacer("playout-paced")

    def start(self, source: Callable[[], Samples], on_lost: Callable[[HardwareError], None]) -> None:
        def pull(step: int, due_s: float) -> None:
            source()

        self._pacer.start(_BLOCK_S, lambda: pull, on_lost)

    def close(self) -> None:
        self._pacer.close()
