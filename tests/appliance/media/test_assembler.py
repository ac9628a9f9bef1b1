"""Pictures out of packets that get lost, doubled and overtake each other; and whole scenes on a virtual clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from appliance.media.assembler import (
    FIRST_KEYFRAME_S,
    MAX_LOST,
    MAX_PACKETS,
    MAX_PATIENCE_S,
    MIN_PATIENCE_S,
    CodedPicture,
    VideoAssembler,
    VideoPacket,
)
from appliance.media.depacketize import Layer, Part
from tests.appliance.media.video_scene import Link, Scene, Source


def watched() -> VideoAssembler:
    assembler = VideoAssembler()
    assembler.watch(0.0)
    return assembler


def stream(pictures: int, keyframes: tuple[int, ...] = (0,), parts: int = 3, first: int = 65_530) -> list[VideoPacket]:
    """Pictures of `parts` packets each; data says which picture."""
    packets: list[VideoPacket] = []
    for picture in range(pictures):
        key = picture in keyframes
        for part in range(parts):
            payload = Part(bytes([picture, part]), part == 0, key and part == 0, key and part == 0)
            number = (first + len(packets)) & 0xFFFF
            packets.append(VideoPacket(number, picture * 3000, part == parts - 1, payload))
    return packets


def numbers(pictures: list[CodedPicture]) -> list[int]:
    return [picture.data[0] for picture in pictures]


def taken(assembler: VideoAssembler, packets: list[VideoPacket], step_s: float = 0.001, at_s: float = 0.0) -> list[int]:
    """Feeds the packets and gives the numbers of the pictures that came."""
    return [
        number
        for index, packet in enumerate(packets)
        for number in numbers(assembler.add(packet, at_s + index * step_s).pictures)
    ]


def test_a_picture_comes_with_its_last_packet() -> None:
    assembler = watched()
    came = [len(assembler.add(packet, 0.0).pictures) for packet in stream(4)]
    assert came == [0, 0, 1] * 4


def test_it_knows_when_its_packets_came() -> None:
    assembler = watched()
    pictures = [picture for at, packet in enumerate(stream(2)) for picture in assembler.add(packet, at / 10).pictures]
    assert [(each.first_s, each.complete_s, each.keyframe) for each in pictures] == [
        (0.0, 0.2, True),
        (0.3, 0.5, False),
    ]


def test_a_sender_without_markers_is_understood() -> None:
    packets = [VideoPacket(p.sequence_number, p.timestamp, False, p.part) for p in stream(3)]
    assert taken(watched(), packets) == [0, 1]


@given(st.randoms(use_true_random=False))
def test_reordered_and_doubled_packets_make_the_same_pictures(rng: random.Random) -> None:
    packets = stream(12)
    mixed = packets[:1] + sorted(packets[1:], key=lambda p: packets.index(p) + rng.random() * 5)
    mixed += rng.choices(packets, k=6)
    assembler = watched()
    assert taken(assembler, mixed) == list(range(12))
    assert assembler.dropped == 6


def test_a_retransmitted_packet_brings_what_waited_for_it_at_once() -> None:
    packets = stream(5)
    lost = packets.pop(4)
    assembler = watched()
    assert taken(assembler, packets) == [0]
    assert numbers(assembler.add(lost, 0.1).pictures) == [1, 2, 3, 4]


def test_a_gap_is_asked_for_at_once_and_again_until_it_is_closed() -> None:
    packets = stream(4)
    lost = packets.pop(4)
    assembler = watched()
    assembler.set_rtt(0.05)
    results = [assembler.add(packet, 0.0) for packet in packets]
    assert [result.nack for result in results if result.nack] == [[lost.sequence_number]]
    asked_s: list[float] = []
    while len(asked_s) < 5:
        due_s = assembler.due_s
        assert due_s is not None
        if assembler.tick(due_s).nack:
            asked_s.append(due_s)
    assert all(0.01 <= after - before <= 0.07 for before, after in zip([0.0, *asked_s], asked_s, strict=False))
    assembler.add(lost, asked_s[-1])
    assert not any(assembler.tick(asked_s[-1] + step / 100).nack for step in range(3))


def test_while_a_gap_stays_a_key_frame_is_asked_for_again_and_again_and_taken_as_soon_as_it_comes() -> None:
    packets = stream(60, keyframes=(0, 40))
    packets.pop(4)
    assembler = watched()
    plis, pictures = [], []
    for index, packet in enumerate(packets):
        now_s = index * 0.01
        result = assembler.add(packet, now_s)
        pictures += numbers(result.pictures)
        plis += [now_s] if result.pli else []
    assert pictures == [0, *range(40, 60)]
    assert MIN_PATIENCE_S < plis[0] < MAX_PATIENCE_S + 0.1
    assert plis[1] - plis[0] > 0.3
    assert plis[-1] < 120 * 0.01
    assert assembler.due_s is None or not assembler.tick(5.0).pli


def test_a_whole_key_frame_behind_a_gap_is_gone_to_at_once() -> None:
    packets = stream(5, keyframes=(0, 3))
    assert taken(watched(), packets[:4] + packets[5:]) == [0, 3, 4]
    assert taken(watched(), packets[:6] + packets[11:]) == [0, 1]  # a key frame with a hole is none


def test_more_to_be_sent_again_than_a_key_frame_is_given_up_at_once() -> None:
    packets = stream(20, parts=20)
    gone = MAX_LOST + 1
    assembler = watched()
    assert taken(assembler, packets[:20]) == [0]
    result = assembler.add(packets[20 + gone], 0.1)
    assert (result.nack, result.pli) == ([], True)
    assert taken(assembler, packets[21 + gone :], at_s=0.11) == []


def test_what_is_left_of_a_picture_that_was_given_up_is_not_taken_for_one() -> None:
    packets = stream(60, parts=3, keyframes=tuple(range(60)))
    packets = [VideoPacket(p.sequence_number, p.timestamp, p.marker, Part(p.part.data, keyframe=True)) for p in packets]
    assembler = watched()
    taken(assembler, packets[:3])
    assembler.add(packets[3 + 3 * 34 + 1], 0.1)  # given up here, in the middle of a picture
    assert taken(assembler, packets[3 + 3 * 34 + 2 :], at_s=0.2)[0] == 36


def test_it_begins_with_a_key_frame_and_asks_for_one_when_none_comes() -> None:
    assembler = watched()
    results = [assembler.add(packet, index * 0.1) for index, packet in enumerate(stream(8, keyframes=(6,), parts=1))]
    assert [number for result in results for number in numbers(result.pictures)] == [6, 7]
    assert next(index for index, result in enumerate(results) if result.pli) == FIRST_KEYFRAME_S / 0.1


def test_padding_makes_no_picture_and_no_gap() -> None:
    packets = stream(2)
    padding = VideoPacket(packets[3].sequence_number, 0, False, Part(b""))
    shifted = [VideoPacket((p.sequence_number + 1) & 0xFFFF, p.timestamp, p.marker, p.part) for p in packets[3:]]
    assert taken(watched(), [*packets[:3], padding, *shifted]) == [0, 1]


def test_a_stream_that_starts_anew_elsewhere_goes_on_with_its_key_frame() -> None:
    assembler = watched()
    assert taken(assembler, stream(3)) == [0, 1, 2]
    assert taken(assembler, stream(5, keyframes=(2,), first=20_000), at_s=1.0) == [2, 3, 4]
    assert taken(assembler, stream(3, first=10_000), at_s=2.0) == [0, 1, 2]


def test_the_end_of_a_picture_is_missed_by_the_clock() -> None:
    assembler = watched()
    packets = stream(2)
    for packet in packets[:-1]:
        assembler.add(packet, 0.0)
    due_s = assembler.due_s
    assert due_s is not None
    assert due_s < 0.02
    assert assembler.tick(due_s).nack == [packets[-1].sequence_number]


def test_the_last_picture_before_a_pause_is_missed_by_the_clock_and_not_for_ever() -> None:
    assembler = watched()
    packets = stream(20)
    taken(assembler, packets[:-3], step_s=0.011)
    asked, now_s = [], 57 * 0.011
    while (due_s := assembler.due_s) is not None and now_s < 10.0:
        now_s = due_s
        asked += assembler.tick(now_s).nack
    assert asked == [packets[-3].sequence_number] * 3
    assert now_s < 1.0


def test_who_begins_to_watch_in_the_middle_of_a_key_frame_sees_it() -> None:
    packets = stream(3, keyframes=(1,))
    assembler = VideoAssembler()
    assert taken(assembler, packets[:4]) == [0]
    assembler.watch(0.01)
    asked = [assembler.add(packet, 0.02).pli for packet in packets[4:6]]
    assert not any(asked)
    assert taken(assembler, packets[6:], at_s=0.03) == [2]


def test_who_begins_to_watch_in_a_key_frame_with_a_hole_asks_for_another() -> None:
    packets = stream(3, keyframes=(1,))
    assembler = VideoAssembler()
    assert taken(assembler, [*packets[:4], packets[5]]) == [0]
    assembler.watch(0.01)
    assert assembler.tick(0.01).pli


def test_nobody_watches_nothing_is_asked_for_and_a_gap_holds_nothing_up() -> None:
    assembler = VideoAssembler()
    packets = stream(30)
    results = [assembler.add(packet, index * 0.01) for index, packet in enumerate(packets[:4] + packets[5:])]
    assert not any(result.nack or result.pli for result in results)
    assert assembler.due_s is None
    pictures = [number for result in results for number in numbers(result.pictures)]
    assert pictures[0] == 0
    assert pictures[-20:] == list(range(10, 30))
    assembler.watch(1.0)
    assert assembler.tick(1.0).pli


def vp8(picture: int, tid: int, tl0: int, *, sync: bool = False, disposable: bool = False) -> VideoPacket:
    part = Part(bytes([picture]), True, picture == 0, picture == 0, disposable, picture, Layer(tl0, tid, sync))
    return VideoPacket(picture, picture * 3000, True, part)


def test_a_lost_picture_of_an_upper_layer_is_passed_over() -> None:
    layers = [vp8(0, 0, 0), vp8(1, 1, 0), vp8(2, 0, 1), vp8(3, 1, 1), vp8(4, 1, 1, sync=True), vp8(5, 1, 1)]
    del layers[1]
    assembler = watched()
    assert taken(assembler, layers) == [0, 2, 4, 5]  # 3 may refer to 1, 4 does not
    assert assembler.undecodable == 1


def test_a_lost_picture_of_the_lowest_layer_is_waited_for() -> None:
    layers = [vp8(0, 0, 0), vp8(1, 1, 0), vp8(2, 0, 1), vp8(3, 0, 2)]
    lost = layers.pop(2)
    assembler = watched()
    assert taken(assembler, layers) == [0, 1]
    assert numbers(assembler.add(lost, 0.1).pictures) == [2, 3]


def test_lost_padding_is_passed_over() -> None:
    packets = [vp8(0, 0, 0), vp8(1, 0, 1)]
    packets[1].sequence_number = 5
    assert taken(watched(), packets) == [0, 1]


def test_a_hole_in_a_picture_to_which_no_other_refers_is_passed_over() -> None:
    packets = stream(4)
    for packet in packets[3:6]:
        packet.part.disposable = True
    assert taken(watched(), packets[:4] + packets[5:]) == [0, 2, 3]
    assert taken(watched(), packets[:7] + packets[8:]) == [0, 1]
    assert taken(watched(), packets[:3] + packets[4:]) == [0]  # what is gone may be of another picture


PACKETS = st.builds(
    VideoPacket,
    st.one_of(st.integers(0, 65_535), st.integers(0, 40)),
    st.integers(0, 9),
    st.booleans(),
    st.builds(
        Part,
        st.binary(max_size=3),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.none() | st.integers(0, 127),
        st.none() | st.builds(Layer, st.integers(0, 255), st.integers(0, 3), st.booleans()),
    ),
    st.booleans(),
)


@given(st.lists(st.tuples(PACKETS, st.floats(0.0, 0.3), st.sampled_from(["", "watch", "unwatch", "refuse"]))))
def test_whatever_comes_memory_and_answers_stay_bounded(what: list[tuple[VideoPacket, float, str]]) -> None:
    assembler, now_s = VideoAssembler(), 0.0
    for packet, step_s, also in what:
        now_s += step_s
        if also == "watch":
            assembler.watch(now_s)
        elif also == "unwatch":
            assembler.unwatch()
        elif also == "refuse":
            assembler.refuse(now_s)
        for result in (assembler.add(packet, now_s), assembler.tick(now_s)):
            assert len(result.nack) <= 65
            assert result.nack == sorted(result.nack)
            assert all(0 <= number <= 0xFFFF for number in result.nack)
            assert all(picture.data for picture in result.pictures)
    assert len(assembler._packets) <= MAX_PACKETS
    assert len(assembler._nacks) <= MAX_LOST


@settings(max_examples=25, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # to shrink takes minutes
@given(
    st.builds(
        Link,
        delay_s=st.floats(0.0005, 0.15),
        loss=st.floats(0.0, 0.3),
        jitter_s=st.floats(0.0, 0.05),
        duplicates=st.floats(0.0, 0.2),
        bursts=st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 3.0)), max_size=2).map(tuple),
    ),
    st.builds(
        Source,
        fps=st.sampled_from([5.0, 15.0, 30.0]),
        packets=st.integers(1, 12),
        resend_spacing_s=st.sampled_from([0.0, 0.05]),
        pauses=st.sampled_from([(), ((1.0, 2.0),)]),
        rtx=st.booleans(),
    ),
    st.integers(0, 1000),
)
def test_on_any_link_pictures_are_whole_in_order_and_come_again(link: Link, source: Source, seed: int) -> None:
    scene = Scene(link, source, seed=seed)
    scene.play(4.0)
    scene.link = Link(link.delay_s)
    shown = scene.play(6.0, since_s=4.0)
    assert shown.numbers == sorted(set(shown.numbers))
    sizes = scene.sizes
    assert all(
        len(picture.data) == sizes[number] for number, picture in zip(shown.numbers, shown.pictures, strict=True)
    )
    assert shown.numbers[-1] >= max(sizes) - 0.5 * source.fps  # on a good link everything is shown again
    decodable = -1
    for number, picture in zip(shown.numbers, shown.pictures, strict=True):
        assert picture.keyframe or number == decodable + 1 or not scene.sent_between(decodable, number)
        decodable = number


@pytest.mark.parametrize(("loss", "p95_ms"), [(0.0, 40), (0.01, 90), (0.02, 95), (0.05, 120)])
def test_random_loss_freezes_nothing_at_50_ms(loss: float, p95_ms: float) -> None:
    shown = Scene(Link(loss=loss), seed=3).play(60)
    assert shown.freezes() == 0
    assert shown.percentile_ms(0.5) < 60
    assert shown.percentile_ms(0.95) < p95_ms
    assert shown.plis <= 1


@pytest.mark.parametrize("loss", [0.01, 0.02, 0.05])
def test_early_requests_cost_little(loss: float) -> None:
    shown = Scene(Link(loss=loss), seed=3).play(60)
    assert shown.resent_packets < (0.14 + loss) * shown.sent_packets


def test_a_burst_of_loss_is_over_a_round_trip_after_its_end() -> None:
    bursts = tuple((second + 0.013, second + 0.213) for second in range(2, 60, 5))
    shown = Scene(Link(bursts=bursts)).play(60)
    assert max(shown.gaps_s()) < 0.3
    assert len(shown.numbers) >= 60 * 30 - 1
    assert shown.plis == 0


def test_a_long_outage_is_over_with_a_key_frame() -> None:
    shown = Scene(Link(bursts=((2.0, 4.0),))).play(6)
    assert max(shown.gaps_s()) < 2.2
    assert shown.keyframes == 2


def test_packets_that_overtake_each_other_are_soon_not_asked_for() -> None:
    shown = Scene(Link(jitter_s=0.01)).play(60)
    assert shown.freezes() == 0
    assert shown.resent_packets < 0.01 * shown.sent_packets
