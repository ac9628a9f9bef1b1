"""The network itself goes away under a call: TCP in a black hole, UDP through a wire that is cut."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from appliance.room import LocalStream
from appliance.room.events import NetworkQualityChanged, PeerLeft, StreamSubscribed
from appliance.room.signaling_room import LegAnswer, LegMessage, LegOffer
from tests.appliance.room.house import BRISK, Guest, house
from tests.appliance.room.media import playout, until, uplink
from tests.tcp_proxy import TcpProxy, tcp_proxy
from tests.wire import Wire

PATIENT = replace(BRISK, reconnect_deadline_s=20.0)


class Outage:
    """`b` receives from `a`, and everything to and from `b` can be cut."""

    def __init__(self, a: Guest, b: Guest, proxy: TcpProxy, wire: Wire) -> None:
        self.a, self.b, self.proxy, self.wire = a, b, proxy, wire

    def hears(self) -> bool:
        audio = self.b.client.streams[0].audio
        return audio is not None and audio.level > 20


@asynccontextmanager
async def connected() -> AsyncIterator[Outage]:
    async with uplink(camera=False) as sender, playout() as player, house() as home, tcp_proxy(home.port) as proxy:
        with Wire() as wire:
            a = await home.joined("a", uplink=sender)
            b = await home.joined("b", playout=player, auto_subscribe=True, options=PATIENT, port=proxy.port)
            _route(b, wire)
            await a.client.publish(LocalStream(video=False))
            outage = Outage(a, b, proxy, wire)
            await b.heard(StreamSubscribed)
            await until(outage.hears, what="the tone")
            await until(lambda: wire.forwarded > 20, what="packets by way of the wire")
            yield outage
            await b.client.leave()


def _route(guest: Guest, wire: Wire) -> None:
    """Every leg of this guest runs through `wire`, now and later."""
    stay = guest.client._stay
    assert stay is not None
    send, signal = stay.send_leg, stay.media.signal

    def routed_send(to: str, message: LegMessage) -> None:
        send(to, LegAnswer(leg=message.leg, sdp=wire.route(message.sdp)) if isinstance(message, LegAnswer) else message)

    def routed_signal(sender: str, message: LegMessage) -> None:
        offer = isinstance(message, LegOffer)
        signal(sender, LegOffer(leg=message.leg, sdp=wire.route(message.sdp)) if offer else message)  # type: ignore[union-attr]

    stay.send_leg = routed_send  # type: ignore[method-assign]
    stay.media.signal = routed_signal  # type: ignore[method-assign]


@pytest.mark.row("U08", "U55")
async def test_a_whole_network_that_was_away_until_the_legs_were_lost() -> None:
    async with connected() as outage:
        outage.wire.cut = True
        outage.proxy.black_hole()
        await outage.b.state("RECONNECTING", timeout_s=2)
        stream = outage.b.client.streams[0]
        await until(lambda: stream.audio is None, 6, what="the leg is lost")
        await until(lambda: outage.b.of(NetworkQualityChanged)[-1].downlink == 6, 6, what="DOWN")
        await outage.proxy.restore()
        outage.wire.cut = False
        back_s = time.monotonic()
        await outage.b.state("CONNECTED", timeout_s=3)
        await until(outage.hears, 5, what="the tone again")
        assert time.monotonic() - back_s < 4
        assert outage.b.client.streams == [stream]
        assert len(outage.b.of(StreamSubscribed)) == 1
        assert outage.a.of(PeerLeft) == []


async def test_only_the_media_was_away() -> None:
    async with connected() as outage:
        outage.wire.cut = True
        stream = outage.b.client.streams[0]
        await until(lambda: stream.audio is None, 6, what="the leg is lost")
        assert outage.b.client.connection_state == "CONNECTED"
        outage.wire.cut = False
        await until(outage.hears, 6, what="the tone again")
        assert outage.b.names()[-1] == "stream-subscribed", "no event but the first"
        await until(
            lambda: outage.a.client._stay is not None and len(outage.a.client._stay.media.reports()) == 1,
            6,
            what="one leg at the sender",
        )
