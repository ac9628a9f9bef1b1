from __future__ import annotations

import asyncio

import av
import pytest

from appliance.media.video_in import RemoteVideo, VideoClosedError


def frame() -> av.VideoFrame:
    return av.VideoFrame(16, 16, "yuv420p")


def watched() -> tuple[RemoteVideo, list[bool]]:
    """A video, and what `wanted` was at each call of `on_wanted`."""
    video = RemoteVideo()
    asked: list[bool] = []
    video.on_wanted = lambda: asked.append(video.wanted)
    return video, asked


async def test_decodes_only_while_watched_and_asks_once_for_a_key_frame() -> None:
    video, asked = watched()
    video.on_frame(frame(), 1.0)
    assert (video.wanted, video.latest, video.stats().frames_decoded) == (False, None, 0)
    with video.watch() as same, video.watch():
        assert same is video
        assert asked == [True]
        picture = frame()
        video.on_frame(picture, 2.0)
        assert (video.latest, video.latest_s, video.stats().frames_decoded) == (picture, 2.0, 1)
    assert (video.wanted, video.latest, video.latest_s, video.stats().frames_decoded) == (False, None, None, 1)
    with video.watch():
        assert asked == [True, True]


async def test_everybody_who_waits_gets_the_next_picture() -> None:
    video, _ = watched()
    with video.watch():
        waiting = [asyncio.create_task(video.wait_frame()) for _ in range(3)]
        await asyncio.sleep(0)
        first, second = frame(), frame()
        video.on_frame(first, 1.0)
        video.on_frame(second, 2.0)
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
        video.on_frame(frame(), 1.0)
        assert video.stats().frames_decoded == 1


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
        video.on_frame(frame(), 1.0)
        assert (video.wanted, video.latest) == (False, None)
    with video.watch():
        assert asked == [True]


async def test_waiting_without_watching_would_last_for_ever() -> None:
    video, _ = watched()
    with pytest.raises(RuntimeError, match="watch"):
        await video.wait_frame()
