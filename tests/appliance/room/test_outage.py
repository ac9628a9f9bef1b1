"""The network itself goes away under a call: TCP in a black hole, UDP through a wire that is cut."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from appliance.room import LocalStream
from appliance.room.events import NetworkQualityChanged, PeerLeft, RoomNetworkQuality, StreamSubscribed
from appliance.room.options import RoomOptions
from appliance.room.signaling_room import LegAnswer, LegMessage, LegOffer
from tests.appliance.room.house import BRISK, CALM, Guest, house
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
            a = await home.joined("a", uplink=sender, options=CALM)
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
        await outage.b.state("RECONNECTING", timeout_s=3)
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


@pytest.mark.row("U55", "U56")
async def test_a_bad_network_of_one_is_told_to_it_and_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.hub.room_quality.PERIOD_S", 0.2)
    async with connected() as outage:
        a, b = outage.a, outage.b
        await b.heard(NetworkQualityChanged)
        await a.heard(RoomNetworkQuality)
        await until(lambda: b.of(NetworkQualityChanged)[-1].downlink == 1, 6, "EXCELLENT")

        def seen_by_a() -> dict[str, int]:
            return {item.user_id: item.downlink for item in a.of(RoomNetworkQuality)[-1].items}

        await until(lambda: seen_by_a() == {"a": 0, "b": 1}, 4, "b's EXCELLENT at a, which receives nothing")
        outage.wire.delay_s = 0.2  # each way: a round trip of 400 ms
        await until(lambda: b.of(NetworkQualityChanged)[-1].downlink == 4, 12, "BAD")
        worst = b.of(NetworkQualityChanged)[-1]
        assert worst.downlink_rtt_ms is not None
        assert 350 <= worst.downlink_rtt_ms < 500
        await until(lambda: seen_by_a() == {"a": 0, "b": 4}, 4, "b's BAD at a")
        outage.wire.delay_s, outage.wire.loss = 0.0, 0.3
        await until(lambda: b.of(NetworkQualityChanged)[-1].downlink == 5, 12, "VERY BAD")
        loss = b.of(NetworkQualityChanged)[-1].downlink_loss
        assert loss is not None
        assert loss >= 0.2


@pytest.mark.row("U55")
async def test_one_report_every_two_seconds() -> None:
    async with house() as home:
        a = home.guest(RoomOptions())
        await a.client.join("lobby", "a")
        first_s = time.monotonic()
        await a.heard(NetworkQualityChanged, 3, 8)
        assert 3.5 < time.monotonic() - first_s < 7
        assert [event.uplink for event in a.of(NetworkQualityChanged)] == [0, 0, 0], "nothing is sent"


@pytest.mark.row("U55")
async def test_reports_only_when_something_changed() -> None:  # X32
    async with uplink(camera=False) as sender, playout() as player, house() as home:
        a = await home.joined("a", uplink=sender, options=CALM)
        b = await home.joined(
            "b", playout=player, auto_subscribe=True, options=replace(PATIENT, network_quality_on_change=True)
        )
        await a.heard(NetworkQualityChanged, 3)
        assert len(b.of(NetworkQualityChanged)) <= 1, "nothing changed"
        await a.client.publish(LocalStream(video=False))
        await until(lambda: any(event.downlink == 1 for event in b.of(NetworkQualityChanged)), 8, "EXCELLENT")
        await a.heard(NetworkQualityChanged, len(a.of(NetworkQualityChanged)) + 2)
        assert all(event.changed for event in b.of(NetworkQualityChanged))


@pytest.mark.row("U56")
async def test_only_the_media_was_away() -> None:
    async with connected() as outage:
        outage.wire.cut = True
        stream = outage.b.client.streams[0]
        await until(lambda: stream.audio is None, 6, what="the leg is lost")
        assert outage.b.client.connection_state == "CONNECTED"
        await until(
            lambda: {item.user_id: item.downlink for item in outage.a.of(RoomNetworkQuality)[-1].items}["b"] == 6,
            4,
            what="b's DOWN at a",
        )
        outage.wire.cut = False
        await until(outage.hears, 6, what="the tone again")
        assert outage.b.names()[-1] == "stream-subscribed", "no event but the first"
        await until(
            lambda: outage.a.client._stay is not None and len(outage.a.client._stay.media.reports()) == 1,
            6,
            what="one leg at the sender",
        )
