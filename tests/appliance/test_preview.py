from __future__ import annotations

import asyncio
import io
import time

import av
import numpy as np
import pytest

from appliance import preview
from appliance.media.video_decoder import DecodedPicture
from appliance.media.video_in import RemoteVideo
from appliance.preview import Previews, encode_jpeg
from tests.appliance.unit import until


def picture(width: int = 640, height: int = 480, luma: int = 200) -> av.VideoFrame:
    planes = np.concatenate([np.full((height, width), luma, np.uint8), np.full((height // 2, width), 128, np.uint8)])
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


@pytest.mark.parametrize(
    ("size", "expected"), [((1280, 720), (640, 360)), ((320, 240), (320, 240)), ((1080, 1920), (640, 1138))]
)
def test_a_jpeg_keeps_the_proportions_and_the_light(size: tuple[int, int], expected: tuple[int, int]) -> None:
    with av.open(io.BytesIO(encode_jpeg(picture(*size))), "r") as jpeg:
        shown = next(jpeg.decode(video=0))
    assert (shown.width, shown.height) == expected
    light = shown.to_ndarray(format="gray").mean()
    assert light == pytest.approx((200 - 16) * 255 / 219, abs=3)  # limited range in, full range out


async def test_video_is_decoded_only_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "LOOK_S", 0.1)
    video, previews = RemoteVideo(), Previews()
    assert not video.wanted
    look = asyncio.create_task(previews.look(video))
    await until(lambda: video.wanted)
    frame = picture()
    now_s = time.monotonic()
    video.on_decoded(DecodedPicture(frame, 0, 0.0, now_s, now_s, now_s))
    assert await look is frame
    assert await previews.look(video) is frame  # again within the time: the same watch
    await until(lambda: not video.wanted)
    await previews.close()


async def test_no_picture_in_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "FIRST_PICTURE_S", 0.05)
    video, previews = RemoteVideo(), Previews()
    assert await previews.look(video) is None
    assert video.wanted  # one that asks again may have better luck
    video.close()
    assert await previews.look(video) is None
    await previews.close()
    assert not video.wanted
