"""The mesh back end: media leg to leg between members, signaling through the hub.

Each leg runs one way and has one offerer, so there is no glare: we answer on our Downlinks and offer on our Uplinks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from appliance.media.e2ee import FrameKey
from appliance.media.remote_audio import AudioReceiver
from appliance.media.uplink import Uplink
from appliance.room.backend import LegFailedError, LegReport, MediaCalls, SendLeg
from appliance.room.decryption import Decryption
from appliance.room.downlink import Downlink
from appliance.room.events import ConnectionState
from appliance.room.incoming_leg import LegMeans
from appliance.room.link import LinkLostError
from appliance.room.signaling_base import Kind, Selection, StreamName, VideoCodec
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
from appliance.room.streams import RemoteStream
from appliance.room.uplinks import Uplinks

logger = logging.getLogger(__name__)


class Mesh:
    """A `MediaBackend`. Without an `uplink` every request is refused; without a `playout` nothing can be wanted."""

    def __init__(
        self,
        uplink: Uplink | None,
        playout: AudioReceiver | None,
        *,
        send: SendLeg,
        calls: MediaCalls,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        self.ice_servers = ice_servers
        self.video_codecs: Sequence[VideoCodec] = ("h264", "vp8")
        self._playout = playout
        self._send = send
        self._calls = calls
        self._signaling = asyncio.Event()
        self._downlinks: dict[tuple[str, StreamName], Downlink] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._uplink = uplink
        self._decryption: Decryption | None = None
        self._selected: dict[tuple[str, StreamName], Selection] = {}
        self._uplinks = Uplinks(
            uplink, send=send, ice_servers=lambda: self.ice_servers, video_codecs=lambda: self.video_codecs
        )

    def protect(self, key: FrameKey | None) -> None:
        self._decryption = Decryption(key) if key is not None else None
        if self._uplink is not None:
            self._uplink.protect(key)

    def publish(self, name: StreamName, kinds: frozenset[Kind]) -> None:
        self._uplinks.publish(name, kinds)

    def want(self, stream: RemoteStream, kinds: frozenset[Kind]) -> None:
        key = (stream.user_id, stream.name)
        downlink = self._downlinks.get(key)
        if downlink is not None and (not kinds or downlink.stream is not stream):
            self._end(key)
            downlink = None
        if downlink is not None:
            downlink.set_kinds(kinds)
        elif kinds and self._playout is not None:
            self._downlinks[key] = Downlink(
                stream,
                kinds,
                layer=self._selected.get(key, "high"),
                means=LegMeans(
                    self._playout,
                    self._send,
                    ice_servers=lambda: self.ice_servers,
                    video_codecs=lambda: self.video_codecs,
                    decryption=self._decryption,
                ),
                signaling=self._signaling,
                calls=self._calls,
            )

    def wanted(self, stream: RemoteStream) -> frozenset[Kind]:
        downlink = self._downlink(stream)
        return downlink.wish.kinds if downlink is not None else frozenset()

    def select(self, stream: RemoteStream, layer: Selection) -> None:
        self._selected[stream.user_id, stream.name] = layer
        downlink = self._downlink(stream)
        if downlink is not None:
            downlink.select(layer)

    def tell_short(self, name: StreamName, short: bool) -> None:
        self._uplinks.tell_short(name, short)

    def is_short(self, stream: RemoteStream) -> bool:
        downlink = self._downlink(stream)
        return downlink is not None and downlink.is_short

    def state(self, stream: RemoteStream) -> ConnectionState:
        downlink = self._downlink(stream)
        return downlink.announcer.state if downlink is not None else ConnectionState.DISCONNECTED

    def cut_off(self) -> frozenset[str]:
        return frozenset(user_id for (user_id, _), downlink in self._downlinks.items() if downlink.is_cut)

    async def wait_subscribed(self, stream: RemoteStream, kinds: frozenset[Kind]) -> None:
        downlink = self._downlink(stream)
        if downlink is None:
            raise LegFailedError("not wanted")
        await downlink.announcer.wait_announced(kinds)

    def signal(self, sender: str, message: LegMessage) -> None:
        match message:
            case LegRequest():
                self._uplinks.request(sender, message)
            case LegSelect():
                self._uplinks.select(sender, message)
            case LegAnswer():
                self._uplinks.answer(sender, message)
            case LegShort():
                any(downlink.take(message) for downlink in self._of(sender))
            case LegOffer():
                if not any(downlink.take(message) for downlink in self._of(sender)):
                    self._send_quietly(sender, LegClose(leg=message.leg, reason="nobody asked"))
            case LegClose():
                # Leg ids are unique to one receiver: ask our uplink legs first, then our downlinks.
                if not self._uplinks.end(sender, message):
                    any(downlink.take(message) for downlink in self._of(sender))

    def forget(self, user_id: str) -> None:
        for downlink in self._of(user_id):
            self._end((user_id, downlink.stream.name), farewell=False)
        for key in [key for key in self._selected if key[0] == user_id]:
            del self._selected[key]
        self._uplinks.forget(user_id)

    def nudge(self, user_id: str) -> None:
        for downlink in self._of(user_id):
            downlink.nudge()

    def network_changed(self, *, back: bool, gone: frozenset[str]) -> None:
        if gone:
            self._uplinks.lose_address(gone)
        for downlink in self._downlinks.values():
            if gone:
                downlink.lose_address(gone)
            if back:
                downlink.nudge()

    def link_up(self) -> None:
        self._signaling.set()
        for downlink in self._downlinks.values():
            downlink.nudge()

    def link_down(self) -> None:
        self._signaling.clear()

    def reports(self) -> list[LegReport]:
        down = [report for downlink in self._downlinks.values() for report in downlink.reports()]
        return self._uplinks.reports() + down

    async def close(self) -> None:
        for key in list(self._downlinks):
            self._end(key)
        await asyncio.gather(self._uplinks.close(), *self._ending, return_exceptions=True)
        if self._uplink is not None:
            self._uplink.protect(None)

    def _downlink(self, stream: RemoteStream) -> Downlink | None:
        downlink = self._downlinks.get((stream.user_id, stream.name))
        return downlink if downlink is not None and downlink.stream is stream else None

    def _of(self, user_id: str) -> list[Downlink]:
        return [downlink for key, downlink in self._downlinks.items() if key[0] == user_id]

    def _end(self, key: tuple[str, StreamName], *, farewell: bool = True) -> None:
        task = self._downlinks.pop(key).end(farewell=farewell)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _send_quietly(self, to: str, message: LegMessage) -> None:
        try:
            self._send(to, message)
        except LinkLostError:
            logger.debug("no link for %s", type(message).__name__)
