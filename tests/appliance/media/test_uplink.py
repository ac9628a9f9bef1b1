"""Capture -> gate -> encode once -> taps."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast, get_args

import pytest

from appliance.media import merge
from appliance.media.e2ee import FrameDecryptor, FrameKey
from appliance.media.feedback import BitrateEstimate, ReceiverReport
from appliance.media.frames import EncodedFrame, Kind, Layer, SourceName
from appliance.media.ladder import Rung
from appliance.media.merge import FALL_INTERVAL_S
from appliance.media.opus_decoder import OpusDecoder, packet_frames
from appliance.media.tap import Tap, TapClosedError
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import LOW_MAX_BPS, VideoSettings, layer_settings, leg_bps
from appliance.media.video_source import REPORT_LOOK_S
from hw import AccessUnit, HardwareError, Picture
from hw.level import dbov
from tests.appliance.media.devices import HandCamera, HandMicrophone

KEY = b"\x00\x00\x01\x67a\x00\x00\x01\x68b\x00\x00\x01\x65c"
DELTA = b"\x00\x00\x01\x41d"


def report_bitrate(tap: Tap, bps: int) -> None:
    """A receiver whose link carries so much, and loses some."""
    tap.report(ReceiverReport(0.05, 0, 0, None, time.monotonic()))
    tap.report(BitrateEstimate(leg_bps(bps), time.monotonic()))


class Unit:
    """An Uplink with both devices in the test's hands."""

    def __init__(self) -> None:
        self.microphone = HandMicrophone()
        self.camera = HandCamera()
        self.uplink = Uplink()
        self.uplink.start(self.microphone, self.camera)


@pytest.fixture
async def unit() -> AsyncIterator[Unit]:
    made = Unit()
    yield made
    await made.uplink.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a rate has no event
            await asyncio.sleep(0.01)


async def take(tap: Tap) -> EncodedFrame:
    async with asyncio.timeout(5):
        return await tap.next()


async def test_four_taps_get_the_same_frames_which_are_encoded_once(unit: Unit) -> None:
    taps = [unit.uplink.tap("video", "vp8") for _ in range(4)]
    for number in range(5):
        unit.camera.show(number)
        frames = [await take(tap) for tap in taps]
        assert all(frame is frames[0] for frame in frames)
    unit.microphone.speak(6)
    assert unit.uplink.encoded == {"vp8": 5}  # nobody takes sound, so nobody encodes it
    sounds = [unit.uplink.tap("audio", "opus") for _ in range(4)]
    unit.microphone.speak(3)
    for _ in range(3):
        frames = [await take(tap) for tap in sounds]
        assert all(frame is frames[0] for frame in frames)
    assert unit.uplink.encoded == {"vp8": 5, "opus": 3}


async def test_each_codec_has_an_encoder_while_it_is_tapped(unit: Unit) -> None:
    def encoders() -> set[str]:
        return {thread.name for thread in threading.enumerate() if thread.name.startswith("encode-")}

    assert encoders() == set()
    first, second = unit.uplink.tap("video", "vp8"), unit.uplink.tap("video", "vp8")
    third = unit.uplink.tap("video", "h264")
    assert encoders() == {"encode-main-vp8-high", "encode-main-h264-high"}
    first.close()
    third.close()
    unit.camera.show(1)
    assert (await take(second)).keyframe
    running = [thread for thread in threading.enumerate() if thread.name.startswith("encode-")]
    second.close()
    for thread in running:
        await asyncio.to_thread(thread.join, 5)
    assert encoders() == set()
    again = unit.uplink.tap("video", "vp8")
    unit.camera.show(2)
    assert (await take(again)).keyframe


async def test_the_first_tap_begins_with_the_picture_that_is_there(unit: Unit) -> None:
    captured_s = unit.camera.show(0)
    tap = unit.uplink.tap("video", "vp8")
    frame = await take(tap)
    assert (frame.keyframe, frame.captured_s) == (True, captured_s)
    unit.camera.show(1)
    assert not (await take(tap)).keyframe


async def test_nothing_of_a_camera_that_is_gone_goes_out(unit: Unit) -> None:
    unit.camera.show(0)
    unit.uplink.start(unit.microphone, None)
    tap = unit.uplink.tap("video", "vp8")
    unit.uplink.start(unit.microphone, other := HandCamera())
    captured_s = other.show(1)
    assert (await take(tap)).captured_s == captured_s


async def test_a_late_tap_begins_with_a_key_frame_that_was_made_for_it(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "KEYFRAME_INTERVAL_S", 0.0)
    first = unit.uplink.tap("video", "vp8")
    unit.camera.show(0)
    assert (await take(first)).keyframe
    unit.camera.show(1)
    assert not (await take(first)).keyframe
    late = unit.uplink.tap("video", "vp8")
    unit.camera.show(2)
    assert (await take(late)).keyframe
    assert (await take(first)).keyframe


async def test_muted_video_sends_nothing_and_comes_back_with_a_key_frame(unit: Unit) -> None:
    tap = unit.uplink.tap("video", "vp8")
    unit.camera.show(0)
    await take(tap)
    before_s = unit.camera.show(1)  # perhaps encoded by now, perhaps not: it must not be sent
    unit.uplink.set_muted("video", True)
    unit.camera.show(2)
    unit.uplink.set_muted("video", False)
    unit.camera.show(3, before_s)  # captured before the unmute
    assert unit.uplink.is_muted("video") is False
    captured_s = unit.camera.show(4)
    frame = await take(tap)
    assert frame.captured_s == captured_s
    assert frame.keyframe


async def test_muted_audio_is_digital_silence(unit: Unit) -> None:
    tap = unit.uplink.tap("audio", "opus")
    unit.microphone.speak(3)
    unit.uplink.set_muted("audio", True)
    assert unit.uplink.is_muted("audio")
    unit.microphone.speak(9)
    decoder = OpusDecoder()
    for _ in range(4):
        frame = await take(tap)
        assert dbov(decoder.decode(frame.payloads[0])) < -90
        assert frame.audio_level == 127
    assert unit.uplink.level == 0


async def test_sound_that_waits_in_a_tap_is_not_sent_after_a_mute(unit: Unit) -> None:
    tap = unit.uplink.tap("audio", "opus")
    unit.microphone.speak(4)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert unit.uplink.encoded["opus"] == 4
    unit.uplink.set_muted("audio", True)
    unit.microphone.speak(2)
    assert (await take(tap)).audio_level == 127


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_without_a_device_nothing_is_muted_but_the_gate_stays(kind: Kind) -> None:
    uplink = Uplink()
    uplink.start(None, None)
    assert not uplink.has(kind)
    uplink.set_muted(kind, True)
    assert not uplink.is_muted(kind)
    uplink.start(HandMicrophone(), HandCamera())
    assert uplink.has(kind)
    assert uplink.is_muted(kind)
    await uplink.close()


async def test_a_lost_device_is_reported_once_and_can_be_replaced(unit: Unit) -> None:
    lost: asyncio.Queue[tuple[SourceName, HardwareError]] = asyncio.Queue()
    unit.uplink.on_device_lost = lambda kind, error: lost.put_nowait((kind, error))
    tap = unit.uplink.tap("video", "vp8")
    unit.camera.show(0)
    await take(tap)
    error = HardwareError("pulled out")
    await asyncio.to_thread(unit.camera.lose, error)
    assert await asyncio.wait_for(lost.get(), 5) == ("video", error)
    assert not unit.uplink.has("video")
    assert unit.uplink.has("audio")
    assert unit.camera.closed == 1
    other = HandCamera()
    unit.uplink.start(unit.microphone, other)
    assert unit.microphone.closed == 0
    unit.camera.lose(error)  # the old one again: nobody cares
    captured_s = other.show(1)
    assert (await take(tap)).captured_s == captured_s
    assert lost.empty()
    assert unit.uplink.has("video")


async def test_a_device_that_cannot_be_opened_does_not_take_the_other_along() -> None:
    uplink = Uplink()
    lost: asyncio.Queue[tuple[SourceName, HardwareError]] = asyncio.Queue()
    uplink.on_device_lost = lambda kind, error: lost.put_nowait((kind, error))
    microphone = HandMicrophone()
    uplink.start(microphone, HandCamera(broken=True))
    kind, error = await asyncio.wait_for(lost.get(), 5)
    assert (kind, str(error)) == ("video", "hand-camera: broken")
    assert uplink.has("audio")
    assert not uplink.has("video")
    microphone.speak(2)
    assert uplink.level > 50
    await uplink.close()


async def test_the_slowest_leg_sets_the_bit_rate_until_it_leaves(unit: Unit) -> None:
    settings = unit.uplink.settings.video
    first, second = unit.uplink.tap("video", "vp8"), unit.uplink.tap("video", "vp8")
    report_bitrate(first, 900_000)
    report_bitrate(second, 700_000)
    await asyncio.sleep(2 * REPORT_LOOK_S)
    assert unit.uplink.target_bitrate_bps("vp8") == pytest.approx(700_000, rel=0.001)
    second.close()
    assert unit.uplink.target_bitrate_bps("vp8") == pytest.approx(900_000, rel=0.001)
    report_bitrate(first, 1)
    await asyncio.sleep(2 * REPORT_LOOK_S)
    assert unit.uplink.target_bitrate_bps("vp8") == settings.min_bitrate_bps
    assert unit.uplink.target_bitrate_bps("h264") is None


async def test_a_slow_receiver_among_quick_ones_gets_the_low_layer_and_drags_nobody_down(unit: Unit) -> None:
    unit.uplink.change(UplinkSettings(VideoSettings(width=320, height=192)))
    quick, slow = unit.uplink.tap("video", "vp8"), unit.uplink.tap("video", "vp8")
    number = 0
    async with asyncio.timeout(10):
        while slow.layer == "high":
            number += 1
            if number % 20 == 1:
                quick.report(ReceiverReport(0.0, 0, 0, 0.02, time.monotonic()))
                report_bitrate(slow, 200_000)
            unit.camera.show(number)
            await asyncio.sleep(0.03)
    report_bitrate(slow, 200_000)
    await until(lambda: 0 < (unit.uplink.target_bitrate_bps("vp8", layer="low") or 0) <= LOW_MAX_BPS)
    assert (unit.uplink.target_bitrate_bps("vp8") or 0) > 1_000_000
    assert quick.layer == "high"
    quick.close()  # alone, it has the high layer to itself, as slow as it is
    while slow.layer == "low":
        number += 1
        unit.camera.show(number)
        await asyncio.sleep(0.03)


async def test_a_camera_that_encodes_is_asked_for_key_frames_and_the_bit_rate_of_the_slowest_leg(unit: Unit) -> None:
    unit.uplink.change(UplinkSettings(VideoSettings(codec="vp8")))
    assert unit.uplink.video_codecs() == ("vp8", "h264")
    tap = unit.uplink.tap("video", "h264")
    unit.camera.deliver(AccessUnit(DELTA, False, 1.0))
    unit.camera.deliver(AccessUnit(DELTA, False, 1.1))
    await asyncio.sleep(0)
    assert unit.uplink.video_codecs() == ("h264", "vp8")  # costs nothing
    assert unit.camera.keyframe_requests == 1
    assert unit.camera.bitrates_bps == [unit.uplink.settings.video.start_bitrate_bps]
    unit.camera.deliver(AccessUnit(KEY, True, 1.3))
    frame = await take(tap)
    assert (frame.keyframe, frame.timestamp) == (True, 117_000)
    report_bitrate(tap, 300_000)
    await asyncio.sleep(FALL_INTERVAL_S)
    unit.camera.deliver(AccessUnit(DELTA, False, 1.4))
    await asyncio.sleep(0)
    assert unit.camera.bitrates_bps[1:] == pytest.approx([300_000], rel=0.001)
    assert unit.uplink.target_bitrate_bps("h264") == pytest.approx(300_000, rel=0.001)


async def test_unmuted_units_begin_with_a_key_frame(unit: Unit) -> None:
    tap = unit.uplink.tap("video", "h264")
    unit.camera.deliver(AccessUnit(KEY, True, time.monotonic()))
    await take(tap)
    unit.uplink.set_muted("video", True)
    unit.camera.deliver(AccessUnit(KEY, True, time.monotonic()))
    unit.uplink.set_muted("video", False)
    unit.camera.deliver(AccessUnit(DELTA, False, time.monotonic()))
    await asyncio.sleep(0)
    assert unit.camera.keyframe_requests == 1
    captured_s = time.monotonic()
    unit.camera.deliver(AccessUnit(KEY, True, captured_s))
    frame = await take(tap)
    assert (frame.keyframe, frame.captured_s) == (True, captured_s)


async def test_who_cannot_take_h264_gets_raw_pictures_of_a_camera_that_encodes_encoded_here(unit: Unit) -> None:
    assert not unit.camera.pictures_wanted
    h264, vp8 = unit.uplink.tap("video", "h264"), unit.uplink.tap("video", "vp8")
    assert unit.camera.pictures_wanted
    unit.camera.deliver(AccessUnit(KEY, True, time.monotonic()))
    unit.camera.show(1)
    assert (await take(vp8)).keyframe
    assert (await take(h264)).keyframe
    assert unit.uplink.encoded == {"h264": 1, "vp8": 1}
    vp8.close()
    assert not unit.camera.pictures_wanted


async def test_the_next_camera_is_told_whether_raw_pictures_are_wanted(unit: Unit) -> None:
    unit.uplink.tap("video", "vp8")
    camera = HandCamera()
    unit.uplink.start(unit.microphone, camera)
    assert camera.pictures_wanted


async def test_garbage_of_a_camera_costs_nothing_but_itself(unit: Unit) -> None:
    taps = [unit.uplink.tap("video", codec) for codec in ("h264", "vp8")]
    unit.camera.show(0)
    for tap in taps:
        await take(tap)
    for garbage in (None, object(), Picture(cast(Any, "frame"), 1.0), AccessUnit(b"", True, 1.0)):
        unit.camera.deliver(cast(Any, garbage))
    unit.camera.show(1)
    for tap in taps:
        await take(tap)
    assert unit.uplink.refused == 4


async def test_the_configured_codec_comes_first() -> None:
    uplink = Uplink(UplinkSettings(VideoSettings(codec="vp8")))
    assert uplink.video_codecs() == ("vp8", "h264")
    await uplink.close()


async def test_unknown_codecs_are_refused(unit: Unit) -> None:
    with pytest.raises(ValueError, match="'vp9'"):
        unit.uplink.tap("video", "vp9")
    with pytest.raises(ValueError, match="'h264'"):
        unit.uplink.tap("audio", "h264")


async def test_closing_ends_taps_devices_and_threads(unit: Unit) -> None:
    tap = unit.uplink.tap("video", "vp8")
    waiting = asyncio.create_task(tap.next(), name="reader")
    await asyncio.sleep(0)
    await unit.uplink.close()
    await unit.uplink.close()
    with pytest.raises(TapClosedError):
        await waiting
    assert (unit.camera.closed, unit.microphone.closed) == (1, 1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("encode-")]
    unit.camera.show(1)  # a last picture of its thread
    with pytest.raises(RuntimeError):
        unit.uplink.tap("video", "vp8")


async def test_other_settings_change_the_pictures_of_legs_that_are_there(unit: Unit) -> None:
    tap = unit.uplink.tap("video", "vp8")
    unit.camera.show(0)
    width, height = vp8_size(await take(tap))
    unit.uplink.change(UplinkSettings(replace(unit.uplink.settings.video, width=width // 2, height=height // 2)))
    unit.camera.show(1)
    frame = await take(tap)
    assert frame.keyframe
    assert vp8_size(frame) == (width // 2, height // 2)
    vp8 = replace(unit.uplink.settings.video, codec="vp8")
    unit.uplink.change(UplinkSettings(vp8))  # for legs to come: nothing is encoded anew
    assert unit.uplink.video_codecs()[0] == "vp8"
    unit.camera.show(2)
    assert not (await take(tap)).keyframe


async def test_the_low_layer_is_encoded_only_while_somebody_takes_it(unit: Unit) -> None:
    unit.uplink.change(UplinkSettings(VideoSettings(width=320, height=192)))
    high, low = unit.uplink.tap("video", "vp8"), unit.uplink.tap("video", "vp8", layer="low")
    unit.camera.show(1)
    frames = [await take(high), await take(low)]
    assert [vp8_size(frame) for frame in frames] == [(320, 192), (160, 96)]
    assert unit.uplink.target_bitrate_bps("vp8", layer="low") == LOW_MAX_BPS
    low.close()
    assert unit.uplink.target_bitrate_bps("vp8", layer="low") is None
    assert unit.uplink.target_bitrate_bps("vp8") is not None


async def test_a_tap_moves_to_the_other_layer_with_a_key_frame_and_growing_timestamps(unit: Unit) -> None:
    unit.uplink.change(UplinkSettings(VideoSettings(width=320, height=192)))
    tap = unit.uplink.tap("video", "vp8")
    stamps = [(await shown(unit, tap, 0)).timestamp]
    for layer, size in (("low", (160, 96)), ("high", (320, 192)), ("low", (160, 96))):
        tap.select_layer(cast(Layer, layer))
        frame = await shown(unit, tap, 1)
        while not frame.keyframe or vp8_size(frame) != size:
            stamps.append(frame.timestamp)
            frame = await shown(unit, tap, 1)
        stamps.append(frame.timestamp)
        stamps.append((await shown(unit, tap, 2)).timestamp)
        running = [each for each in get_args(Layer) if unit.uplink.target_bitrate_bps("vp8", layer=each)]
        assert running == [layer]
    assert stamps == sorted(set(stamps))


async def test_a_tap_that_changes_its_mind_stays_where_it_is(unit: Unit) -> None:
    tap = unit.uplink.tap("video", "vp8")
    await shown(unit, tap, 0)
    tap.select_layer("low")
    tap.select_layer("high")
    assert unit.uplink.target_bitrate_bps("vp8", layer="low") is None
    assert not (await shown(unit, tap, 1)).keyframe
    tap.select_layer("low")
    tap.close()
    assert unit.uplink.target_bitrate_bps("vp8") is unit.uplink.target_bitrate_bps("vp8", layer="low") is None


async def test_without_a_low_layer_everybody_gets_the_high_one(unit: Unit) -> None:
    settings = VideoSettings(width=320, height=192)
    unit.uplink.change(UplinkSettings(settings))
    tap = unit.uplink.tap("video", "vp8", layer="low")
    assert vp8_size(await shown(unit, tap, 0)) == (160, 96)
    unit.uplink.change(UplinkSettings(replace(settings, low_layer=False)))
    while (frame := await shown(unit, tap, 1)) and not frame.keyframe:
        pass
    assert vp8_size(frame) == (320, 192)
    assert unit.uplink.tap("video", "vp8", layer="low").layer == "high"
    assert unit.uplink.target_bitrate_bps("vp8", layer="low") is None


@pytest.mark.parametrize(
    ("size", "low"),
    [
        ((1280, 720), (320, 180)),
        ((1920, 1080), (320, 180)),
        ((720, 1280), (180, 320)),
        ((640, 480), (278, 208)),
        ((320, 240), (160, 120)),
    ],
)
def test_the_low_layer_has_the_aspect_ratio_of_the_high_one(size: tuple[int, int], low: tuple[int, int]) -> None:
    assert layer_settings(VideoSettings(*size), "low").rungs == (Rung(*low, 15),)
    assert layer_settings(VideoSettings(*size, fps=10), "low").rungs == (Rung(*low, 10),)


async def test_the_low_layer_of_a_camera_that_encodes_is_made_of_its_raw_pictures(unit: Unit) -> None:
    high, low = unit.uplink.tap("video", "h264"), unit.uplink.tap("video", "h264", layer="low")
    assert unit.camera.pictures_wanted
    unit.camera.deliver(AccessUnit(KEY, True, time.monotonic()))
    unit.camera.show(1)
    assert (await take(high)).payloads != (await take(low)).payloads
    low.close()
    assert not unit.camera.pictures_wanted


async def test_the_screen_is_a_stream_of_its_own(unit: Unit) -> None:
    screen, lost = HandCamera(), asyncio.Queue[tuple[SourceName, HardwareError]]()
    unit.uplink.on_device_lost = lambda source, error: lost.put_nowait((source, error))
    unit.uplink.start_screen(screen)
    main, shared = unit.uplink.tap("video", "vp8"), unit.uplink.tap("video", "vp8", stream="screen")
    unit.uplink.set_muted("screen", True)
    screen.show(1)
    captured_s = unit.camera.show(2)
    assert (await take(main)).captured_s == captured_s
    assert (unit.uplink.is_muted("video"), unit.uplink.is_muted("screen")) == (False, True)
    unit.uplink.set_muted("screen", False)
    captured_s = screen.show(3)
    frame = await take(shared)
    assert (frame.captured_s, frame.keyframe) == (captured_s, True)
    error = HardwareError("hand-camera: unplugged")
    screen.lose(error)
    assert await asyncio.wait_for(lost.get(), 5) == ("screen", error)
    assert [unit.uplink.has(source) for source in get_args(SourceName)] == [True, True, False]
    with pytest.raises(ValueError, match="no sound"):
        unit.uplink.tap("audio", "opus", stream="screen")


async def test_after_protect_nothing_goes_out_that_was_encoded_in_the_clear(unit: Unit) -> None:
    sound, picture = unit.uplink.tap("audio", "opus"), unit.uplink.tap("video", "h264")
    unit.camera.deliver(AccessUnit(KEY, True, time.monotonic()))
    unit.microphone.speak(1)
    assert {(await take(tap)).key for tap in (sound, picture)} == {None}
    unit.microphone.speak(4)
    await asyncio.sleep(0)  # these wait in the tap, the next ones on their way to it
    unit.microphone.speak(4)
    unit.camera.deliver(AccessUnit(DELTA, False, time.monotonic()))
    key = FrameKey("aes-128-gcm", bytes(16))
    unit.uplink.protect(key)
    unit.camera.deliver(AccessUnit(DELTA, False, time.monotonic()))  # of no use without a key frame
    unit.camera.deliver(AccessUnit(KEY, True, time.monotonic()))
    unit.microphone.speak(2)
    for tap, coding in ((sound, "opus"), (picture, "h264")):
        frame = await take(tap)
        assert frame.key is key
        assert frame.keyframe
        if coding == "opus":
            assert OpusDecoder().decode(FrameDecryptor(key).open("opus", frame.payloads[0])).size == 480
    unit.uplink.protect(None)
    unit.microphone.speak(2)
    assert (await take(sound)).key is None


async def shown(unit: Unit, tap: Tap, number: int) -> EncodedFrame:
    """The next frame, of a picture that is shown now and again until it comes."""
    while True:
        unit.camera.show(number)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                return await tap.next()


def vp8_size(frame: EncodedFrame) -> tuple[int, int]:
    """Of a key frame: behind its start code (RFC 6386 section 9.1)."""
    payload = frame.payloads[0]
    at = payload.index(b"\x9d\x01\x2a") + 3
    return int.from_bytes(payload[at : at + 2], "little") & 0x3FFF, int.from_bytes(
        payload[at + 2 : at + 4], "little"
    ) & 0x3FFF


async def test_packets_are_of_10_ms_where_every_link_has_room_and_that_is_wanted() -> None:
    uplink, microphone = Uplink(), HandMicrophone()
    uplink.start(microphone, None)
    tap = uplink.tap("audio", "opus")

    async def length(blocks: int) -> int:
        microphone.speak(blocks)
        return packet_frames((await tap.next()).payloads[0])

    assert await length(1) == 480
    uplink.change(replace(uplink.settings, low_delay=False))
    assert await length(2) == 960
    uplink.change(replace(uplink.settings, low_delay=True))
    assert await length(1) == 480
    video = uplink.tap("video", "vp8")
    assert video.control is not None
    video.control.restart(400_000)
    tap.report(ReceiverReport(0.0, 0, 0, None, asyncio.get_running_loop().time()))
    assert await length(2) == 960
    await uplink.close()


async def test_sound_gives_way_where_a_leg_reports_loss_or_its_link_carries_little() -> None:
    uplink = Uplink()
    clean, lossy = uplink.tap("audio", "opus"), uplink.tap("audio", "opus")
    clean.report(ReceiverReport(0.0, 0, 0, None, asyncio.get_running_loop().time()))
    assert uplink.audio_bitrate_bps == 32_000
    for _ in range(100):
        lossy.put(EncodedFrame((b"x",), 0, True, 127, 0.0))
    lossy.report(ReceiverReport(0.2, 20, 0, None, asyncio.get_running_loop().time()))
    assert uplink.audio_bitrate_bps == 24_000
    lossy.close()

    def rises() -> bool:
        clean.report(ReceiverReport(0.0, 0, 0, None, asyncio.get_running_loop().time()))
        return uplink.audio_bitrate_bps > 24_000

    await until(rises)
    video = uplink.tap("video", "vp8")
    assert video.control is not None
    video.control.restart(250_000)
    clean.report(ReceiverReport(0.0, 0, 0, None, asyncio.get_running_loop().time()))
    assert uplink.audio_bitrate_bps == 24_000
    await uplink.close()
