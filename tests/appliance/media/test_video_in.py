from __future__ import annotations

import asyncio
import time

import av
import pytest

from appliance.media.video_decoder import DecodedPicture
from appliance.media.video_in import RemoteVideo, VideoClosedError


def frame() -> av.VideoFrame:
    return av.VideoFrame(16, 16, "yuv420p")


def decoded(picture: av.VideoFrame | None = None) -> DecodedPicture:
    now_s = time.monotonic()
    return DecodedPicture(picture or frame(), 0, 0.0, now_s, now_s, now_s)


def watched() -> tuple[RemoteVideo, list[bool]]:
    """A video, and what `wanted` was at each call of `on_wanted`."""
    video = RemoteVideo()
    asked: list[bool] = []
    video.on_wanted = lambda: asked.append(video.wanted)
    return video, asked


async def test_decodes_only_while_watched_and_asks_once_for_a_key_frame() -> None:
    video, asked = watched()
    video.on_decoded(decoded())
    assert (video.wanted, video.latest, video.stats().frames_shown) == (False, None, 0)
    with video.watch() as same, video.watch():
        assert same is video
        assert asked == [True]
        picture = frame()
        video.on_decoded(decoded(picture))
        assert (video.latest, video.stats().frames_shown) == (picture, 1)
        assert video.latest_s is not None
    assert asked == [True, False]
    assert (video.wanted, video.latest, video.stats().frames_shown) == (False, None, 1)
    assert video.latest_s is None
    with video.watch():
        assert asked == [True, False, True]


async def test_everybody_who_waits_gets_the_next_picture() -> None:
    video, _ = watched()
    with video.watch():
        waiting = [asyncio.create_task(video.wait_frame()) for _ in range(3)]
        await asyncio.sleep(0)
        first, second = frame(), frame()
        video.on_decoded(decoded(first))
        video.on_decoded(decoded(second))
        assert await asyncio.gather(*waiting) == [first, first, first]
        assert video.latest is second


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    video, _ = watched()
    with video.watch():
        waiting = asyncio.create_task(video.wait_frame())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        video.on_decoded(decoded())
        assert video.stats().frames_shown == 1


async def test_close_ends_the_waits() -> None:
    video, asked = watched()
    with video.watch():
        waiting = asyncio.create_task(video.wait_frame())
        await asyncio.sleep(0)
        video.close()
        with pytest.raises(VideoClosedError):
            await waiting
        with pytest.raises(VideoClosedError):
            await video.wait_frame()
        video.on_decoded(decoded())
        assert (video.wanted, video.latest) == (False, None)
    with video.watch():
        assert asked == [True]


async def test_waiting_without_watching_would_last_for_ever() -> None:
    video, _ = watched()
    with pytest.raises(RuntimeError, match="watch"):
        await video.wait_frame()
