"""A click and a flash at the same moment, over a wire with jitter: they are heard and seen together."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

import av
import numpy as np
import pytest

from appliance.media import aiortc_hooks
from appliance.media.frames import VideoCodec
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_in import RemoteVideo
from appliance.media.video_settings import VideoSettings
from appliance.room.downlink_leg import DownlinkLeg
from appliance.room.uplink_leg import UplinkLeg
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, BlockSink, OnLost, Picture, PictureSink, Samples, SoundStats
from hw.pacing import Pacer
from tests.appliance.room.leg_pair import until
from tests.wire import Wire

PERIOD_S = 0.5  # of clicks and flashes
FPS = 30
CARD_S = 0.15  # what waits in the sound card


def phase_s(at_s: float) -> float:
    """Since the last click, or if that is nearer, to the next one: negative."""
    return (at_s + PERIOD_S / 2) % PERIOD_S - PERIOD_S / 2


class FlashCamera:
    device_id = "flash"
    width, height, fps = 160, 160, FPS

    def __init__(self) -> None:
        self.offset_s = 0.0  # from a click to the first picture of its flash
        self._pacer = Pacer("flash-camera")

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        def tick(step: int, due_s: float) -> None:
            bright = abs(phase_s(due_s)) <= 0.5 / FPS
            if bright:
                self.offset_s = phase_s(due_s)
            planes = np.full((240, 160), 128, np.uint8)
            planes[:160] = 230 if bright else 20
            sink(Picture(av.VideoFrame.from_ndarray(planes, "yuv420p"), due_s))

        self._pacer.start(1 / FPS, lambda: tick, on_lost)

    def request_keyframe(self) -> None: ...
    def set_bitrate(self, bps: int) -> None: ...

    def close(self) -> None:
        self._pacer.close()


class ClickMicrophone:
    device_id = "click"

    def __init__(self) -> None:
        self._pacer = Pacer("click-microphone")

    def start(self, sink: BlockSink, on_lost: OnLost) -> None:
        def tick(step: int, due_s: float) -> None:
            t = due_s - BLOCK_FRAMES / SAMPLE_RATE_HZ + np.arange(BLOCK_FRAMES) / SAMPLE_RATE_HZ
            on = (t + 0.001) % PERIOD_S < 0.02
            sink(AudioBlock((on * 12_000 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16), due_s))

        self._pacer.start(BLOCK_FRAMES / SAMPLE_RATE_HZ, lambda: tick, on_lost)

    def close(self) -> None:
        self._pacer.close()


class SlowSpeaker:
    """A sound card with a long buffer, that says so; `heard_s`: when clicks came out of it."""

    device_id = "slow"
    stats = SoundStats(480, 9600, 0, CARD_S * 1000)

    def __init__(self) -> None:
        self.heard_s: list[float] = []
        self._pacer = Pacer("slow-speaker")

    def start(self, source: Callable[[], Samples], on_lost: OnLost) -> None:
        def tick(step: int, due_s: float) -> None:
            loud = np.flatnonzero(np.abs(source().astype(np.int32)) > 3000)
            if loud.size:
                at_s = due_s + loud[0] / SAMPLE_RATE_HZ + CARD_S
                if not self.heard_s or at_s - self.heard_s[-1] > PERIOD_S / 2:
                    self.heard_s.append(at_s)

        self._pacer.start(BLOCK_FRAMES / SAMPLE_RATE_HZ, lambda: tick, on_lost)

    def close(self) -> None:
        self._pacer.close()


async def flashes(video: RemoteVideo, seconds: float) -> list[float]:
    """When each bright picture was shown for the first time."""
    seen_s: list[float] = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        frame = await asyncio.wait_for(video.wait_frame(), 5)
        now_s = time.monotonic()
        bright = frame.to_ndarray(format="gray")[::8, ::8].mean() > 110
        if bright and (not seen_s or now_s - seen_s[-1] > PERIOD_S / 2):
            seen_s.append(now_s)
    return seen_s


def lag_s(seen_s: list[float], heard_s: list[float]) -> float:
    """Of pictures behind their sound."""
    lags = [phase_s(seen - min(heard_s, key=lambda heard: abs(heard - seen))) for seen in seen_s]
    return statistics.median(lags)


@pytest.mark.parametrize(("codec", "jitter_s"), [("h264", 0.0), ("vp8", 0.03)])
async def test_a_flash_is_seen_with_its_click(codec: VideoCodec, jitter_s: float) -> None:
    aiortc_hooks.install(["127.0.0.1"])
    uplink, playout, speaker = Uplink(UplinkSettings(VideoSettings(codec=codec))), Playout(), SlowSpeaker()
    camera = FlashCamera()
    uplink.start(ClickMicrophone(), camera)
    playout.start(speaker)
    lost: list[str] = []
    with Wire() as wire:
        wire.jitter_s = jitter_s
        up = UplinkLeg("leg", uplink, ("audio", "video"), ice_servers=(), on_closed=lost.append)
        down = DownlinkLeg("leg", "sender", playout, ice_servers=(), on_media=lambda kind: None, on_closed=lost.append)
        try:
            await up.accept(wire.route(await down.answer(wire.route(await up.offer()))))
            video = down.video
            assert video is not None
            with video.watch():
                await until(lambda: video.lip_sync.goes_with_s(0, 0.0) is not None or bool(speaker.heard_s))
                await until(lambda: video.stats().hold_ms > 50, 20)
                await flashes(video, 0.5)  # holding has begun
                lag = lag_s(await flashes(video, 3.0), speaker.heard_s) - camera.offset_s
                assert abs(lag) <= 0.04
                stages = playout.trace.summaries()
                assert {"video-buffer", "video-decode", "video-present"} <= set(stages)
                assert 50 < stages["camera-to-screen"].p50_ms < 400
        finally:
            await up.close()
            await down.close()
            await uplink.close()
            await playout.close()
