"""The sound of a room's relay: every member decoded once, each task its own mix of some of them.

loop thread    RemoteAudio.push -----> inbox
sound thread   inbox -> jitter buffer -> Opus decoder -> a mixer for each task -> `Outlet.take` (task's thread)
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from appliance.media.jitter import CLOCK_HZ
from appliance.media.mixer import Mixer, Sound
from appliance.media.playout import PullClock, RemoteAudio
from appliance.media.trace import Trace
from hw import BLOCK_FRAMES, HardwareError, Samples
from hw.pacing import Pacer

logger = logging.getLogger(__name__)

BLOCK_S = BLOCK_FRAMES / CLOCK_HZ
MAX_BLOCKS = 100  # a second; a task that is slower loses the oldest


class Outlet:
    """What one task hears of whom. `users` may be replaced at any time."""

    def __init__(self, users: frozenset[str]) -> None:
        self.users = users
        self._mixer = Mixer()
        self._blocks: deque[Samples] = deque(maxlen=MAX_BLOCKS)

    def put(self, sounds: dict[str, list[Sound]]) -> None:
        """For the sound thread."""
        wanted = [sound for user_id in self.users for sound in sounds.get(user_id, ())]
        self._blocks.append(self._mixer.mix(wanted))

    def take(self) -> list[Samples]:
        """What there is by now: blocks of 10 ms, int16."""
        blocks = []
        while self._blocks:
            blocks.append(self._blocks.popleft())
        return blocks


class RelaySound:
    """In place of a `Playout`: nobody hears it but the tasks. `add` and `close` belong to the event loop."""

    def __init__(self) -> None:
        self.trace = Trace()
        self._peers: tuple[RemoteAudio, ...] = ()
        self._outlets: tuple[Outlet, ...] = ()
        self._lock = threading.Lock()  # held only to replace the tuples
        self._clock = PullClock()
        self._pacer = Pacer("relay-sound")

    def start(self) -> None:
        self._pacer.start(BLOCK_S, lambda: self._tick, _fault)

    def add(self, user_id: str) -> RemoteAudio:
        """A new stream, until its `close`."""
        audio = RemoteAudio(user_id)
        with self._lock:
            self._peers = (*self._peers, audio)
        return audio

    def heard(self, audio: RemoteAudio) -> tuple[int, float] | None:
        """When what was played last of a stream was mixed: pictures of that moment go with it."""
        return audio.played

    def open(self, users: frozenset[str]) -> Outlet:
        outlet = Outlet(users)
        with self._lock:
            self._outlets = (*self._outlets, outlet)
        return outlet

    def drop(self, outlet: Outlet) -> None:
        with self._lock:
            self._outlets = tuple(other for other in self._outlets if other is not outlet)

    def close(self) -> None:
        """Waits for the thread: one block's time."""
        self._pacer.close()
        for peer in self._peers:
            peer.close()

    def _tick(self, _step: int, _due_s: float) -> None:
        play_s = self._clock.tick(time.monotonic())
        peers = self._peers
        sounds: dict[str, list[Sound]] = {}
        gone: list[RemoteAudio] = []
        for peer in peers:
            sounds.setdefault(peer.user_id, []).append(self._render(peer, play_s, gone.append))
            if peer.faded_out:
                gone.append(peer)
        for outlet in self._outlets:
            outlet.put(sounds)
        if gone:
            with self._lock:
                self._peers = tuple(peer for peer in self._peers if peer not in gone)

    def _render(self, peer: RemoteAudio, play_s: float, drop: Callable[[RemoteAudio], None]) -> Sound:
        """A stream that cannot be rendered is dropped: everybody else is heard."""
        try:
            return peer.render(play_s)
        except Exception:
            logger.exception("relay: the sound of %s cannot be heard", peer.user_id)
            drop(peer)
            return np.zeros(BLOCK_FRAMES, np.float32)


def _fault(error: HardwareError) -> None:
    logger.error("relay: the sound has ended: %s", error)
