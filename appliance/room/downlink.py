"""The wish to receive one remote stream, and the one task that sees to it (capabilities U30, U35, U08, U36, U40).

The receiving side owns recovery: a leg that is lost while the hub can be reached is asked for again, with back-off. A
wider or narrower wish is a new leg; the old one goes on until the new one carries media, so that nothing stops. Another
layer of the video is one message to its sender. Video in no codec that may be taken here is left out of the wish.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from appliance.log_fields import about
from appliance.media.remote_audio import AudioReceiver
from appliance.media.sei import SeiPayload
from appliance.media.sei_delivery import SeiOnce
from appliance.room.backend import LegFailedError, LegReport, MediaCalls, SendLeg
from appliance.room.backoff import Backoff
from appliance.room.decryption import Decryption
from appliance.room.downlink_leg import DownlinkLeg, NoCommonCodecError
from appliance.room.events import ConnectionState
from appliance.room.link import LinkLostError
from appliance.room.signaling_base import Kind, Selection, VideoCodec
from appliance.room.signaling_room import (
    IceServer,
    LegAnswer,
    LegClose,
    LegMessage,
    LegOffer,
    LegRequest,
    LegSelect,
    LegShort,
)
from appliance.room.streams import KINDS, RemoteStream
from appliance.room.ticks import is_set_within

logger = logging.getLogger(__name__)

REPEAT_S = 2.0  # a request that the hub cannot hand on is dropped: it goes out again, under the same leg id
OFFER_REQUESTS = 4  # gathering with a dead STUN server takes the sender 5 s
MEDIA_TIMEOUT_S = 8.0  # from our answer to the first packet: ICE, DTLS, and a key frame
REST_TIMEOUT_S = 2.0  # from the first kind's packet to the other's: a stalled camera must not hold the voice up
RETRY_DELAYS_S = (0.5, 1.0, 2.0)  # a request is one small message
SHORT_FOR_S = 12.0  # a word of the sender counts; it repeats it while it holds
SHORT_LIFE_S = 5.0  # a leg lost sooner counts as a failed attempt


class _Leg:
    """A leg under way or in use; the callbacks of `leg` land here."""

    def __init__(self, kinds: frozenset[Kind]) -> None:
        self.leg_id = secrets.token_hex(8)
        self.kinds = kinds
        self.offer: str | None = None
        self.lost: str | None = None
        self.carrying: set[Kind] = set()
        self.leg: DownlinkLeg | None = None
        self.since_s = 0.0


class Downlink:
    def __init__(
        self,
        stream: RemoteStream,
        kinds: frozenset[Kind],
        playout: AudioReceiver,
        *,
        layer: Selection = "high",
        send: SendLeg,
        signaling: asyncio.Event,
        ice_servers: Callable[[], Sequence[IceServer]],
        decryption: Decryption | None = None,
        video_codecs: Callable[[], Sequence[VideoCodec]],
        calls: MediaCalls,
    ) -> None:
        self.stream = stream
        self.kinds = kinds
        self.layer = layer
        self.state = ConnectionState.CONNECTING
        self.is_cut = False  # its media do not come through: the last leg broke, and none has come up since
        self._playout = playout
        self._send = send
        self._signaling = signaling  # set while the hub can be reached
        self._ice_servers = ice_servers
        self._decryption = decryption
        self._video_codecs = video_codecs
        self._calls = calls
        self._sei_once = SeiOnce()
        self._short_s: float | None = None
        self._unfit: str | None = None  # the video track that comes in no codec of ours
        self._current: _Leg | None = None
        self._candidate: _Leg | None = None
        self._open: set[DownlinkLeg] = set()  # until they are closed, in use or not
        self._report: LegReport | None = None
        self._announced: set[Kind] = set()
        self._closed = False
        self._farewell = True  # tell senders that their leg ended
        self._changed = asyncio.Event()  # anything: a condition is worth another look
        self._retry = asyncio.Event()  # what failed may work now
        self._waiters: set[asyncio.Future[None]] = set()
        self._task = asyncio.create_task(
            self._run(), name=f"room-downlink-{stream.user_id}", context=about(peer=stream.user_id)
        )
        calls.state(stream, ConnectionState.DISCONNECTED, self.state)

    def set_kinds(self, kinds: frozenset[Kind]) -> None:
        self.kinds = kinds
        self._announced &= kinds
        self._retry.set()
        self._changed.set()

    def select(self, layer: Selection) -> None:
        """This layer from its next key frame on. Told again when it is the same: a message may be lost."""
        self.layer = layer
        for leg in (self._candidate, self._current):
            if leg is not None and leg.lost is None:
                try:
                    self._send(self.stream.user_id, LegSelect(leg=leg.leg_id, layer=layer))
                except LinkLostError:
                    logger.debug("leg %s: no link to select a layer over", leg.leg_id)
        self._changed.set()
        self._expose()

    def nudge(self) -> None:
        """The stream or its user changed: look again, and try at once what waits to be tried."""
        self._retry.set()
        self._changed.set()
        self._expose()

    def lose_address(self, gone: frozenset[str]) -> None:
        """Legs that start at one of these addresses are lost."""
        for leg in (self._candidate, self._current):
            if leg is not None and leg.leg is not None:
                leg.leg.lose_address(gone)

    def take(self, message: LegMessage) -> bool:
        """Whether the message belongs to a leg of this downlink."""
        for leg in (self._candidate, self._current):
            if leg is not None and leg.leg_id == message.leg:
                if isinstance(message, LegOffer) and leg.offer is None:
                    leg.offer = message.sdp
                elif isinstance(message, LegShort):
                    self._short_s = time.monotonic() if message.short else None
                elif isinstance(message, LegClose):
                    leg.lost = leg.lost or f"closed by the sender: {message.reason}"
                self._changed.set()
                return True
        return False

    @property
    def is_short(self) -> bool:
        """Whether the sender said lately that the video goes out with less than it needs."""
        return self._short_s is not None and time.monotonic() - self._short_s < SHORT_FOR_S

    async def wait_announced(self, kinds: frozenset[Kind]) -> None:
        """Until stream_subscribed went out for `kinds`; raises `LegFailedError` when the wish ends first, and when no
        kind of it can be received.
        """
        while not kinds <= self._announced:
            if self._closed or not kinds <= self.kinds:
                raise LegFailedError("no longer wanted")
            if self._is_unfit and "video" in kinds:
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

    def reports(self) -> list[LegReport]:
        """Of the leg in use, or of the last one until there is another."""
        if self._current is not None and self._current.leg is not None:
            leg = self._current.leg
            self._report = LegReport(
                self._current.leg_id,
                "down",
                leg.stats(),
                self.stream.user_id,
                self.stream.name,
                leg.tracks(),
                leg.connected,
                leg.local_address,
                rests=all(self._rests(kind) for kind in self._current.kinds),
            )
        elif self._report is not None:
            self._report = replace(self._report, is_live=False)
        return [self._report] if self._report is not None else []

    def end(self, *, farewell: bool = True) -> asyncio.Task[None]:
        """Stop; the task that is returned ends once the legs are closed. No `farewell` to a sender that is gone."""
        self._closed = True
        self._farewell = farewell
        self._task.cancel()
        self._wake_waiters()
        self._set_state(ConnectionState.DISCONNECTED)
        return self._task

    def _on_watched(self) -> None:
        if not self._closed:
            self._calls.watched()

    # --- the owner of the recovery

    async def _run(self) -> None:
        backoff = Backoff(RETRY_DELAYS_S)
        try:
            while True:
                self._changed.clear()
                self._retry.clear()
                await self._drop_lost(backoff)
                kinds = self.kinds & frozenset(self.stream.track_kinds)
                if self._is_unfit:
                    kinds -= {"video"}
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
                await asyncio.gather(*(leg.close() for leg in self._open), return_exceptions=True)

    async def _drop_lost(self, backoff: Backoff) -> None:
        current = self._current
        if current is None or current.lost is None:
            return
        logger.info("leg %s from %s is lost: %s", current.leg_id, self.stream.user_id, current.lost)
        self.is_cut = True
        await self._replace_by(None)
        if time.monotonic() - current.since_s < SHORT_LIFE_S:
            await is_set_within(self._retry, backoff.next_s())
        else:
            backoff.reset()

    async def _attempt(self, kinds: frozenset[Kind], backoff: Backoff) -> None:
        candidate = self._candidate = _Leg(kinds)
        try:
            await self._build(candidate)
        except NoCommonCodecError as exc:
            await self._discard(candidate)
            video = self.stream.info.video
            self._unfit = video.track if video is not None else None
            logger.info("no picture from %s: %s", self.stream.user_id, exc)
            self._calls.misfit(self.stream)
            self._wake_waiters()
        except (LegFailedError, LinkLostError) as exc:
            await self._discard(candidate)
            delay_s = backoff.next_s()
            logger.info("no leg from %s: %s; again in %.1f s", self.stream.user_id, exc, delay_s)
            await is_set_within(self._retry, delay_s)
        else:
            await self._replace_by(candidate)

    async def _ask(self, candidate: _Leg) -> str:
        """The sender's offer for `candidate`."""
        kinds = tuple(kind for kind in KINDS if kind in candidate.kinds)
        for _ in range(OFFER_REQUESTS):
            request = LegRequest(leg=candidate.leg_id, stream=self.stream.name, kinds=kinds, layer=self.layer)
            self._send(self.stream.user_id, request)
            try:
                await self._until(lambda: candidate.offer is not None, candidate, REPEAT_S, "no offer")
            except LegFailedError:
                if candidate.lost is not None:
                    raise
            if candidate.offer is not None:
                return candidate.offer
        raise LegFailedError(f"no offer within {OFFER_REQUESTS * REPEAT_S:g} s")

    async def _build(self, candidate: _Leg) -> None:
        user_id, leg_id = self.stream.user_id, candidate.leg_id
        offer = await self._ask(candidate)

        def on_media(kind: Kind) -> None:
            candidate.carrying.add(kind)
            self._changed.set()
            self._expose()

        def on_closed(reason: str) -> None:
            candidate.lost = candidate.lost or reason
            self._changed.set()
            self._expose()

        def on_sei(payload: SeiPayload) -> None:
            if not self._closed and self._sei_once.is_new(leg_id, payload, time.monotonic()):
                self._calls.sei(self.stream, payload)

        try:
            candidate.leg = DownlinkLeg(
                leg_id,
                user_id,
                self._playout,
                video_codecs=self._video_codecs(),
                ice_servers=self._ice_servers(),
                on_media=on_media,
                on_closed=on_closed,
                on_sei=on_sei,
                decryption=self._decryption,
            )
            self._open.add(candidate.leg)
            answer = await candidate.leg.answer(offer)
            if (video := candidate.leg.video) is not None:
                video.on_watched = self._on_watched
        except NoCommonCodecError:
            raise
        except Exception as exc:  # whatever a stranger's SDP makes of the parser
            raise LegFailedError(f"bad offer: {exc}") from exc
        self._send(user_id, LegAnswer(leg=leg_id, sdp=answer))
        try:
            await self._until(
                lambda: bool(candidate.carrying) or self._required(candidate) <= candidate.carrying,
                candidate,
                MEDIA_TIMEOUT_S,
                "no media",
            )
        except LegFailedError:
            self.is_cut = self._current is None
            raise
        try:
            await self._until(
                lambda: self._required(candidate) <= candidate.carrying, candidate, REST_TIMEOUT_S, "not every kind"
            )
        except LegFailedError:
            if candidate.lost is not None:
                raise

    @property
    def _is_unfit(self) -> bool:
        video = self.stream.info.video
        return self._unfit is not None and video is not None and video.track == self._unfit

    def _rests(self, kind: Kind) -> bool:
        """Whether nothing of it comes, and that is well."""
        return self.stream.is_muted(kind) or (kind == "video" and self.layer == "none")

    def _required(self, leg: _Leg) -> set[Kind]:
        return {kind for kind in leg.kinds if not self._rests(kind)}

    async def _until(self, done: Callable[[], bool], candidate: _Leg, timeout_s: float, otherwise: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._changed.clear()
            if done():
                return
            if candidate.lost is not None:
                raise LegFailedError(candidate.lost)
            if self._current is not None and self._current.lost is not None:
                await self._replace_by(None)
            elif not await is_set_within(self._changed, deadline_s - time.monotonic()):
                raise LegFailedError(f"{otherwise} within {timeout_s:g} s")

    async def _replace_by(self, leg: _Leg | None) -> None:
        """`leg` is in use now; the one before it is closed, here and at its sender."""
        before, self._current = self._current, leg
        if leg is not None:
            self._candidate = None
            self.is_cut = False
            leg.since_s = time.monotonic()
        self._expose()
        await self._close_leg(before)

    async def _discard(self, candidate: _Leg | None) -> None:
        self._candidate = None
        self._expose()
        await self._close_leg(candidate)

    async def _close_leg(self, leg: _Leg | None) -> None:
        if leg is None:
            return
        try:
            if leg.lost is None and self._farewell and self._signaling.is_set():
                self._send(self.stream.user_id, LegClose(leg=leg.leg_id))
        except LinkLostError:
            logger.debug("leg %s ends without a word: no link", leg.leg_id)
        finally:
            if leg.leg is not None:
                await leg.leg.close()
                self._open.discard(leg.leg)

    def _expose(self) -> None:
        """Show the leg that carries media in the stream, and announce what is new."""
        shown = next(
            (leg for leg in (self._current, self._candidate) if leg is not None and leg.lost is None and leg.leg), None
        )
        media = shown.leg if shown is not None else None
        carrying = shown.carrying if shown is not None else set()
        self.stream.audio = media.audio if media is not None and "audio" in carrying else None
        self.stream.video = media.video if media is not None and "video" in carrying else None
        if self._closed:
            return
        if shown is None or (shown is not self._current and not carrying):
            begun = self.state in (ConnectionState.DISCONNECTED, ConnectionState.CONNECTING)
            self._set_state(ConnectionState.CONNECTING if begun else ConnectionState.RECONNECTING)
            return
        self._set_state(ConnectionState.CONNECTED)
        for kind in sorted(shown.kinds & self.kinds - self._announced):
            if kind in carrying or (shown is self._current and self._rests(kind)):
                self._announced.add(kind)
                self._calls.subscribed(self.stream, kind)
        self._wake_waiters()

    def _set_state(self, state: ConnectionState) -> None:
        before, self.state = self.state, state
        if state is not before:
            self._calls.state(self.stream, before, state)

    def _wake_waiters(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
