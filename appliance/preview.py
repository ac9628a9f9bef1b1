"""Pictures for the virtual panel: JPEGs of the own camera and of remote video that is decoded only while looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from typing import TypeVar

import av
from av.video.reformatter import VideoReformatter

from appliance.media.video_in import RemoteVideo, VideoClosedError

T = TypeVar("T")

WIDTH = 640  # pixels
LOOK_S = 2.0  # a page that hasn't asked for so long looks elsewhere
FIRST_PICTURE_S = 1.0  # a decoder that starts waits for a key frame
_QUALITY = 4  # quantizer, 2 best to 31


class Previews:
    """Made and used on the event loop; the work is done in one thread, started by the first."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="preview")
        self._looks: dict[RemoteVideo, tuple[ExitStack, asyncio.TimerHandle]] = {}

    async def run(self, function: Callable[[], T]) -> T:
        """`function` in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def jpeg(self, frame: av.VideoFrame) -> bytes:
        return await self.run(lambda: encode_jpeg(frame))

    async def look(self, video: RemoteVideo) -> av.VideoFrame | None:
        """The newest picture; None when none comes in time. Decoding goes on until nobody looks any more."""
        stack, timer = self._looks.pop(video, (None, None))
        if timer is not None:
            timer.cancel()
        if stack is None:
            stack = ExitStack()
            stack.enter_context(video.watch())
        self._looks[video] = (stack, asyncio.get_running_loop().call_later(LOOK_S, self._look_away, video))
        if video.latest is not None:
            return video.latest
        try:
            async with asyncio.timeout(FIRST_PICTURE_S):
                return await video.wait_frame()
        except (TimeoutError, VideoClosedError):
            return None

    def _look_away(self, video: RemoteVideo) -> None:
        stack, timer = self._looks.pop(video)
        timer.cancel()
        stack.close()

    async def close(self) -> None:
        for video in list(self._looks):
            self._look_away(video)
        self._thread.shutdown(wait=True, cancel_futures=True)  # at most one picture: some milliseconds


def encode_jpeg(frame: av.VideoFrame, width: int = WIDTH) -> bytes:
    """One picture as JPEG, at most `width` wide, in its own proportions."""
    width = min(width, frame.width) & ~1
    height = max(2, round(width * frame.height / frame.width) & ~1)
    # A reformatter of our own: the frame is shared with the encoder's thread, and its own one is made on first use.
    small = VideoReformatter().reformat(frame, width, height, "yuvj420p", dst_color_range="JPEG")
    small.pts, small.time_base = 0, Fraction(1, 30)
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuvj420p", Fraction(1, 30)
    codec.options = {"qmin": str(_QUALITY), "qmax": str(_QUALITY)}
    return b"".join(bytes(packet) for packet in (*codec.encode(small), *codec.encode(None)))
