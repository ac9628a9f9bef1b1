"""Pictures out of packets that get lost, doubled and overtake each other."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.assembler import GIVE_UP_S, RENACK_S, REPEAT_PLI_S, VideoAssembler, VideoPacket


def _is_keyframe(data: bytes) -> bool:
    return data.startswith(b"K")


def stream(pictures: int, keyframes: tuple[int, ...] = (0,), parts: int = 3, first: int = 65_530) -> list[VideoPacket]:
    """Pictures of `parts` packets each; data says which picture, and K which are key frames."""
    packets: list[VideoPacket] = []
    for picture in range(pictures):
        for part in range(parts):
            head = (b"K" if picture in keyframes else b"D") if part == 0 else b""
            data = head + bytes([picture])
            packets.append(VideoPacket((first + len(packets)) & 0xFFFF, picture * 3000, part == parts - 1, data))
    return packets


def taken(assembler: VideoAssembler, packets: list[VideoPacket], step_s: float = 0.01, at_s: float = 0.0) -> list[int]:
    """Feeds the packets and gives the numbers of the pictures that came."""
    numbers = []
    for index, packet in enumerate(packets):
        numbers += [data[-1] for _, data in assembler.add(packet, at_s + index * step_s).pictures]
    return numbers


def test_a_picture_comes_with_its_last_packet() -> None:
    assembler = VideoAssembler(_is_keyframe)
    came = [len(assembler.add(packet, 0.0).pictures) for packet in stream(4)]
    assert came == [0, 0, 1] * 4


def test_a_sender_without_markers_is_understood() -> None:
    packets = [VideoPacket(p.sequence_number, p.timestamp, False, p.data) for p in stream(3)]
    assert taken(VideoAssembler(_is_keyframe), packets) == [0, 1]


@given(st.randoms(use_true_random=False))
def test_reordered_and_doubled_packets_make_the_same_pictures(rng: random.Random) -> None:
    packets = stream(12)
    mixed = packets[:1] + sorted(packets[1:], key=lambda p: packets.index(p) + rng.random() * 5)
    mixed += rng.choices(packets, k=6)
    assembler = VideoAssembler(_is_keyframe)
    assert taken(assembler, mixed, step_s=0.001) == list(range(12))
    assert assembler.dropped == 6


def test_a_retransmitted_packet_brings_what_waited_for_it_at_once() -> None:
    packets = stream(5)
    lost = packets.pop(4)
    assembler = VideoAssembler(_is_keyframe)
    assert taken(assembler, packets) == [0]
    assert [data[-1] for _, data in assembler.add(lost, 0.2).pictures] == [1, 2, 3, 4]


def test_a_gap_is_asked_for_again_until_it_is_given_up_and_then_a_key_frame_is() -> None:
    packets = stream(60, keyframes=(0, 40))
    lost = packets.pop(4)
    assembler = VideoAssembler(_is_keyframe)
    nacks, plis, pictures = [], [], []
    for index, packet in enumerate(packets):
        now_s = index * 0.01
        result = assembler.add(packet, now_s)
        pictures += [data[-1] for _, data in result.pictures]
        nacks += [(now_s, number) for number in result.nack]
        plis += [now_s] if result.pli else []
    assert {number for _, number in nacks} == {lost.sequence_number}
    assert 3 <= len(nacks) <= GIVE_UP_S / RENACK_S
    assert pictures == [0, *range(40, 60)]
    assert GIVE_UP_S < plis[0] < GIVE_UP_S + 0.1
    assert plis[1] - plis[0] >= REPEAT_PLI_S


def test_what_is_left_of_a_picture_that_was_given_up_is_not_taken_for_one() -> None:
    assembler = VideoAssembler(lambda data: True)  # anything passes as a key frame
    packets = stream(6)
    assert taken(assembler, packets[:4]) == [0]
    assert taken(assembler, packets[5:6], at_s=0.1) == []
    later = [VideoPacket(p.sequence_number, p.timestamp, p.marker, p.data) for p in packets[6:]]
    assert taken(assembler, later[:1], at_s=1.0) == []  # given up here, in the middle of picture 2
    assert taken(assembler, later[1:], at_s=1.0) == [3, 4, 5]


def test_it_begins_with_a_key_frame_and_asks_for_one_when_none_comes() -> None:
    assembler = VideoAssembler(_is_keyframe)
    results = [assembler.add(packet, index * 0.1) for index, packet in enumerate(stream(8, keyframes=(6,)))]
    assert [data[-1] for result in results for _, data in result.pictures] == [6, 7]
    assert next(index for index, result in enumerate(results) if result.pli) == REPEAT_PLI_S / 0.1


def test_padding_makes_no_picture_and_no_gap() -> None:
    packets = stream(2)
    padding = VideoPacket(packets[3].sequence_number, 0, False, b"")
    shifted = [VideoPacket((p.sequence_number + 1) & 0xFFFF, p.timestamp, p.marker, p.data) for p in packets[3:]]
    assert taken(VideoAssembler(_is_keyframe), [*packets[:3], padding, *shifted]) == [0, 1]


def test_a_stream_that_starts_anew_elsewhere_goes_on_with_its_key_frame() -> None:
    assembler = VideoAssembler(_is_keyframe)
    assert taken(assembler, stream(3)) == [0, 1, 2]
    assert taken(assembler, stream(5, keyframes=(2,), first=20_000), at_s=1.0) == [2, 3, 4]


@given(
    st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 9), st.booleans(), st.binary(max_size=3)), max_size=80)
)
def test_whatever_comes_memory_and_answers_stay_bounded(what: list[tuple[int, int, bool, bytes]]) -> None:
    assembler = VideoAssembler(_is_keyframe)
    for index, fields in enumerate(what):
        result = assembler.add(VideoPacket(*fields), index * 0.01)
        assert len(result.nack) <= 64
        assert all(0 <= number <= 0xFFFF for number in result.nack)
