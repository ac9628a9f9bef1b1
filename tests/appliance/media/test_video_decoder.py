"""The decoder's thread: whole pictures of both codecs, what is late or broken, and its end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import av
import numpy as np
import pytest

from appliance.media import video_decoder
from appliance.media.assembler import CodedPicture
from appliance.media.frames import VideoCodec
from appliance.media.video_decoder import DecodedPicture, VideoDecoder
from appliance.media.video_encoder import VideoEncoder
from appliance.media.video_stats import Counters

NAMES: dict[VideoCodec, str] = {"h264": "H264", "vp8": "VP8"}


def coded(codec: VideoCodec, count: int, keyframes: tuple[int, ...] = (0,)) -> list[CodedPicture]:
    encoder = VideoEncoder(codec, 64, 64, 30)
    pictures = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((96, 64), number * 8, np.uint8), "yuv420p")
        made = encoder.encode(frame, number * 3000, keyframe=number in keyframes, bitrate_bps=100_000, now_s=0.0)
        assert made is not None
        now_s = time.monotonic()
        timestamp = (number * 3000 - 4000) & 0xFFFFFFFF
        pictures.append(CodedPicture(timestamp, bytes(made.data), number in keyframes, now_s, now_s))
    return pictures


class Running:
    def __init__(self) -> None:
        self.counters = Counters()
        self.pictures: list[DecodedPicture] = []
        self.lost = 0
        self.decoder = VideoDecoder(self.counters, self.pictures.append, self._on_lost)
        self.codec = "H264"

    def _on_lost(self) -> None:
        self.lost += 1

    def put(self, *pictures: CodedPicture) -> None:
        for picture in pictures:
            self.decoder.put(self.codec, picture)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110  # counters raise no event
                await asyncio.sleep(0.002)


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    it = Running()
    thread = threading.Thread(target=it.decoder.run, args=(asyncio.get_running_loop(),))
    thread.start()
    try:
        yield it
    finally:
        it.decoder.end()
        thread.join(2)
        assert not thread.is_alive()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_each_picture_comes_out_with_its_own_bytes(codec: VideoCodec) -> None:
    async with running() as it:
        it.codec = NAMES[codec]
        for number, picture in enumerate(coded(codec, 6)):
            it.put(picture)
            await it.until(lambda number=number: len(it.pictures) == number + 1)  # type: ignore[misc]
            newest = it.pictures[-1]
            assert newest.pts_s == pytest.approx(number / 30)  # over the wrap of its timestamps, too
            assert newest.frame.pts == number * 3000
            light = newest.frame.to_ndarray(format="yuv420p")[:64].mean()
            assert abs(light - number * 8) < 12
        assert (it.counters.frames_decoded, it.counters.corrupted, it.lost) == (6, 0, 0)


async def test_it_begins_with_a_key_frame() -> None:
    async with running() as it:
        it.put(*coded("h264", 5, (0, 3))[1:])
        await it.until(lambda: len(it.pictures) == 2)
        assert it.counters.frames_dropped == 2


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_what_is_broken_is_counted_not_shown_and_a_key_frame_is_asked_for_once(codec: VideoCodec) -> None:
    pictures = coded(codec, 8, (0, 6))
    pictures[2].data = pictures[2].data[:5] if codec == "h264" else pictures[2].data[:2]
    async with running() as it:
        it.codec = NAMES[codec]
        it.put(*pictures)
        await it.until(lambda: len(it.pictures) == 4)
        assert [round(each.pts_s * 30) for each in it.pictures] == [0, 1, 6, 7]
        assert (it.counters.corrupted, it.lost) == (1, 1)


async def test_an_empty_picture_is_no_end_of_the_stream() -> None:
    pictures = coded("h264", 4, (0, 2))
    pictures[1].data = b""
    async with running() as it:
        it.put(*pictures)
        await it.until(lambda: len(it.pictures) == 3)
        assert it.counters.corrupted == 1


async def test_pictures_that_are_too_late_are_passed_over_to_the_next_key_frame() -> None:
    pictures = coded("h264", 12, (0, 9))
    for picture in pictures[1:9]:
        picture.complete_s -= video_decoder.MAX_LAG_S + 0.1
    it = Running()
    it.put(*pictures)
    thread = threading.Thread(target=it.decoder.run, args=(asyncio.get_running_loop(),))
    thread.start()
    await it.until(lambda: len(it.pictures) == 4)
    it.decoder.end()
    thread.join(2)
    assert [round(each.pts_s * 30) for each in it.pictures][1:] != [1, 2, 3]
    assert it.counters.frames_dropped == 8
    assert it.lost <= 1


async def test_a_decoder_that_stands_still_keeps_a_bounded_queue() -> None:
    it = Running()
    picture = coded("h264", 1)[0]
    for _ in range(10 * video_decoder.MAX_WAITING):
        it.put(picture)
    assert len(it.decoder._waiting) <= video_decoder.MAX_WAITING + 1


async def test_the_end_overtakes_what_waits() -> None:
    it = Running()
    it.put(*coded("h264", 3))
    it.decoder.end()
    it.decoder.run(asyncio.get_running_loop())
    await asyncio.sleep(0)
    assert it.pictures == []
