"""The legs on which others receive from us. Each has one task from its request to its end; who asks is not trusted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from appliance.log_fields import about
from appliance.media.uplink import Uplink
from appliance.room.backend import LegReport, SendLeg
from appliance.room.link import LinkLostError
from appliance.room.lost_legs import LostLegs
from appliance.room.request_limit import RequestLimit
from appliance.room.signaling_base import Kind, Selection, StreamName, VideoCodec
from appliance.room.signaling_room import IceServer, LegAnswer, LegClose, LegOffer, LegRequest, LegSelect, LegShort
from appliance.room.streams import KINDS
from appliance.room.uplink_leg import UplinkLeg

logger = logging.getLogger(__name__)

MAX_LEGS_PER_PEER = 4  # old and new of two streams
MAX_LEGS = 64
MAX_REQUESTS = 20  # and changes of layer, of one peer within REQUEST_WINDOW_S: a leg costs 30 ms of a core
REQUEST_WINDOW_S = 10.0
ANSWER_TIMEOUT_S = 10.0  # gathering with a dead STUN server takes the receiver 5 s

Key = tuple[str, str]  # (user_id, leg)


class _Served:
    def __init__(self, name: StreamName, kinds: frozenset[Kind], layer: Selection) -> None:
        self.name = name
        self.kinds = kinds
        self.layer = layer
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.leg: UplinkLeg | None = None
        self.task: asyncio.Task[None] | None = None
        self.farewell = True  # tell the receiver that the leg ended


class Uplinks:
    def __init__(
        self,
        uplink: Uplink | None,
        *,
        send: SendLeg,
        ice_servers: Callable[[], Sequence[IceServer]],
        video_codecs: Callable[[], Sequence[VideoCodec]],
    ) -> None:
        self._uplink = uplink
        self._video_codecs = video_codecs
        self._send = send
        self._ice_servers = ice_servers
        self._published: dict[StreamName, frozenset[Kind]] = {}
        self._served: dict[Key, _Served] = {}
        self._lost = LostLegs()
        self._requests = RequestLimit(MAX_REQUESTS, REQUEST_WINDOW_S)
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, name: StreamName, kinds: frozenset[Kind]) -> None:
        """Legs that carry a kind that is no longer published end at once; their receivers ask anew for the rest."""
        self._published[name] = kinds
        for key, served in list(self._served.items()):
            if served.name == name and not served.kinds <= kinds:
                self._end(key)

    def request(self, sender: str, message: LegRequest) -> None:
        key = (sender, message.leg)
        if key in self._served:
            logger.debug("%s asked for leg %s twice", *key)
            return
        kinds = frozenset(message.kinds) & self._published.get(message.stream, frozenset())
        refusal = self._refusal(sender, message.stream, kinds)
        if refusal is not None:
            logger.info("leg for %s refused: %s", sender, refusal)
            self._close_at_peer(key, refusal)
            return
        self._lost.drop(sender)
        served = self._served[key] = _Served(message.stream, kinds, message.layer)
        served.task = asyncio.create_task(
            self._serve(key, served), name=f"room-uplink-leg-{sender}", context=about(peer=sender)
        )
        self._tasks.add(served.task)
        served.task.add_done_callback(self._tasks.discard)

    def select(self, sender: str, message: LegSelect) -> None:
        """More than `MAX_REQUESTS` are ignored: each may start an encoder. An honest receiver repeats its wish."""
        served = self._served.get((sender, message.leg))
        if served is None or served.layer == message.layer or not self._may_ask(sender):
            return
        served.layer = message.layer
        if served.leg is not None:
            served.leg.select(message.layer)

    def tell_short(self, name: StreamName, short: bool) -> None:
        """To everybody who receives this stream's video."""
        for (user_id, leg_id), served in self._served.items():
            if served.name == name and "video" in served.kinds and served.answer.done():
                try:
                    self._send(user_id, LegShort(leg=leg_id, short=short))
                except LinkLostError:
                    return

    def answer(self, sender: str, message: LegAnswer) -> None:
        served = self._served.get((sender, message.leg))
        if served is None or served.answer.done():
            logger.debug("stale answer of %s for leg %s", sender, message.leg)
            return
        served.answer.set_result(message.sdp)

    def end(self, sender: str, message: LegClose) -> bool:
        """The receiver ended it; whether there was such a leg."""
        if (sender, message.leg) not in self._served:
            return False
        self._lost.drop(sender)
        self._end((sender, message.leg), farewell=False)
        return True

    def forget(self, user_id: str) -> None:
        for key in [key for key in self._served if key[0] == user_id]:
            self._end(key, farewell=False)
        self._requests.drop(user_id)
        self._lost.drop(user_id)

    def lose_address(self, gone: frozenset[str]) -> None:
        """Legs that start at one of these addresses are lost."""
        for served in list(self._served.values()):
            if served.leg is not None:
                served.leg.lose_address(gone)

    def reports(self) -> list[LegReport]:
        """Of every leg in use, and of those that were lost lately."""
        live = [
            _report(key, served.name, served.leg)
            for key, served in self._served.items()
            if served.leg is not None and served.answer.done()
        ]
        return live + self._lost.reports(time.monotonic())

    async def close(self) -> None:
        """Every leg is closed when it returns, and nobody gets another."""
        self._published.clear()
        for key in list(self._served):
            self._end(key)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _refusal(self, sender: str, name: StreamName, kinds: frozenset[Kind]) -> str | None:
        if not self._may_ask(sender):
            return f"more than {MAX_REQUESTS} requests in {REQUEST_WINDOW_S:g} s"
        if self._uplink is None or not kinds:
            return "nothing of that is published"
        if sum(key[0] == sender for key in self._served) >= MAX_LEGS_PER_PEER:
            return f"at most {MAX_LEGS_PER_PEER} legs a peer"
        if len(self._served) >= MAX_LEGS:
            return f"at most {MAX_LEGS} legs"
        return None

    def _may_ask(self, sender: str) -> bool:
        return self._requests.take(sender, time.monotonic())

    async def _serve(self, key: Key, served: _Served) -> None:
        assert self._uplink is not None  # `_refusal`

        def on_closed(reason: str) -> None:
            if not served.lost.done():
                served.lost.set_result(reason)

        kinds = tuple(kind for kind in KINDS if kind in served.kinds)
        leg: UplinkLeg | None = None
        reason = "the stream is no longer published"
        try:
            leg = served.leg = UplinkLeg(
                key[1],
                self._uplink,
                kinds,
                stream=served.name,
                layer=served.layer,
                video_codecs=self._video_codecs(),
                ice_servers=self._ice_servers(),
                on_closed=on_closed,
            )
            self._send(key[0], LegOffer(leg=key[1], sdp=await leg.offer()))
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await served.answer
            await leg.accept(answer)
            reason = await served.lost
            self._lost.add(replace(_report(key, served.name, leg), is_live=False), time.monotonic())
        except TimeoutError:
            reason = f"no answer within {ANSWER_TIMEOUT_S:g} s"
        except LinkLostError as exc:
            reason = str(exc)
        except Exception as exc:  # whatever a stranger's SDP makes of the parser
            reason = f"bad answer: {exc}"
        finally:
            if self._served.get(key) is served:
                del self._served[key]
            try:
                if served.farewell:
                    logger.info("leg %s to %s ended: %s", key[1], key[0], reason)
                    self._close_at_peer(key, reason)
            finally:
                if leg is not None:
                    await leg.close()

    def _end(self, key: Key, *, farewell: bool = True) -> None:
        served = self._served.pop(key)
        served.farewell = farewell
        if served.task is not None:
            served.task.cancel()

    def _close_at_peer(self, key: Key, reason: str) -> None:
        try:
            self._send(key[0], LegClose(leg=key[1], reason=reason[:256]))
        except LinkLostError:
            logger.debug("leg %s ends without a word: no link", key[1])


def _report(key: Key, name: StreamName, leg: UplinkLeg) -> LegReport:
    return LegReport(key[1], "up", leg.stats(), key[0], name, leg.tracks(), leg.connected, leg.local_address)
