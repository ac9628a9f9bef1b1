"""The eight exceptions, each caused for real, with its end (U12, D07, X13)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from appliance.media import aiortc_hooks
from appliance.media.frames import EncodedFrame
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room import LocalStream
from appliance.room.events import ExceptionName, ExceptionRaised, StreamSubscribed
from appliance.room.exceptions import HOLD_S, QUIET_S, REPEAT_S, Exceptions
from hw import AudioBlock, HardwareError
from hw.mock import MockCamera, MockMicrophone
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from tests.appliance.room.house import CALM, Guest, house
from tests.appliance.room.media import playout, until

QUICK = replace(CALM, sample_interval_s=0.2, exception_hold_s=0.5, exception_quiet_s=0.5)
SILENCE = b"\xf8\xff\xfe"  # 20 ms of it in Opus
NO_SOUND = (ExceptionName.SEND_AUDIO_BITRATE_TOO_LOW, "a")
QUIET = (ExceptionName.AUDIO_INPUT_LEVEL_TOO_LOW, "a")


def test_a_condition_that_holds_is_told_repeated_every_two_seconds_and_told_over_once() -> None:
    exceptions = Exceptions()
    told: list[tuple[float, bool]] = []
    for tick in range(12):
        conditions = {NO_SOUND: 0.0} if tick < 8 else {}
        told += [(float(tick), event.recovered) for event in exceptions.look(conditions, float(tick))]
    assert told == [(HOLD_S, False), (HOLD_S + REPEAT_S, False), (HOLD_S + 2 * REPEAT_S, False), (8.0, True)]


def test_what_is_over_before_it_counts_is_never_told_and_pauses_are_longer() -> None:
    exceptions = Exceptions()
    assert exceptions.look({QUIET: 0.0}, 0.0) == []
    assert exceptions.look({QUIET: 0.0}, QUIET_S - 0.1) == []
    assert exceptions.look({}, QUIET_S) == []
    assert exceptions.look({QUIET: 0.0}, QUIET_S + 1) == []


class DimmableMicrophone(MockMicrophone):
    """A tone; digital silence while `dead`, nothing while `stalled`."""

    def __init__(self) -> None:
        super().__init__(SyntheticMicrophone(tone_hz=440))
        self.dead = self.stalled = False

    def start(self, sink: Callable[[AudioBlock], None], on_lost: Callable[[HardwareError], None]) -> None:
        def dimmed(block: AudioBlock) -> None:
            if not self.stalled:
                sink(replace(block, samples=np.zeros_like(block.samples)) if self.dead else block)

        super().start(dimmed, on_lost)


@dataclass
class Scene:
    a: Guest
    b: Guest
    uplink: Uplink
    microphone: DimmableMicrophone
    camera: MockCamera
    screen: MockCamera
    spoilt: set[str]  # payloads that are junk on the wire: audio, main, screen; silent: sound that is silence

    async def told(self, guest: Guest, name: ExceptionName, *, recovered: bool = False) -> ExceptionRaised:
        def found() -> list[ExceptionRaised]:
            return [e for e in guest.of(ExceptionRaised) if (e.msg, e.recovered) == (name, recovered)]

        await until(lambda: found(), 8, f"{name} recovered={recovered}, have {guest.of(ExceptionRaised)}")
        return found()[0]


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    sender = Uplink(UplinkSettings(VideoSettings(160, 160, fps=15, codec="vp8")))
    spoilt: set[str] = set()
    _spoil(sender, spoilt)
    microphone = DimmableMicrophone()
    camera, screen = (MockCamera(SyntheticCamera(160, 160, 15)) for _ in range(2))
    sender.start(microphone, camera)
    sender.start_screen(screen)
    try:
        async with playout() as player, house(lost_after_s=8.0) as home:
            a = home.guest(QUICK, uplink=sender)
            b = home.guest(QUICK, playout=player, auto_subscribe=True)
            await a.client.join("lobby", "a")
            await b.client.join("lobby", "b")
            await a.client.publish(LocalStream())
            await a.client.publish(LocalStream(audio=False, name="screen"))
            await b.heard(StreamSubscribed, 3)
            yield Scene(a, b, sender, microphone, camera, screen, spoilt)
            await b.client.leave()
    finally:
        await sender.close()


def _spoil(sender: Uplink, spoilt: set[str]) -> None:
    """Between encoder and legs: junk in place of payloads, for what `spoilt` names. SRTP lets nobody do it later."""
    inner: Any = sender
    tap = inner.tap

    def spoiling(kind: str, codec: str, **options: Any) -> Any:
        made = tap(kind, codec, **options)
        put = made.put
        name = "audio" if kind == "audio" else options.get("stream", "main")

        def put_junk(frame: EncodedFrame) -> None:
            if name in spoilt:
                frame = replace(frame, payloads=tuple(_junk(payload, kind) for payload in frame.payloads))
            elif name == "audio" and "silent" in spoilt:
                frame = replace(frame, payloads=(SILENCE,))
            put(frame)

        made.put = put_junk
        return made

    inner.tap = spoiling


def _junk(payload: bytes, kind: str) -> bytes:
    """Opus whose code 3 has no frame count; VP8 that keeps its descriptor and loses its picture."""
    return b"\xff" if kind == "audio" else payload[:4] + b"\xff" * (len(payload) - 4)


@pytest.mark.row("U12")
async def test_a_dead_microphone_and_what_its_hearers_are_told() -> None:
    async with scene() as one:
        one.microphone.dead = True
        event = await one.told(one.a, ExceptionName.AUDIO_INPUT_LEVEL_TOO_LOW)
        assert (event.code, event.user_id, event.value, event.event_name) == (2001, "a", 0, "exception")
        one.microphone.dead = False
        await one.told(one.a, ExceptionName.AUDIO_INPUT_LEVEL_TOO_LOW, recovered=True)
        one.spoilt.add("silent")
        assert (await one.told(one.b, ExceptionName.AUDIO_OUTPUT_LEVEL_TOO_LOW)).code == 2002
        one.microphone.dead = True
        await one.a.client.mute("audio")
        await one.told(one.b, ExceptionName.AUDIO_OUTPUT_LEVEL_TOO_LOW, recovered=True)
        heard = len(one.a.of(ExceptionRaised)), len(one.b.of(ExceptionRaised))
        await asyncio.sleep(1.0)  # longer than a condition has to hold
        assert (len(one.a.of(ExceptionRaised)), len(one.b.of(ExceptionRaised))) == heard, "muted is not abnormal"


@pytest.mark.row("U12")
async def test_devices_that_stall_send_nothing() -> None:
    async with scene() as one:
        assert one.a.of(ExceptionRaised) == []
        one.microphone.stalled = one.camera.stalled = True
        assert (await one.told(one.a, ExceptionName.SEND_AUDIO_BITRATE_TOO_LOW)).code == 2003
        event = await one.told(one.a, ExceptionName.FRAMERATE_VIDEO_BITRATE_TOO_LOW)
        assert (event.code, event.user_id) == (1003, "a")
        one.microphone.stalled = one.camera.stalled = False
        await one.told(one.a, ExceptionName.SEND_AUDIO_BITRATE_TOO_LOW, recovered=True)
        await one.told(one.a, ExceptionName.FRAMERATE_VIDEO_BITRATE_TOO_LOW, recovered=True)


@pytest.mark.row("U12")
async def test_pictures_that_come_and_do_not_go_out() -> None:
    async with scene() as one:
        inner: Any = one.uplink
        deliver = inner._video["main"]._deliver
        inner._video["main"]._deliver = lambda *_: None  # an encoder that makes nothing any more
        assert (await one.told(one.a, ExceptionName.FRAMERATE_SENT_TOO_LOW)).code == 1002
        inner._video["main"]._deliver = deliver
        await one.told(one.a, ExceptionName.FRAMERATE_SENT_TOO_LOW, recovered=True)


@pytest.mark.row("U12")
async def test_payloads_that_no_decoder_takes() -> None:
    async with scene() as one:
        main, screen = (
            next(stream for stream in one.b.client.streams if stream.name == name) for name in ("main", "screen")
        )
        assert main.video is not None
        assert screen.video is not None
        with main.video.watch(), screen.video.watch():
            one.spoilt |= {"audio", "main", "screen"}
            event = await one.told(one.b, ExceptionName.RECV_AUDIO_DECODE_FAILED)
            assert (event.code, event.user_id) == (2005, "a")
            assert (await one.told(one.b, ExceptionName.RECV_VIDEO_DECODE_FAILED)).code == 1005
            assert (await one.told(one.b, ExceptionName.RECV_SCREEN_DECODE_FAILED)).code == 1005
            one.spoilt.clear()
            for name in (
                ExceptionName.RECV_AUDIO_DECODE_FAILED,
                ExceptionName.RECV_VIDEO_DECODE_FAILED,
                ExceptionName.RECV_SCREEN_DECODE_FAILED,
            ):
                await one.told(one.b, name, recovered=True)
