"""A live room for the relay's tests: hosts of one colour and one tone each, and what is found of them in a picture."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt

from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room.client import RoomClient
from appliance.room.options import RoomOptions
from appliance.room.streams import LocalStream
from hw import OnLost, Picture, PictureSink
from hw.frame_code import draw_code
from hw.pacing import Pacer, Tick
from hw.synthetic import SyntheticMicrophone
from tests.appliance.room.house import Guest

RED, GREEN, BLUE, WHITE, YELLOW = (200, 30, 30), (30, 180, 30), (40, 40, 210), (235, 235, 235), (200, 180, 30)
Color = tuple[int, int, int]
WIDTH, HEIGHT, FPS = 320, 180, 15


def flat(color: Color, width: int, height: int) -> av.VideoFrame:
    """A picture of one color."""
    rgb = np.full((height, width, 3), color, np.uint8)
    return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")


class ColorCamera:
    """One colour, and a frame code that counts; its left edge is black, so that a cut can be seen."""

    device_id = "color"

    def __init__(self, color: Color) -> None:
        self.width, self.height, self.fps = WIDTH, HEIGHT, FPS
        self._planes = np.asarray(flat(color, WIDTH, HEIGHT).to_ndarray(), np.uint8)
        self._planes[:HEIGHT, :16] = 16
        self._pacer = Pacer("color-camera")

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        def prepare() -> Tick:
            def tick(number: int, due_s: float) -> None:
                planes = self._planes.copy()
                draw_code(planes[:HEIGHT], number)
                sink(Picture(av.VideoFrame.from_ndarray(planes, "yuv420p"), time.monotonic()))

            return tick

        self._pacer.start(1 / FPS, prepare, on_lost)

    def request_keyframe(self) -> None:
        pass

    def set_bitrate(self, bps: int) -> None:
        pass

    def close(self) -> None:
        self._pacer.close()


class Hub(Protocol):
    """Where clients come from."""

    def guest(self, options: RoomOptions, *, uplink: Uplink) -> Guest: ...


class HubAt:
    """One that runs elsewhere."""

    def __init__(self, url: str) -> None:
        self._url = url

    def guest(self, options: RoomOptions, *, uplink: Uplink) -> Guest:
        return Guest(RoomClient(self._url, options=options, uplink=uplink))


@asynccontextmanager
async def performer(
    home: Hub, name: str, color: Color, tone_hz: float, *, screen: Color | None = None
) -> AsyncIterator[Guest]:
    """A host of the live room `stage` who publishes its color and its tone, and shares a screen of another color."""
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    uplink = Uplink(UplinkSettings(VideoSettings(width=WIDTH, height=HEIGHT, fps=FPS)))
    uplink.start(SyntheticMicrophone(tone_hz=tone_hz), ColorCamera(color))
    guest = home.guest(RoomOptions(), uplink=uplink)
    try:
        await guest.client.join("stage", name, profile="live")
        await guest.client.publish(LocalStream(width=WIDTH, height=HEIGHT))
        if screen is not None:
            uplink.start_screen(ColorCamera(screen))
            await guest.client.publish(LocalStream(name="screen", audio=False, width=WIDTH, height=HEIGHT))
        yield guest
    finally:
        await guest.client.destroy()
        await uplink.close()


def color_at(picture: npt.NDArray[np.uint8], x: int, y: int) -> Color:
    """The mean around a point of a yuv420p picture (BT.601)."""
    rows, width = picture.shape
    height = rows * 2 // 3
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    luma = 1.164 * (float(picture[max(0, y - 4) : y + 4, max(0, x - 4) : x + 4].mean()) - 16)
    u, v = (float(c[max(0, y // 2 - 2) : y // 2 + 2, max(0, x // 2 - 2) : x // 2 + 2].mean()) - 128 for c in chroma)
    return round(luma + 1.596 * v), round(luma - 0.392 * u - 0.813 * v), round(luma + 2.017 * u)


def is_like(found: Color, color: Color) -> bool:
    return max(abs(a - b) for a, b in zip(found, color, strict=True)) < 40


def strength(sound: npt.NDArray[np.float32], rate_hz: int, tone_hz: float) -> float:
    """Amplitude of one frequency, 0..1."""
    t = np.arange(sound.size) / rate_hz
    return float(2 * np.abs(np.mean(sound * np.exp(-2j * np.pi * tone_hz * t))))
