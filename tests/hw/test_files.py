"""Files play in real time, over and over, as any device would; bad ones are refused by name and reason."""

from __future__ import annotations

import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AccessUnit, AudioBlock, Camera, HardwareError, Microphone, Picture, Samples
from hw.files import FileCamera, FileMicrophone
from hw.frame_code import read_code
from hw.landscape import Landscape
from hw.voice import tone
from tests.hw.collect import Collector, lost_is_an_error, luma_of, no_new_threads

CODECS = {".mp4": "libx264", ".webm": "libvpx", ".avi": "mjpeg"}
Device = Callable[[Path], FileCamera | FileMicrophone]


def write_film(
    path: Path, frames: int = 10, fps: int = 25, width: int = 320, height: int = 180, broken: int | None = None
) -> Path:
    """Pictures with their number as code; packet `broken` is rubbish."""
    landscape = Landscape(width, height, "film")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix], rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.bit_rate = width, height, 400_000
        stream.pix_fmt = pixels = "yuvj420p" if path.suffix == ".avi" else "yuv420p"
        packets: list[av.Packet[av.VideoStream]] = []
        for number in range(frames):
            packets += stream.encode(landscape.picture(number, number / fps, 0.0).reformat(format=pixels))
        for index, packet in enumerate([*packets, *stream.encode()]):
            if index == broken:
                rubbish = av.Packet(bytes(40))
                rubbish.pts, rubbish.dts, rubbish.time_base = packet.pts, packet.dts, packet.time_base
                rubbish.stream = stream
                container.mux(rubbish)
            else:
                container.mux(packet)
    return path


def write_sound(path: Path, samples: Samples, rate_hz: int, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(samples, channels).astype("<i2").tobytes())
    return path


def codes(pictures: list[Picture | AccessUnit]) -> list[int | None]:
    return [read_code(luma_of(picture)) for picture in pictures]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_camera_plays_every_frame_at_its_time_and_starts_again(tmp_path: Path, suffix: str) -> None:
    camera = FileCamera(write_film(tmp_path / f"film{suffix}"), 320, 180, 25)
    assert isinstance(camera, Camera)
    pictures: Collector[Picture | AccessUnit] = Collector()
    with no_new_threads():
        camera.start(pictures, lost_is_an_error)
        got = pictures.wait(25)
        camera.close()
        camera.close()
    seen = codes(got)
    # A container's clock may round (WebM: 1 ms), so that a tick meets the frame before; order and pace must hold.
    steps = [(later - earlier) % 10 for earlier, later in pairwise(seen)]  # type: ignore[operator]
    assert seen[0] == 0
    assert set(steps) <= {0, 1, 2}
    assert 22 <= sum(steps) <= 25
    assert got[-1].captured_s - got[0].captured_s == pytest.approx(24 / 25, abs=0.2)


def test_a_slow_film_repeats_and_a_fast_one_leaves_out(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", frames=20, fps=20)
    for fps, expected in ((40, [0, 0, 1, 1, 2, 2, 3, 3]), (10, [0, 2, 4, 6])):
        pictures: Collector[Picture | AccessUnit] = Collector()
        camera = FileCamera(path, 320, 180, fps)
        camera.start(pictures, lost_is_an_error)
        assert codes(pictures.wait(len(expected))) == expected
        camera.close()


def test_pictures_are_scaled_with_their_proportions(tmp_path: Path) -> None:
    camera = FileCamera(write_film(tmp_path / "film.mp4"), 640, 640, 30)
    pictures: Collector[Picture | AccessUnit] = Collector()
    camera.start(pictures, lost_is_an_error)
    picture = pictures.wait(1)[0]
    camera.close()
    assert isinstance(picture, Picture)
    assert (picture.frame.width, picture.frame.height, picture.frame.format.name) == (640, 640, "yuv420p")
    luma = luma_of(picture)
    assert luma[:138].max() <= 17, "no bar above"
    assert luma[502:].max() <= 17, "no bar below"
    assert read_code(luma[140:500]) == 0


def test_a_still_picture_is_a_film(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    frame = Landscape(320, 180, "still").picture(77, 0.0, 0.0).reformat(format="rgb24")
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = 320, 180, "rgb24"
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    pictures: Collector[Picture | AccessUnit] = Collector()
    camera = FileCamera(path, 320, 180, 30)
    camera.start(pictures, lost_is_an_error)
    assert codes(pictures.wait(6)) == [77] * 6
    camera.close()


@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 1), (44_100, 2), (16_000, 1)])
def test_microphone_plays_in_real_time_at_48_khz_mono(tmp_path: Path, rate_hz: int, channels: int) -> None:
    sound = (8000 * np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz)).astype(np.int16)
    microphone = FileMicrophone(write_sound(tmp_path / "sound.wav", sound, rate_hz, channels))
    assert isinstance(microphone, Microphone)
    blocks: Collector[AudioBlock] = Collector()
    with no_new_threads():
        microphone.start(blocks, lost_is_an_error)
        got = blocks.wait(50)
        microphone.close()
        microphone.close()
    assert got[-1].captured_s - got[0].captured_s == pytest.approx(0.49, abs=1e-3)
    assert all(block.samples.shape == (BLOCK_FRAMES,) and block.samples.dtype == np.int16 for block in got)
    heard = np.concatenate([block.samples for block in got]).astype(float)[2400:]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size))) ** 2
    assert spectrum.argmax() * SAMPLE_RATE_HZ / heard.size == pytest.approx(1000, abs=5)
    assert heard.std() == pytest.approx(8000 / np.sqrt(2), rel=0.02)


def test_microphone_has_no_gap_where_the_file_starts_again(tmp_path: Path) -> None:
    sound = tone(1000.0, 0, 7200)  # 150 ms: whole periods, so that the seam is smooth
    microphone = FileMicrophone(write_sound(tmp_path / "sound.wav", sound, SAMPLE_RATE_HZ))
    blocks: Collector[AudioBlock] = Collector()
    microphone.start(blocks, lost_is_an_error)
    heard = np.concatenate([block.samples for block in blocks.wait(40)])
    microphone.close()
    assert np.array_equal(heard, np.resize(sound, heard.size))


@pytest.mark.parametrize(("device", "kind"), [(FileCamera, "video"), (FileMicrophone, "audio")])
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.mp4", None, "no such file"),
        ("folder", "", "is no file"),
        ("text.mp4", b"not a film at all", "Invalid data found"),
        ("empty.mkv", b"", "Invalid data found|End of file"),
        ("http://[x]/film.mp4", None, "no such file"),
    ],
)
def test_a_bad_file_is_refused(
    tmp_path: Path, device: Device, kind: str, name: str, content: bytes | str | None, reason: str
) -> None:
    path = tmp_path / name
    if content == "":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with no_new_threads(), pytest.raises(HardwareError, match=rf"{kind} file .*{reason}") as caught:
        device(path).start(lambda _: None, lost_is_an_error)
    assert str(path) in str(caught.value)


def test_a_file_without_the_wanted_stream_is_refused(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "sound.wav", np.zeros(4800, np.int16), 48_000)
    with pytest.raises(HardwareError, match=r"sound\.wav: has no video"):
        FileCamera(sound).start(lambda _: None, lost_is_an_error)
    with pytest.raises(HardwareError, match=r"film\.mp4: has no audio"):
        FileMicrophone(write_film(tmp_path / "film.mp4", 2)).start(lambda _: None, lost_is_an_error)


def test_a_file_with_headers_only_is_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.wav", np.zeros(0, np.int16), 48_000)
    with no_new_threads(), pytest.raises(HardwareError, match=r"has no audio that can be decoded"):
        FileMicrophone(path).start(lambda _: None, lost_is_an_error)


def test_a_file_that_vanishes_while_it_plays_is_a_lost_device(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", frames=3)
    camera = FileCamera(path, 320, 180, 60)
    lost: Collector[HardwareError] = Collector()
    with no_new_threads():
        camera.start(lambda _: None, lost)
        path.unlink()
        assert "film.mp4: no such file" in str(lost.wait(1)[0])
        camera.close()
    assert len(lost.items) == 1


def test_a_film_with_a_broken_picture_plays_on(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.avi", frames=6, fps=50, broken=3)
    camera = FileCamera(path, 320, 180, 50)
    pictures: Collector[Picture | AccessUnit] = Collector()
    camera.start(pictures, lost_is_an_error)
    seen = codes(pictures.wait(20))
    camera.close()
    assert 3 not in seen
    assert {0, 1, 2, 4, 5} <= set(seen)
    assert seen.index(0, seen.index(5)), "it starts again"
