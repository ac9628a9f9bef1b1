"""The mock devices keep the Protocols, can be driven, read and unplugged."""

from __future__ import annotations

import threading
import wave
from pathlib import Path

import numpy as np
import pytest

from hw import (
    BLOCK_FRAMES,
    LED_NAMES,
    AccessUnit,
    AudioBlock,
    ButtonEdge,
    Buttons,
    Camera,
    HardwareError,
    LedName,
    Leds,
    Microphone,
    Picture,
    Samples,
    Speaker,
)
from hw.level import dbov, volume
from hw.mock import (
    AbsentCamera,
    AbsentMicrophone,
    AbsentSpeaker,
    MockButtons,
    MockCamera,
    MockLeds,
    MockMicrophone,
    MockSpeaker,
)
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from hw.voice import tone
from tests.hw.collect import Collector, lost_is_an_error, no_new_threads


def silence() -> Samples:
    return np.zeros(BLOCK_FRAMES, np.int16)


def test_every_mock_keeps_its_protocol() -> None:
    for device, protocol in [
        (MockMicrophone(), Microphone),
        (AbsentMicrophone(), Microphone),
        (MockSpeaker(), Speaker),
        (AbsentSpeaker(), Speaker),
        (MockCamera(), Camera),
        (AbsentCamera(), Camera),
        (MockLeds(), Leds),
        (MockButtons(), Buttons),
    ]:
        assert isinstance(device, protocol)


def test_microphone_delivers_what_was_fed_then_silence() -> None:
    microphone = MockMicrophone()
    fed = np.arange(1, 701, dtype=np.int16)
    microphone.feed(fed)
    blocks: Collector[AudioBlock] = Collector()
    with no_new_threads():
        microphone.start(blocks, lost_is_an_error)
        heard = np.concatenate([block.samples for block in blocks.wait(4)])
        microphone.close()
    assert np.array_equal(heard[:700], fed)
    assert not heard[700:].any()


def test_what_is_fed_goes_over_the_source() -> None:
    microphone = MockMicrophone(SyntheticMicrophone(tone_hz=500.0))
    microphone.feed(np.full(BLOCK_FRAMES, 7, np.int16))
    blocks: Collector[AudioBlock] = Collector()
    with no_new_threads():
        microphone.start(blocks, lost_is_an_error)
        first, second = blocks.wait(2)
        microphone.close()
    assert (first.samples == 7).all()
    assert np.array_equal(second.samples, tone(500.0, BLOCK_FRAMES, BLOCK_FRAMES))


def test_feed_refuses_other_formats() -> None:
    with pytest.raises(ValueError, match=r"mono int16, got float64 of shape \(480,\)"):
        MockMicrophone().feed(np.zeros(480))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"shape \(2, 480\)"):
        MockMicrophone().feed(np.zeros((2, 480), np.int16))


def test_speaker_keeps_the_last_seconds_and_writes_them(tmp_path: Path) -> None:
    speaker = MockSpeaker(keep_s=0.1)
    count = 0

    def source() -> Samples:
        nonlocal count
        count += 1
        return np.full(BLOCK_FRAMES, count, np.int16)

    with no_new_threads():
        speaker.start(source, lost_is_an_error)
        assert speaker.wait_blocks(15, 10)
        speaker.close()
    heard = speaker.samples()
    assert np.array_equal(heard, np.repeat(np.arange(count - 9, count + 1, dtype=np.int16), BLOCK_FRAMES))
    assert speaker.blocks == count
    speaker.save_wav(tmp_path / "heard.wav")
    with wave.open(str(tmp_path / "heard.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
        assert file.readframes(file.getnframes()) == heard.tobytes()
    speaker.clear()
    assert speaker.samples().size == 0


def test_speaker_keeps_a_copy_of_what_its_source_reuses() -> None:
    speaker = MockSpeaker()
    block = silence()

    def source() -> Samples:
        block[:] += 1
        return block

    speaker.start(source, lost_is_an_error)
    assert speaker.wait_blocks(3, 10)
    speaker.close()
    assert speaker.samples()[::BLOCK_FRAMES].tolist()[:3] == [1, 2, 3]


def test_speaker_level_is_on_the_scale_of_every_meter_and_zero_when_closed() -> None:
    sound = tone(1000.0, 0, BLOCK_FRAMES, 0.1)
    speaker = MockSpeaker()
    speaker.start(lambda: sound, lost_is_an_error)
    assert speaker.wait_blocks(2, 10)
    loud = speaker.level
    speaker.close()
    assert loud == volume(dbov(sound)) == 64  # a sine at -20 dBFS has -23 dBov
    assert speaker.level == 0


@pytest.mark.parametrize("kind", ["microphone", "speaker", "camera"])
def test_an_unplugged_device_is_lost_once_and_opens_again_when_plugged_in(kind: str) -> None:
    device: MockMicrophone | MockSpeaker | MockCamera
    came: Collector[object] = Collector()

    def start(lost: Collector[HardwareError]) -> None:
        if isinstance(device, MockSpeaker):

            def source() -> Samples:
                came(None)
                return silence()

            device.start(source, lost)
        else:
            device.start(came, lost)

    devices = {"microphone": MockMicrophone, "speaker": MockSpeaker}
    device = MockCamera(SyntheticCamera(160, 160, 60)) if kind == "camera" else devices[kind]()
    lost: Collector[HardwareError] = Collector()
    with no_new_threads():
        start(lost)
        came.wait(2)
        device.unplug()
        device.unplug()
        count = len(came.items)
        assert [str(error) for error in lost.items] == [f"mock-{kind} was unplugged; plug it in again"]
        with pytest.raises(HardwareError, match=f"mock-{kind} is not plugged in"):
            start(lost)
        device.plug_in()
        start(lost)
        came.wait(count + 2)
        device.close()
    device.unplug()
    assert len(lost.items) == 1, "a closed device has nobody to tell"


def test_a_source_that_is_lost_is_a_lost_device() -> None:
    source = MockMicrophone(device_id="inner")
    microphone = MockMicrophone(source)
    lost: Collector[HardwareError] = Collector()
    microphone.start(lambda _: None, lost)
    source.unplug()
    microphone.unplug()
    assert [str(error) for error in lost.items] == ["inner was unplugged; plug it in again"]


def test_a_stalled_camera_keeps_its_pictures_back() -> None:
    camera = MockCamera(SyntheticCamera(160, 160, 60))
    assert (camera.width, camera.height, camera.fps) == (160, 160, 60)
    ready = threading.Event()
    pictures: Collector[Picture | AccessUnit] = Collector()

    def sink(picture: Picture | AccessUnit) -> None:
        if len(pictures.items) == 2:
            camera.stalled = True
            ready.set()
        pictures(picture)

    camera.start(sink, lost_is_an_error)
    assert ready.wait(10)
    pictures.wait(3)
    camera.request_keyframe()
    assert camera.keyframe_requests == 1
    camera.stalled = False
    pictures.wait(4)
    camera.close()


@pytest.mark.parametrize("device", [AbsentMicrophone("no microphone here"), AbsentSpeaker("no microphone here")])
def test_absent_audio(device: AbsentMicrophone | AbsentSpeaker) -> None:
    with pytest.raises(HardwareError, match="no microphone here"):
        device.start(silence, lost_is_an_error)  # type: ignore[arg-type]
    device.close()


def test_absent_camera() -> None:
    camera = AbsentCamera()
    with pytest.raises(HardwareError, match="there is no camera"):
        camera.start(lambda _: None, lost_is_an_error)
    camera.close()


def test_leds_record_what_was_set() -> None:
    changes: list[dict[LedName, float]] = []
    leds = MockLeds(changes.append)
    leds.set({"mute": 1.0})
    leds.set({"connection": 0.5})
    assert leds.brightness == {**dict.fromkeys(LED_NAMES, 0.0), "mute": 1.0, "connection": 0.5}
    assert [what for _, what in leds.history] == [{"mute": 1.0}, {"connection": 0.5}]
    assert changes[-1] == leds.brightness
    leds.close()
    assert not any(leds.brightness.values())


@pytest.mark.parametrize("bad", [{"nose": 1.0}, {"mute": 1.01}, {"mute": -0.1}, {"mute": float("nan")}])
def test_leds_refuse_what_no_led_can_show(bad: dict[LedName, float]) -> None:
    leds = MockLeds()
    with pytest.raises(ValueError, match=r"allowed are 0\.\.1 for mute, connection"):
        leds.set({"connection": 1.0, **bad})
    assert not any(leds.brightness.values())
    assert not leds.history


def test_buttons_tell_edges_and_only_real_ones() -> None:
    buttons = MockButtons()
    edges: list[ButtonEdge] = []
    buttons.start(edges.append)
    buttons.press("mute")
    buttons.press("mute")
    assert buttons.pressed == {"mute"}
    buttons.release("mute")
    buttons.release("mute")
    buttons.click("call")
    buttons.close()
    buttons.click("call")
    assert [(edge.button, edge.pressed) for edge in edges] == [
        ("mute", True),
        ("mute", False),
        ("call", True),
        ("call", False),
    ]
    assert [edge.at_s for edge in edges] == sorted(edge.at_s for edge in edges)
    with pytest.raises(ValueError, match="button nose: there are mute, call"):
        buttons.press("nose")  # type: ignore[arg-type]
