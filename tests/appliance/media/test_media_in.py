"""From the socket to a receiver: all that comes at once, nothing that is forged, and nothing that is no RTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs import CODECS
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import aiortc_hooks
from appliance.media.aiortc_hooks.datagrams import AT_ONCE
from appliance.media.aiortc_hooks.media_in import MAX_STREAMS
from appliance.media.aiortc_hooks.selftest.stand_ins import Far
from appliance.media.rtp_in import ReceivedPacket

CODEC = CODECS["video"][0]


class Scene:
    """A far end that sends SRTP to the socket of a receiver."""

    def __init__(self) -> None:
        self.far = Far()
        self.taken: asyncio.Queue[ReceivedPacket] = asyncio.Queue()

    async def open(self) -> None:
        aiortc_hooks.install(["127.0.0.1"])
        dtls: Any = await self.far.connect()
        self.receiver = RTCRtpReceiver("video", dtls)
        aiortc_hooks.take_packets(self.receiver, self.taken.put_nowait)
        dtls._register_rtp_receiver(self.receiver, RTCRtpReceiveParameters(codecs=[CODEC]))
        transceiver = RTCRtpTransceiver("video", self.receiver, RTCRtpSender("video", dtls))
        self.media_in = aiortc_hooks.MediaIn(_PeerConnection(transceiver))  # type: ignore[arg-type]
        self.agent: Any = dtls.transport._connection

    def send(self, number: int, *, ssrc: int = 5, payload_type: int = CODEC.payloadType or 0) -> None:
        packet = RtpPacket(payload_type=payload_type, sequence_number=number, ssrc=ssrc, payload=b"picture")
        self.far.send(packet.serialize())


class _PeerConnection:
    def __init__(self, transceiver: RTCRtpTransceiver) -> None:
        self._transceiver = transceiver

    def getTransceivers(self) -> list[RTCRtpTransceiver]:
        return [self._transceiver]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    try:
        await scene.open()
        yield scene
    finally:
        await scene.far.close()


async def test_what_waits_at_the_socket_comes_at_once_in_order_and_others_have_their_turn(scene: Scene) -> None:
    count = AT_ONCE + 3
    for number in range(count):
        scene.send(number)
    turns: list[int] = []  # what had come by then
    while scene.taken.qsize() < count:
        await asyncio.sleep(0)
        turns.append(scene.taken.qsize())
    assert AT_ONCE in turns
    assert [scene.taken.get_nowait().sequence_number for _ in range(count)] == list(range(count))


async def test_what_is_sent_twice_is_taken_once(scene: Scene) -> None:
    packet = scene.far._outbound.protect(RtpPacket(payload_type=CODEC.payloadType or 0, ssrc=5).serialize())
    assert scene.far._address is not None
    for _ in range(2):
        scene.far.socket.sendto(packet, scene.far._address)
    scene.send(9)
    assert [(await scene.taken.get()).sequence_number for _ in range(2)] == [0, 9]
    assert scene.media_in.refused == 1


async def test_what_is_encrypted_but_no_rtp_is_refused_and_the_next_packet_comes(scene: Scene) -> None:
    cut_off = b"\x90" + bytes([CODEC.payloadType or 0]) + bytes(10) + b"\xbe\xde\x00\x01" + b"\x00\x00\x00\x5f"
    scene.far.send(cut_off)
    scene.send(9)
    assert (await scene.taken.get()).sequence_number == 9
    assert scene.media_in.refused == 1


async def test_streams_of_nobody_are_not_taken_and_many_of_them_are_not_remembered(scene: Scene) -> None:
    for ssrc in range(100, 100 + 2 * MAX_STREAMS):
        scene.send(1, ssrc=ssrc, payload_type=1)
    scene.send(9)
    assert (await scene.taken.get()).sequence_number == 9
    assert len(scene.media_in._takers) <= MAX_STREAMS


@given(st.lists(st.binary(min_size=1, max_size=60).map(lambda data: bytes([0x80 | data[0] & 0x3F]) + data[1:])))
def test_forged_packets_are_refused(forged: list[bytes]) -> None:
    async def run() -> None:
        scene = Scene()
        try:
            await scene.open()
            for data in forged:
                scene.agent._protocols[0].datagram_received(data, ("127.0.0.1", 9))
            scene.send(9)
            assert (await scene.taken.get()).sequence_number == 9
        finally:
            await scene.far.close()

    asyncio.run(run())
