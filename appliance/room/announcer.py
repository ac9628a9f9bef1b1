"""What a downlink shows and tells of its stream: its media, their state, each kind that has come (U08, U30, U35)."""

from __future__ import annotations

import asyncio
import time

from appliance.media.sei import SeiPayload
from appliance.media.sei_delivery import SeiOnce
from appliance.room.backend import LegFailedError, MediaCalls
from appliance.room.events import ConnectionState
from appliance.room.incoming_leg import IncomingLeg
from appliance.room.signaling_base import Kind
from appliance.room.wish import Wish


class Announcer:
    """From `begin` to `end`; after that only the stream is kept up to date, and nobody hears of it."""

    def __init__(self, wish: Wish, calls: MediaCalls) -> None:
        self.state = ConnectionState.DISCONNECTED
        self._wish = wish
        self._calls = calls
        self._announced: set[Kind] = set()
        self._ended = False
        self._sei_once = SeiOnce()
        self._waiters: set[asyncio.Future[None]] = set()

    def begin(self) -> None:
        self._set_state(ConnectionState.CONNECTING)

    def end(self) -> None:
        self._ended = True
        self._wake_waiters()
        self._set_state(ConnectionState.DISCONNECTED)

    def show(self, leg: IncomingLeg | None, *, in_use: bool) -> None:
        """Show the media of `leg` in the stream, and announce what is new. `in_use`: not a candidate any more."""
        stream = self._wish.stream
        stream.audio = leg.audio if leg is not None else None
        stream.video = leg.video if leg is not None else None
        if self._ended:
            return
        if leg is None or not (in_use or leg.carrying):
            begun = self.state in (ConnectionState.DISCONNECTED, ConnectionState.CONNECTING)
            self._set_state(ConnectionState.CONNECTING if begun else ConnectionState.RECONNECTING)
            return
        self._set_state(ConnectionState.CONNECTED)
        for kind in sorted(leg.kinds & self._wish.kinds - self._announced):
            if kind in leg.carrying or (in_use and self._wish.rests(kind)):
                self._announced.add(kind)
                self._calls.subscribed(stream, kind)
        self._wake_waiters()

    def forget_unwanted(self) -> None:
        """What is no longer wished is announced again when it is."""
        self._announced &= self._wish.kinds

    def tell_misfit(self) -> None:
        self._calls.misfit(self._wish.stream)
        self._wake_waiters()

    def tell_sei(self, leg_id: str, payload: SeiPayload) -> None:
        """Once, though two legs bring it."""
        if not self._ended and self._sei_once.is_new(leg_id, payload, time.monotonic()):
            self._calls.sei(self._wish.stream, payload)

    def tell_watched(self) -> None:
        if not self._ended:
            self._calls.watched()

    async def wait_announced(self, kinds: frozenset[Kind]) -> None:
        """Until stream_subscribed went out for `kinds`; raises `LegFailedError` when the wish ends first, and when no
        kind of it can be received.
        """
        while not kinds <= self._announced:
            if self._ended or not kinds <= self._wish.kinds:
                raise LegFailedError("no longer wanted")
            if self._wish.is_unfit and "video" in kinds:
                kinds -= {"video"}
                if not kinds:
                    raise LegFailedError("no video codec in common")
                continue
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def _set_state(self, state: ConnectionState) -> None:
        before, self.state = self.state, state
        if state is not before:
            self._calls.state(self._wish.stream, before, state)

    def _wake_waiters(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
