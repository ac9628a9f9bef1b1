"""Synthetic camera and microphone: real time, legible, pleasant, and gone when closed."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AccessUnit, AudioBlock, Camera, HardwareError, Microphone, Picture
from hw.landscape import Landscape
from hw.synthetic import SyntheticCamera, SyntheticMicrophone, read_code
from hw.voice import babble, tone
from tests.hw.collect import Collector, lost_is_an_error, luma_of, no_new_threads


def test_camera_numbers_its_pictures_and_keeps_the_pace() -> None:
    camera = SyntheticCamera(320, 180, 50)
    assert isinstance(camera, Camera)
    pictures: Collector[Picture | AccessUnit] = Collector()
    with no_new_threads():
        camera.start(pictures, lost_is_an_error)
        got = pictures.wait(25)
        camera.close()
        camera.close()
    codes = [read_code(luma_of(picture)) for picture in got]
    assert codes == list(range(25))
    assert all(later.captured_s > earlier.captured_s for earlier, later in pairwise(got))
    assert got[-1].captured_s - got[0].captured_s == pytest.approx(24 / 50, abs=0.2)
    frame = got[0].frame if isinstance(got[0], Picture) else None
    assert frame is not None
    assert (frame.width, frame.height, frame.format.name) == (320, 180, "yuv420p")


def test_camera_starts_again_after_close() -> None:
    camera = SyntheticCamera(160, 160, 60)
    for _ in range(2):
        pictures: Collector[Picture | AccessUnit] = Collector()
        camera.start(pictures, lost_is_an_error)
        assert read_code(luma_of(pictures.wait(1)[0])) == 0
        camera.close()


@pytest.mark.parametrize(("width", "height", "fps"), [(321, 180, 30), (320, 90, 30), (320, 181, 30), (320, 180, 0)])
def test_camera_refuses_what_it_cannot_be(width: int, height: int, fps: int) -> None:
    with no_new_threads(), pytest.raises(HardwareError, match=f"{width}x{height} at {fps} fps is not possible"):
        SyntheticCamera(width, height, fps).start(lambda _: None, lost_is_an_error)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080), (360, 640), (162, 1200), (1000, 160)])
def test_picture_of_any_size_shows_code_clock_and_movement(width: int, height: int) -> None:
    landscape = Landscape(width, height, "Küche & Flur, a rather long name that will not fit")
    frames = [landscape.picture(n, n / 2, 1_700_000_000 + n) for n in (7, 8)]
    planes = [luma_of(frame).astype(int) for frame in frames]
    assert [read_code(plane.astype(np.uint8)) for plane in planes] == [7, 8]
    changed = np.abs(planes[1] - planes[0]) > 8
    sky, hills = changed[: height // 3], changed[height // 2 : height * 9 // 10]
    assert sky.any(), "neither sun nor clock moved"
    assert hills.mean() > 0.001, "the hills stand still"
    assert np.ptp(planes[0]) > 150


def test_clock_reads_the_local_time() -> None:
    landscape = Landscape(1280, 720, "x")
    wall_s = time.mktime((2026, 1, 2, 13, 4, 56, 0, 0, -1)) + 0.7815
    same = landscape.picture(1, 0.0, wall_s).to_ndarray()
    # Every digit of hh:mm:ss.mmm is its own column of tiles: a change of one part changes only its place.
    for other_s, first, last in [(wall_s + 0.001, 574, 629), (wall_s + 1, 386, 441), (wall_s + 3600, 122, 177)]:
        other = landscape.picture(1, 0.0, other_s).to_ndarray()
        columns = np.flatnonzero((other != same)[:720].any(axis=0))
        assert columns.size
        assert first <= columns.min() <= columns.max() <= last, (other_s - wall_s, columns.min(), columns.max())


def test_a_picture_costs_some_copies_of_it() -> None:
    landscape = Landscape(1280, 720, "Front door")
    plain = landscape.picture(0, 0.0, 0.0).to_ndarray()
    ratios = []
    for batch in range(10):
        start_s = time.thread_time()
        for _ in range(5):
            plain.copy()
        copied_s = time.thread_time()
        for number in range(5):
            landscape.picture(number, batch + number / 30, 0.0)
        ratios.append((time.thread_time() - copied_s) / (copied_s - start_s))
    assert min(ratios) < 20


def test_tone_is_pure_and_has_no_step_between_blocks() -> None:
    microphone = SyntheticMicrophone(tone_hz=1000.0)
    assert isinstance(microphone, Microphone)
    blocks: Collector[AudioBlock] = Collector()
    with no_new_threads():
        microphone.start(blocks, lost_is_an_error)
        got = blocks.wait(30)
        microphone.close()
    assert all(block.samples.shape == (BLOCK_FRAMES,) and block.samples.dtype == np.int16 for block in got)
    assert got[-1].captured_s - got[0].captured_s == pytest.approx(29 * 0.01, abs=1e-3)
    samples = np.concatenate([block.samples for block in got]).astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    peak = int(spectrum.argmax())
    assert peak * SAMPLE_RATE_HZ / samples.size == pytest.approx(1000.0, abs=5)
    assert spectrum[peak - 4 : peak + 5].sum() / spectrum.sum() > 0.9999


def test_tone_runs_on_for_days() -> None:
    late = 3 * 24 * 3600 * SAMPLE_RATE_HZ
    assert np.abs(tone(440.0, late, 480).astype(int) - tone(440.0, 0, 480)).max() <= 1


@pytest.mark.parametrize("tone_hz", [0.0, -5.0, 24_000.0, float("nan")])
def test_microphone_refuses_a_tone_that_cannot_be(tone_hz: float) -> None:
    with no_new_threads(), pytest.raises(HardwareError, match=r"outside 0\.\.24000 Hz"):
        SyntheticMicrophone(tone_hz=tone_hz).start(lambda _: None, lost_is_an_error)


def test_voice_is_speech_like() -> None:
    voice = babble()
    assert voice.size % BLOCK_FRAMES == 0
    level = np.sqrt(np.square(voice.astype(float)).reshape(-1, BLOCK_FRAMES).mean(axis=1)) / 32768
    assert 0.25 < np.abs(voice.astype(int)).max() / 32768 < 0.5
    assert 0.2 < (level < 0.001).mean() < 0.6, "speech has pauses"
    starts = (level[1:] > 0.02) & (level[:-1] <= 0.02)
    assert 1.5 < starts.sum() / (voice.size / SAMPLE_RATE_HZ) < 5, "syllables a second"
    spectrum = np.abs(np.fft.rfft(voice.astype(float))) ** 2
    hz = np.fft.rfftfreq(voice.size, 1 / SAMPLE_RATE_HZ)
    assert spectrum[(hz > 80) & (hz < 4000)].sum() / spectrum.sum() > 0.95
    assert np.abs(np.diff(voice.astype(int), append=voice[0])).max() < 6000, "a click"


def test_microphone_speaks_the_voice_in_order() -> None:
    microphone = SyntheticMicrophone()
    blocks: Collector[AudioBlock] = Collector()
    microphone.start(blocks, lost_is_an_error)
    got = blocks.wait(20)
    microphone.close()
    assert np.array_equal(np.concatenate([block.samples for block in got]), babble()[: 20 * BLOCK_FRAMES])
