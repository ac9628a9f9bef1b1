"""One remote stream that is wanted, and the one task that sees to it (capabilities U30, U35, U08, U36, U40).

The receiving side owns recovery: a leg that is lost while the hub can be reached is asked for again, with back-off. A
wider or narrower wish is a new leg; the old one goes on until the new one carries media, so that nothing stops. Another
layer of the video is one message to its sender. Video in no codec that may be taken here is left out of the wish.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from appliance.log_fields import about
from appliance.room.announcer import Announcer
from appliance.room.backend import LegFailedError, LegReport, MediaCalls
from appliance.room.backoff import Backoff
from appliance.room.downlink_leg import NoCommonCodecError
from appliance.room.incoming_leg import IncomingLeg, LegMeans
from appliance.room.link import LinkLostError
from appliance.room.signaling_base import Kind, Selection
from appliance.room.signaling_room import LegMessage, LegShort
from appliance.room.streams import RemoteStream
from appliance.room.ticks import is_set_within
from appliance.room.wish import Wish

logger = logging.getLogger(__name__)

RETRY_DELAYS_S = (0.5, 1.0, 2.0)  # a request is one small message
SHORT_FOR_S = 12.0  # a word of the sender counts; it repeats it while it holds
SHORT_LIFE_S = 5.0  # a leg lost sooner counts as a failed attempt


class Downlink:
    def __init__(
        self,
        stream: RemoteStream,
        kinds: frozenset[Kind],
        *,
        layer: Selection = "high",
        means: LegMeans,
        signaling: asyncio.Event,
        calls: MediaCalls,
    ) -> None:
        """`signaling` is set while the hub can be reached."""
        self.stream = stream
        self.is_cut = False  # its media do not come through: the last leg broke, and none has come up since
        self.wish = Wish(stream, kinds, layer)
        self._means = means
        self._signaling = signaling
        self.announcer = Announcer(self.wish, calls)
        self._short_s: float | None = None
        self._current: IncomingLeg | None = None
        self._current_since_s = 0.0
        self._candidate: IncomingLeg | None = None
        self._open: set[IncomingLeg] = set()  # until they are closed, in use or not
        self._report: LegReport | None = None
        self._farewell = True  # tell senders that their leg ended
        self._changed = asyncio.Event()  # anything: a condition is worth another look
        self._retry = asyncio.Event()  # what failed may work now
        self._task = asyncio.create_task(
            self._run(), name=f"room-downlink-{stream.user_id}", context=about(peer=stream.user_id)
        )
        self.announcer.begin()

    # --- what is

    @property
    def is_short(self) -> bool:
        """Whether the sender said lately that the video goes out with less than it needs."""
        return self._short_s is not None and time.monotonic() - self._short_s < SHORT_FOR_S

    def reports(self) -> list[LegReport]:
        """Of the leg in use, or of the last one until there is another."""
        report = self._current.report() if self._current is not None else None
        if report is not None:
            self._report = report
        elif self._report is not None:
            self._report = replace(self._report, is_live=False)
        return [self._report] if self._report is not None else []

    # --- what is wanted, and what happens to it

    def set_kinds(self, kinds: frozenset[Kind]) -> None:
        self.wish.kinds = kinds
        self.announcer.forget_unwanted()
        self._retry.set()
        self._changed.set()

    def select(self, layer: Selection) -> None:
        """This layer from its next key frame on. Told again when it is the same: a message may be lost."""
        self.wish.layer = layer
        for leg in self._legs():
            if leg.lost is None:
                try:
                    leg.select()
                except LinkLostError:
                    logger.debug("leg %s: no link to select a layer over", leg.leg_id)
        self._leg_changed()

    def nudge(self) -> None:
        """The stream or its user changed: look again, and try at once what waits to be tried."""
        self._retry.set()
        self._leg_changed()

    def lose_address(self, gone: frozenset[str]) -> None:
        """Legs that start at one of these addresses are lost."""
        for leg in self._legs():
            leg.lose_address(gone)

    def take(self, message: LegMessage) -> bool:
        """Whether the message belongs to a leg of this downlink."""
        for leg in self._legs():
            if leg.leg_id == message.leg:
                if isinstance(message, LegShort):
                    self._short_s = time.monotonic() if message.short else None
                else:
                    leg.take(message)
                self._changed.set()
                return True
        return False

    def end(self, *, farewell: bool = True) -> asyncio.Task[None]:
        """Stop; the task that is returned ends once the legs are closed. No `farewell` to a sender that is gone."""
        self._farewell = farewell
        self._task.cancel()
        self.announcer.end()
        return self._task

    # --- the owner of the recovery

    async def _run(self) -> None:
        backoff = Backoff(RETRY_DELAYS_S)
        try:
            while True:
                self._changed.clear()
                self._retry.clear()
                await self._drop_lost(backoff)
                kinds = self.wish.receivable()
                self.is_cut = self.is_cut and bool(kinds)
                if not self._signaling.is_set() or kinds == (self._current.kinds if self._current else frozenset()):
                    await self._changed.wait()
                elif not kinds:
                    await self._replace_by(None)
                else:
                    await self._attempt(kinds, backoff)
        finally:
            try:
                await self._discard(self._candidate)
                await self._replace_by(None)
            finally:  # those too whose close this end has cut short; a close that fails is logged
                await asyncio.gather(*(leg.close(farewell=False) for leg in self._open), return_exceptions=True)

    async def _drop_lost(self, backoff: Backoff) -> None:
        current = self._current
        if current is None or current.lost is None:
            return
        logger.info("leg %s from %s is lost: %s", current.leg_id, self.stream.user_id, current.lost)
        self.is_cut = True
        await self._replace_by(None)
        if time.monotonic() - self._current_since_s < SHORT_LIFE_S:
            await is_set_within(self._retry, backoff.next_s())
        else:
            backoff.reset()

    async def _attempt(self, kinds: frozenset[Kind], backoff: Backoff) -> None:
        candidate = self._candidate = IncomingLeg(
            self.wish,
            kinds,
            self._means,
            changed_within=self._changed_within,
            on_change=self._leg_changed,
            on_sei=self.announcer.tell_sei,
            on_watched=self.announcer.tell_watched,
        )
        self._open.add(candidate)
        try:
            await self._bring_up(candidate)
        except NoCommonCodecError as exc:
            await self._discard(candidate)
            self.wish.mark_unfit()
            logger.info("no picture from %s: %s", self.stream.user_id, exc)
            self.announcer.tell_misfit()
        except (LegFailedError, LinkLostError) as exc:
            await self._discard(candidate)
            delay_s = backoff.next_s()
            logger.info("no leg from %s: %s; again in %.1f s", self.stream.user_id, exc, delay_s)
            await is_set_within(self._retry, delay_s)
        else:
            await self._replace_by(candidate)

    async def _bring_up(self, candidate: IncomingLeg) -> None:
        await candidate.connect()
        try:
            await candidate.first_media()
        except LegFailedError:
            self.is_cut = self._current is None
            raise
        await candidate.rest_of_media()

    async def _changed_within(self, timeout_s: float) -> bool:
        """For a candidate that waits; the leg in use may be lost meanwhile."""
        if self._current is not None and self._current.lost is not None:
            await self._replace_by(None)
            return True
        if not await is_set_within(self._changed, timeout_s):
            return False
        self._changed.clear()
        return True

    async def _replace_by(self, leg: IncomingLeg | None) -> None:
        """`leg` is in use now; the one before it is closed, here and at its sender."""
        before, self._current = self._current, leg
        if leg is not None:
            self._candidate = None
            self.is_cut = False
            self._current_since_s = time.monotonic()
        self._expose()
        await self._close_leg(before)

    async def _discard(self, candidate: IncomingLeg | None) -> None:
        self._candidate = None
        self._expose()
        await self._close_leg(candidate)

    async def _close_leg(self, leg: IncomingLeg | None) -> None:
        if leg is not None:
            await leg.close(farewell=self._farewell and self._signaling.is_set())
            self._open.discard(leg)

    def _legs(self) -> list[IncomingLeg]:
        return [leg for leg in (self._candidate, self._current) if leg is not None]

    def _leg_changed(self) -> None:
        self._changed.set()
        self._expose()

    def _expose(self) -> None:
        """The leg that is in use, or the one on its way up."""
        shown = next((leg for leg in (self._current, self._candidate) if leg is not None and leg.is_live), None)
        self.announcer.show(shown, in_use=shown is self._current)
