"""A leg's queue of encoded frames."""

from __future__ import annotations

import asyncio

import pytest

from appliance.media.feedback import BitrateEstimate, ReceiverReport
from appliance.media.frames import EncodedFrame, Kind
from appliance.media.merge import Report
from appliance.media.send_control import LegControl
from appliance.media.tap import AUDIO_FRAMES, VIDEO_FRAMES, Tap, TapCalls, TapClosedError


class Asked:
    def __init__(self) -> None:
        self.keyframes = self.reports = 0
        self.closed: list[Tap] = []

    def tap(self, kind: Kind) -> Tap:
        def keyframe() -> None:
            self.keyframes += 1

        def reported() -> None:
            self.reports += 1

        calls = TapCalls(keyframe, reported, self.closed.append)
        control = LegControl(100_000, 1_000_000, 2_000_000) if kind == "video" else None
        return Tap(kind, "vp8" if kind == "video" else "opus", calls, control=control)


def frame(number: int, *, keyframe: bool) -> EncodedFrame:
    return EncodedFrame((b"x",), number, keyframe, None, float(number))


def queued(tap: Tap) -> list[int]:
    numbers = []
    while True:
        task = tap.next()
        try:
            task.send(None)
        except StopIteration as done:
            numbers.append(done.value.timestamp)
        else:
            task.close()
            return numbers


async def test_video_begins_with_a_key_frame() -> None:
    tap = Asked().tap("video")
    for number in range(4):
        tap.put(frame(number, keyframe=number == 2))
    assert queued(tap) == [2, 3]


async def test_a_slow_reader_of_video_goes_on_at_the_next_key_frame_which_it_asks_for() -> None:
    asked = Asked()
    tap = asked.tap("video")
    for number in range(VIDEO_FRAMES + 3):
        tap.put(frame(number, keyframe=number == 0))
    assert queued(tap) == []
    assert asked.keyframes == 1
    tap.put(frame(100, keyframe=True))
    tap.put(frame(101, keyframe=False))
    assert queued(tap) == [100, 101]
    assert tap.dropped == VIDEO_FRAMES + 1


async def test_a_key_frame_takes_the_place_of_what_waits_when_the_queue_is_full() -> None:
    asked = Asked()
    tap = asked.tap("video")
    for number in range(VIDEO_FRAMES):
        tap.put(frame(number, keyframe=number == 0))
    tap.put(frame(99, keyframe=True))
    assert queued(tap) == [99]
    assert asked.keyframes == 0


async def test_a_slow_reader_of_audio_loses_the_oldest() -> None:
    tap = Asked().tap("audio")
    for number in range(AUDIO_FRAMES + 2):
        tap.put(frame(number, keyframe=True))
    assert queued(tap) == list(range(2, AUDIO_FRAMES + 2))
    assert tap.dropped == 2


async def test_a_reader_that_waits_is_woken_by_a_frame_and_by_the_end() -> None:
    asked = Asked()
    tap = asked.tap("audio")
    reading = asyncio.create_task(tap.next(), name="reader")
    await asyncio.sleep(0)
    tap.put(frame(1, keyframe=True))
    assert (await reading).timestamp == 1
    reading = asyncio.create_task(tap.next(), name="reader")
    await asyncio.sleep(0)
    tap.close()
    tap.close()
    with pytest.raises(TapClosedError):
        await reading
    assert asked.closed == [tap]


async def test_what_a_leg_reports_is_kept_and_told() -> None:
    asked = Asked()
    sound, video = asked.tap("audio"), asked.tap("video")
    assert video.control is not None
    for number in range(50):
        sound.put(frame(number, keyframe=True))
    sound.report(ReceiverReport(0.25, 3, 0, None, 2.0))
    assert sound.loss == Report(0.25, 2.0)
    video.report(ReceiverReport(0.2, 3, 0, None, 2.0))
    video.report(BitrateEstimate(400_000, 2.5))
    assert (video.control.target_bps, asked.reports) == (400_000, 3)


async def test_the_frames_of_another_layer_go_on_with_growing_timestamps() -> None:
    tap = Asked().tap("video")
    for number in (5, 7, 6, 7, 8, 9):
        tap.put(frame(number, keyframe=True))
    assert queued(tap) == [5, 7, 8, 9, 10, 11]
    tap.put(frame(0xFFFFFFFF, keyframe=True))
    assert queued(tap) == [12]  # older, by the clock of 32 bits
    tap.put(frame(0x70000000, keyframe=True))
    tap.put(frame(0xE0000000, keyframe=True))
    tap.put(frame(3, keyframe=True))
    assert queued(tap) == [0x70000000, 0xE0000000, 3]


async def test_a_loss_among_the_few_packets_of_a_pause_counts_for_little() -> None:
    tap = Asked().tap("audio")
    for number in range(10):
        tap.put(frame(number, keyframe=True))
    tap.report(ReceiverReport(0.2, 2, 0, None, 1.0))
    assert tap.loss is not None
    assert tap.loss.value == pytest.approx(0.04)
    for number in range(10, 110):
        tap.put(frame(number, keyframe=True))
    tap.report(ReceiverReport(0.2, 22, 0, None, 2.0))
    assert tap.loss.value == pytest.approx(0.2)


async def test_audio_has_no_key_frames_and_a_closed_tap_asks_for_none() -> None:
    asked = Asked()
    asked.tap("audio").request_keyframe()
    video = asked.tap("video")
    video.close()
    video.request_keyframe()
    assert asked.keyframes == 0
