"""Legs back to back over 127.0.0.1, through a wire that can be impaired."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

import numpy as np

from appliance.media.frames import Kind, VideoCodec
from appliance.media.opus_decoder import OpusDecoder
from appliance.media.playout import Playout, RemoteAudio
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room.downlink_leg import DownlinkLeg
from appliance.room.uplink_leg import UplinkLeg
from hw.mock import MockCamera, MockMicrophone, MockSpeaker
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from tests.appliance.media.pictures import code
from tests.wire import Wire

TONE_HZ = 440.0
SAMPLE_RATE_HZ = 48_000


class Taker(RemoteAudio):
    """Keeps the payloads beside playing them."""

    def __init__(self, audio: RemoteAudio) -> None:
        self.payloads: list[bytes] = []
        self._audio = audio

    def push(self, sequence_number: int, timestamp: int, payload: bytes, arrival_s: float) -> None:
        self.payloads.append(payload)
        self._audio.push(sequence_number, timestamp, payload, arrival_s)

    @property
    def played(self) -> tuple[int, float] | None:
        return self._audio.played

    @played.setter
    def played(self, value: tuple[int, float] | None) -> None: ...

    def close(self) -> None:
        self._audio.close()


class TakingPlayout(Playout):
    def add(self, user_id: str) -> RemoteAudio:
        return Taker(super().add(user_id))


class Call:
    """A sending unit, a receiving one, and any number of legs between them through one wire."""

    def __init__(self, codec: VideoCodec = "h264", fps: int = 15) -> None:
        self.camera = MockCamera(SyntheticCamera(320, 192, fps))
        self.uplink = Uplink(UplinkSettings(VideoSettings(codec=codec)))
        self.uplink.start(MockMicrophone(SyntheticMicrophone(tone_hz=TONE_HZ)), self.camera)
        self.speaker = MockSpeaker()
        self.playout = TakingPlayout()
        self.playout.start(self.speaker)
        self.wire = Wire()
        self.closed: dict[str, asyncio.Future[str]] = {}
        self.pairs: list[tuple[UplinkLeg, DownlinkLeg]] = []

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pair in self.pairs:
            for leg in pair:
                await leg.close()
        self.wire.close()
        await self.uplink.close()
        await self.playout.close()

    def _on_closed(self, name: str) -> Callable[[str], None]:
        self.closed[name] = asyncio.get_running_loop().create_future()
        return self.closed[name].set_result

    def new_pair(self, kinds: tuple[Kind, ...] = ("audio", "video")) -> tuple[UplinkLeg, DownlinkLeg, set[Kind]]:
        number = len(self.pairs)
        came: set[Kind] = set()
        up = UplinkLeg(f"leg{number}", self.uplink, kinds, ice_servers=(), on_closed=self._on_closed(f"up{number}"))
        down = DownlinkLeg(
            f"leg{number}",
            "sender",
            self.playout,
            ice_servers=(),
            on_media=came.add,
            on_closed=self._on_closed(f"down{number}"),
        )
        self.pairs.append((up, down))
        return up, down, came

    async def connect(self, kinds: tuple[Kind, ...] = ("audio", "video")) -> tuple[UplinkLeg, DownlinkLeg]:
        """A new pair of legs, with media of each kind flowing."""
        up, down, came = self.new_pair(kinds)
        answer = await down.answer(self.wire.route(await up.offer()))
        await up.accept(self.wire.route(answer))
        await until(lambda: came == set(kinds))
        return up, down


async def until(condition: Callable[[], bool], timeout_s: float = 8.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "timed out"
        await asyncio.sleep(0.01)


def audio_of(leg: DownlinkLeg) -> Taker:
    assert isinstance(leg.audio, Taker)
    return leg.audio


async def codes(leg: DownlinkLeg, count: int) -> list[int]:
    """The frame codes of the next pictures."""
    assert leg.video is not None
    found: list[int] = []
    with leg.video.watch():
        async with asyncio.timeout(8):
            while len(found) < count:
                frame = await leg.video.wait_frame()
                number = code(frame)
                if number is not None:
                    found.append(number)
    return found


def pitch_hz(payloads: list[bytes]) -> float:
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(payload) for payload in payloads])
    return float(np.argmax(np.abs(np.fft.rfft(sound * np.hanning(sound.size)))) * SAMPLE_RATE_HZ / sound.size)


async def footprint() -> tuple[set[str], set[str], int]:
    """Names of the tasks and threads, and the number of open files and sockets, once what is ending has ended."""

    def names() -> tuple[set[str], set[str], int]:
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        threads = {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
        return tasks, threads, len(os.listdir("/proc/self/fd"))

    found = names()
    for _ in range(20):
        gc.collect()
        await asyncio.sleep(0.02)
        found, last = names(), found
        if found == last:
            break
    return found


def is_rtcp(data: bytes) -> bool:
    """RFC 5761 section 4: RTCP beside RTP on one port."""
    return len(data) > 1 and 128 <= data[0] < 192 and 192 <= data[1] <= 223
