"""RTP headers as aiortc's parser reads them, retransmissions, and runs of packets that leave together."""

from __future__ import annotations

from itertools import count

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpSendParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unwrap_rtx
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.frames import EncodedFrame
from appliance.media.parity import Recovered, Recovery
from appliance.media.rtp_out import HISTORY_S, RESEND_S, RtpStream, SentCounts, StreamParameters, segments

URIS = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
)
PARITY_TYPE = 111
FRAME = EncodedFrame((b"first", b"second", b"last"), 3000, True, 21, 9.0)


class Port:
    """Keeps what is put until it is read."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.waiting = 0

    def put(self, header: bytes | bytearray, payload: bytes) -> None:
        self.packets.append(bytes(header) + payload)
        self.waiting += 1

    def flush(self) -> None:
        self.waiting = 0

    def read(self, ids: tuple[int, int, int, int] = (1, 2, 3, 4)) -> list[RtpPacket]:
        assert self.waiting == 0
        extensions = HeaderExtensionsMap()
        extensions.configure(
            RTCRtpSendParameters(
                headerExtensions=[
                    RTCRtpHeaderExtensionParameters(id=number, uri=uri)
                    for number, uri in zip(ids, URIS, strict=True)
                    if number
                ]
            )
        )
        packets, self.packets = self.packets, []
        return [RtpPacket.parse(packet, extensions) for packet in packets]


class Numbers:
    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._next = count(65_534)

    def sent(self, size_bytes: int, now_s: float) -> int:
        self.sizes.append(size_bytes)
        return next(self._next) & 0xFFFF


def parameters(*, rtx: bool = True, mid: str = "0", ids: tuple[int, int, int, int] = (1, 2, 3, 4)) -> StreamParameters:
    return StreamParameters(7, 96, 48_000, 8, 97 if rtx else None, mid, ids[0], ids[2], ids[1], ids[3], PARITY_TYPE)


def stream(port: Port, numbers: Numbers | None = None, *, rtx: bool = True) -> RtpStream:
    return RtpStream(parameters(rtx=rtx), port, numbers, number=65_534, timestamp_origin=(1 << 32) - 1000)


@given(
    ids=st.lists(st.integers(0, 14), min_size=4, max_size=4).filter(
        lambda ids: len({i for i in ids if i}) == len([i for i in ids if i])
    ),
    mid=st.text("abcdef0123456789", max_size=16),
    level=st.none() | st.integers(0, 127),
    payloads=st.lists(st.binary(max_size=50), min_size=1, max_size=5),
)
def test_every_header_can_be_read(ids: list[int], mid: str, level: int | None, payloads: list[bytes]) -> None:
    port = Port()
    of = (ids[0], ids[1], ids[2], ids[3])
    rtp = RtpStream(parameters(mid=mid, ids=of), port, Numbers(), number=65_535, timestamp_origin=5)
    rtp.send(EncodedFrame(tuple(payloads), 1, True, level, 0.0), 0, len(payloads), 64.5)
    packets = port.read(of)
    assert [packet.payload for packet in packets] == payloads
    assert [packet.marker for packet in packets] == [0] * (len(payloads) - 1) + [1]
    assert [packet.sequence_number for packet in packets] == [(65_535 + i) & 0xFFFF for i in range(len(payloads))]
    assert {(packet.ssrc, packet.payload_type, packet.timestamp) for packet in packets} == {(7, 96, 6)}
    first = packets[0].extensions
    assert first.mid == ((mid or None) if ids[0] else None)
    assert first.audio_level == ((False, level or 0) if ids[1] else None)
    assert first.abs_send_time == ((1 << 17) if ids[2] else None)  # half a second beyond a wrap at 64 s
    assert first.transport_sequence_number == (65_534 if ids[3] else None)


def test_a_frame_in_parts_is_one_frame_and_the_port_is_flushed_after_each() -> None:
    port, numbers = Port(), Numbers()
    rtp = stream(port, numbers)
    rtp.send(FRAME, 0, 2, 1.0)
    early = port.read()
    rtp.send(FRAME, 2, 3, 1.1)
    packets = early + port.read()
    assert [packet.sequence_number for packet in packets] == [65_534, 65_535, 0]
    assert [packet.extensions.transport_sequence_number for packet in packets] == [65_534, 65_535, 0]
    assert {packet.timestamp for packet in packets} == {2000}
    assert [packet.marker for packet in packets] == [0, 0, 1]
    assert rtp.counts() == SentCounts(1, 1, 3, 15)
    assert numbers.sizes == [rtp.overhead_bytes + size for size in (5, 6, 4)]


def test_a_retransmission_is_rtx_with_numbers_of_its_own() -> None:
    port, numbers = Port(), Numbers()
    rtp = stream(port, numbers)
    rtp.send(FRAME, 0, 1, 1.0)
    rtp.send(FRAME, 1, 3, 1.0)
    port.read()
    assert rtp.retransmit([65_534, 0, 5], 1.01) == 5 + 4 + 4
    packets = port.read()
    assert [(packet.ssrc, packet.payload_type) for packet in packets] == [(8, 97)] * 2
    assert packets[1].sequence_number == (packets[0].sequence_number + 1) & 0xFFFF
    assert [packet.extensions.transport_sequence_number for packet in packets] == [1, 2]
    originals = [unwrap_rtx(packet, 96, 7) for packet in packets]
    assert [(packet.sequence_number, packet.payload, packet.marker) for packet in originals] == [
        (65_534, b"first", 0),
        (0, b"last", 1),
    ]
    assert {packet.timestamp for packet in originals} == {2000}
    assert rtp.counts() == SentCounts(1, 1, 3, 15, 2, 13)


def test_without_rtx_the_very_same_bytes_go_out_again() -> None:
    port = Port()
    rtp = stream(port, Numbers(), rtx=False)
    rtp.send(FRAME, 0, 3, 1.0)
    first = list(port.packets)
    rtp.send(EncodedFrame((b"later",), 6000, False, 99, 9.0), 0, 1, 1.02)
    port.packets.clear()
    rtp.retransmit([65_535, 0], 1.05)
    assert port.packets == first[1:]
    rtp.send(EncodedFrame((b"on",), 9000, False, 50, 9.0), 0, 1, 1.07)
    assert port.packets[-1] != first[0]
    assert port.read()[-1].sequence_number == 2


def test_a_packet_is_not_sent_again_within_a_quarter_of_a_round_trip() -> None:
    port = Port()
    rtp = stream(port)
    rtp.send(FRAME, 0, 3, 1.0)
    assert rtp.retransmit([0], 1.01) > 0
    assert rtp.retransmit([0], 1.01 + RESEND_S / 2) == 0
    assert rtp.retransmit([0], 1.01 + RESEND_S * 2) > 0
    rtp.rtt_s = 0.1
    assert rtp.retransmit([0], 1.04) == 0
    assert rtp.retransmit([0], 1.05) > 0


def test_what_is_asked_for_again_comes_twice_where_there_is_room() -> None:
    port = Port()
    rtp = stream(port)
    rtp.send(FRAME, 0, 3, 1.0)
    port.read()
    for now_s, spare, copies in ((1.01, True, 1), (1.03, False, 1), (1.05, True, 2)):
        assert rtp.retransmit([65_534], now_s, spare=spare) == copies * (2 + len(b"first"))
        assert [unwrap_rtx(packet, 96, 7).payload for packet in port.read()] == [b"first"] * copies


def test_what_is_old_or_forgotten_is_not_sent_again() -> None:
    port = Port()
    rtp = stream(port)
    rtp.send(FRAME, 0, 3, 1.0)
    rtp.send(FRAME, 0, 3, 1.1 + HISTORY_S)
    assert rtp.retransmit([65_534, 65_535, 0], 1.2 + HISTORY_S) == 0
    assert rtp.retransmit([1], 1.2 + HISTORY_S) > 0
    rtp.forget()
    assert rtp.retransmit([2], 1.2 + HISTORY_S) == 0


def test_the_timestamp_of_now_goes_on_from_the_capture_of_the_newest_frame() -> None:
    rtp = stream(Port())
    assert rtp.timestamp_at(1.0) is None
    rtp.send(FRAME, 0, 3, 9.3)
    assert rtp.timestamp_at(10.0) == 2000 + 48_000


@given(st.lists(st.integers(1, 4), max_size=20))
def test_runs_hold_every_packet_in_order_and_only_the_last_of_a_run_is_smaller(sizes: list[int]) -> None:
    at = 0
    for number, size in segments(sizes):
        run = sizes[at : at + number]
        assert run[:-1] == [size] * (number - 1)
        assert 0 < run[-1] <= size
        at += number
    assert at == len(sizes)


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [([], []), ([9], [(1, 9)]), ([3, 9, 9, 4], [(1, 3), (3, 9)]), ([9, 9, 4, 4], [(3, 9), (1, 4)])],
)
def test_a_picture_is_few_runs(sizes: list[int], runs: list[tuple[int, int]]) -> None:
    assert segments(sizes) == runs


def test_parities_follow_the_packets_that_they_are_for_in_whatever_parts_a_picture_is_sent() -> None:
    port, numbers = Port(), Numbers()
    rtp = stream(port, numbers)
    picture = EncodedFrame(tuple(bytes([at]) * (at + 1) for at in range(7)), 3000, False, None, 9.0)
    rtp.parity_group = 3  # of 7: one of 3 and one of 4
    sizes = [rtp.send(picture, start, stop, 10.0) for start, stop in ((0, 2), (2, 5), (5, 7))]
    packets = port.read()
    assert [packet.payload_type & 0x7F for packet in packets] == [96] * 5 + [PARITY_TYPE] + [96] * 2 + [PARITY_TYPE]
    media = [packet for packet in packets if packet.payload_type != PARITY_TYPE]
    parities = [packet for packet in packets if packet.payload_type == PARITY_TYPE]
    assert [packet.sequence_number for packet in media] == [65_534, 65_535, 0, 1, 2, 3, 4]
    assert {(packet.ssrc, packet.timestamp, packet.marker) for packet in parities} == {(8, media[0].timestamp, 0)}
    assert [packet.extensions.transport_sequence_number for packet in packets] == [65_534, 65_535, *range(7)]
    assert sizes == [0, len(parities[0].payload), len(parities[1].payload)]
    counts = rtp.counts()
    assert (counts.packets, counts.parity_packets, counts.parity_bytes) == (7, 2, sum(sizes))
    for lost in media:
        recovery, recovered = Recovery(), []
        for packet in packets:
            if packet.payload_type == PARITY_TYPE:
                recovered += recovery.parity(packet.timestamp, packet.payload)
            elif packet is not lost:
                recovered += recovery.packet(packet.sequence_number, packet.payload)
        assert recovered == [Recovered(lost.sequence_number, lost.timestamp, bool(lost.marker), lost.payload)]


def test_nothing_is_protected_where_nobody_wants_it_or_could_tell_it_from_the_picture() -> None:
    port = Port()
    for rtp in (stream(port), stream(port, rtx=False)):
        rtp.parity_group = 3 * (not rtp.protects)
        assert rtp.send(FRAME, 0, 3, 10.0) == 0
        assert [packet.payload for packet in port.read()] == [b"first", b"second", b"last"]


def test_a_packet_that_is_repeated_is_the_same_bytes() -> None:
    port, numbers = Port(), Numbers()
    rtp = stream(port, numbers, rtx=False)
    rtp.send(EncodedFrame((b"sound",), 960, True, 30, 9.0), 0, 1, 10.0)
    rtp.repeat(10.0)
    once, again = port.packets
    assert once == again
    assert (rtp.counts().packets, rtp.counts().retransmitted_packets, len(numbers.sizes)) == (1, 1, 1)
