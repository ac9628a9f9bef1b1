"""The parts of a relay by themselves: compositor, images, encoders, recordings."""

from __future__ import annotations

import base64
import errno
import io
import os
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.hub import recordings as recordings_module
from appliance.hub.recordings import Recordings
from appliance.hub.relay_compositor import Compositor
from appliance.hub.relay_encoder import FPS, RelayEncoder
from appliance.hub.relay_images import ImageError, decode_image, load_images
from appliance.hub.relay_layout import Key
from appliance.room.signaling_tasks import Canvas, LayoutImage, LayoutUser, RtmpTask, TaskAudio, TaskLayout
from hw.frame_code import draw_code, read_code
from tests.appliance.media.sound import tone
from tests.integration.stage import BLUE, GREEN, RED, WHITE, color_at, flat, is_like

COLOR = (BLUE[0] << 16) + (BLUE[1] << 8) + BLUE[2]


def user(name: str, x: int, y: int, width: int, height: int, **more: Any) -> LayoutUser:
    return LayoutUser(user_id=name, x=x, y=y, width=width, height=height, **more)


def layout(*users: LayoutUser, images: tuple[LayoutImage, ...] = (), width: int = 320, height: int = 180) -> TaskLayout:
    return TaskLayout(canvas=Canvas(width=width, height=height, color=COLOR), users=users, images=images)


def encoded(codec: str, pixel_format: str, width: int = 64, height: int = 64) -> bytes:
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = width, height, pixel_format, Fraction(1, 25)
    frame = flat(WHITE, width, height).reformat(format=pixel_format)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))


def main(**pictures: av.VideoFrame) -> dict[Key, av.VideoFrame]:
    return {(user_id, "main"): frame for user_id, frame in pictures.items()}


# --- compositor


def test_who_is_in_front_and_what_is_behind() -> None:
    back = LayoutImage(url="hub:x", x=160, y=0, width=160, height=180)
    one = layout(user("a", 0, 0, 100, 100, z_order=1), user("b", 50, 50, 100, 100, z_order=0), images=(back,))
    compositor = Compositor(one, [flat(WHITE, 64, 64)])
    empty = compositor.compose(main()).copy()
    assert is_like(color_at(empty, 20, 20), BLUE)
    assert is_like(color_at(empty, 240, 90), WHITE)
    both = compositor.compose(main(a=flat(RED, 64, 64), b=flat(GREEN, 64, 64)))
    assert is_like(color_at(both, 75, 75), RED), "a covers b"
    assert is_like(color_at(both, 130, 130), GREEN)
    again = compositor.compose(main())
    assert np.array_equal(again, empty), "nothing of who is gone stays"


def test_a_screen_stands_beside_its_user() -> None:
    both = layout(user("a", 0, 0, 64, 64), user("a", 64, 0, 64, 64, stream="screen"))
    picture = Compositor(both, []).compose({("a", "main"): flat(RED, 64, 64), ("a", "screen"): flat(GREEN, 64, 64)})
    assert is_like(color_at(picture, 32, 32), RED)
    assert is_like(color_at(picture, 96, 32), GREEN)


def test_only_what_changed_is_scaled() -> None:
    compositor = Compositor(layout(user("a", 0, 0, 64, 64), user("b", 64, 0, 64, 64), user("c", 0, 0, 0, 0)), [])
    a, b = flat(RED, 320, 180), flat(GREEN, 320, 180)
    compositor.compose(main(a=a, b=b, c=a))
    compositor.compose(main(a=a, b=b, c=a))
    assert compositor.scaled == 2
    picture = compositor.compose(main(a=a, b=flat(WHITE, 320, 180), c=b, stranger=a))
    assert compositor.scaled == 3
    assert is_like(color_at(picture, 96, 32), WHITE)
    compositor.set_layout(layout(user("a", 100, 100, 64, 64)), [])
    assert is_like(color_at(compositor.compose(main(a=a)), 130, 130), RED)


def test_fit_shows_all_and_crop_fills() -> None:
    wide = flat(RED, 320, 80)
    fitted = Compositor(layout(user("a", 0, 0, 160, 160, adaption="fit")), []).compose(main(a=wide))
    assert [is_like(color_at(fitted, 80, y), color) for y, color in ((20, BLUE), (80, RED), (140, BLUE))] == [True] * 3
    planes = np.asarray(wide.to_ndarray(), np.uint8)
    planes[:80, :100] = planes[:80, 220:] = 235  # cut off by the crop to a square
    cropped = Compositor(layout(user("a", 0, 0, 160, 160)), []).compose(
        main(a=av.VideoFrame.from_ndarray(planes, "yuv420p"))
    )
    assert [is_like(color_at(cropped, x, y), RED) for x, y in ((20, 20), (80, 80), (140, 140))] == [True] * 3


@given(
    x=st.integers(0, 1920),
    y=st.integers(0, 1920),
    width=st.integers(0, 1920),
    height=st.integers(0, 1920),
    fit=st.booleans(),
    source=st.sampled_from([(2, 2), (3, 5), (320, 180), (17, 640)]),
)
def test_any_rectangle_is_drawn_within_the_canvas(
    x: int, y: int, width: int, height: int, fit: bool, source: tuple[int, int]
) -> None:
    box = user("a", x, y, width, height, adaption="fit" if fit else "crop")
    picture = Compositor(layout(box, width=64, height=48), []).compose(main(a=flat(RED, *source)))
    assert picture.shape == (72, 64)
    if x >= 64 or y >= 48:
        assert is_like(color_at(picture, 32, 24), BLUE)


# --- images


def test_images_of_the_task_and_of_the_owner(tmp_path: Path) -> None:
    png, jpeg = encoded("png", "rgb24"), encoded("mjpeg", "yuvj420p")
    (tmp_path / "a.png").write_bytes(png)
    (tmp_path / "b.png").write_bytes(b"GIF89a")
    urls = (
        "hub:a.png",
        "data:image/jpeg;base64," + base64.b64encode(jpeg).decode(),
        "hub:b.png",
        "hub:none.png",
    )
    images = [LayoutImage(url=url, x=0, y=0, width=64, height=64) for url in urls]
    frames, problems = load_images(images, tmp_path)
    assert [frame is not None for frame in frames] == [True, True, False, False]
    assert [problem.split(":")[0] for problem in problems] == ["layout.images[2]", "layout.images[3]"]
    assert "No such file" in problems[1]
    assert load_images(images[:1], None)[1] == ["layout.images[0]: not to be had"]


def test_an_image_that_would_be_too_large_is_not_made() -> None:
    png = bytearray(encoded("png", "rgb24"))
    png[16:24] = (30_000).to_bytes(4, "big") * 2  # IHDR says so, in few bytes
    with pytest.raises(ImageError):
        decode_image(bytes(png))


@given(data=st.binary(max_size=100), magic=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]))
def test_any_bytes_are_an_image_or_none(data: bytes, magic: bytes) -> None:
    try:
        frame = decode_image(magic + data)
    except ImageError:
        return
    assert frame.width * frame.height


@given(cut=st.integers(0, 400), flip=st.integers(0, 400))
def test_a_damaged_image_is_an_image_or_none(cut: int, flip: int) -> None:
    data = bytearray(encoded("mjpeg", "yuvj420p"))
    data[flip % len(data)] ^= 0x55
    try:
        decode_image(bytes(data[: len(data) - cut]))
    except ImageError:
        return


# --- encoders


def task(**fields: Any) -> RtmpTask:
    whole: dict[str, Any] = {"task_id": "tape", "layout": layout(), "record": True}
    return RtmpTask(**(whole | fields))


def run(encoder: RelayEncoder, seconds: float, hz: float = 700) -> None:
    sound = tone(hz, seconds)
    for number in range(round(seconds * FPS)):
        planes = np.full((270, 320), 128, np.uint8)
        draw_code(planes[:180], number)
        encoder.picture(planes, number, keyframe=False)
        for block in range(4):
            encoder.sound(sound[(number * 4 + block) * 480 :][:480])


@pytest.mark.parametrize("audio", [TaskAudio(), TaskAudio(sample_rate_hz=32_000, channels=1, bitrate_kbps=10)])
def test_a_recording_that_is_cut_off_can_be_played_until_there(audio: TaskAudio) -> None:
    written = bytearray()
    encoder = RelayEncoder(task(audio=audio, extra_info="me"), 320, 180, written.extend)
    run(encoder, 5)
    cut = bytes(written)
    encoder.close()
    for data, pictures in ((cut, 100), (bytes(written), 125)):
        with av.open(io.BytesIO(data), "r") as played:
            assert played.metadata["comment"] == "me"
            frames = list(played.decode(video=0))
        assert len(frames) == pictures
        codes = [read_code(np.asarray(frame.to_ndarray()[:180], np.uint8)) for frame in frames]
        assert codes == list(range(pictures))
        with av.open(io.BytesIO(data), "r") as played:
            (stream,) = played.streams.audio
            assert (stream.rate, stream.channels) == (audio.sample_rate_hz, audio.channels)
            samples = sum(frame.samples for frame in played.decode(audio=0))
        assert samples / audio.sample_rate_hz == pytest.approx(pictures / FPS, abs=0.15)


def test_sound_alone_is_a_file_too() -> None:
    written = bytearray()
    encoder = RelayEncoder(task(), 0, 0, written.extend)
    sound = tone(700, 5)
    for block in range(500):
        encoder.sound(sound[block * 480 :][:480])
    cut = bytes(written)
    encoder.close()
    for data, seconds in ((cut, 4.0), (bytes(written), 5.0)):
        with av.open(io.BytesIO(data), "r") as played:
            assert [stream.type for stream in played.streams] == ["audio"]
            samples = sum(frame.samples for frame in played.decode(audio=0))
        assert samples / 48_000 == pytest.approx(seconds, abs=0.15)


def test_key_frames_come_every_two_seconds_and_when_asked_for() -> None:
    encoder = RelayEncoder(task(), 320, 180, None)
    planes = np.full((270, 320), 90, np.uint8)
    keys = [
        number
        for number in range(110)
        for coded in encoder.picture(planes, number, keyframe=number == 30)
        if coded.keyframe
    ]
    encoder.close()
    assert keys == [0, 30, 80]


def test_a_disk_that_takes_no_more_is_heard_of() -> None:
    written = 0

    def write(data: bytes) -> None:
        nonlocal written
        written += len(data)
        if written > 20_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    encoder = RelayEncoder(task(), 320, 180, write)
    with pytest.raises(OSError, match="No space left"):
        run(encoder, 20)
    encoder.close()


# --- recordings


@pytest.fixture
def store(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path / "recordings", 3_000_000, 1000.0)


def keep(store: Recordings, size: int, *, age_s: float = 0.0, room: str = "a-b") -> str:
    recording = store.open(room, "t_1")
    recording.write(bytes(size))
    recording.close()
    path = store.path(recording.name)
    assert path is not None
    os.utime(path, (time.time() - age_s,) * 2)
    return recording.name


def names(store: Recordings) -> list[str]:
    return [stored.name for stored in store.all()]


def test_recordings_are_listed_read_and_deleted(store: Recordings) -> None:
    assert store.all() == []
    name = keep(store, 10)
    (stored,) = store.all()
    assert (stored.name, stored.room, stored.task_id, stored.bytes, stored.growing) == (name, "a-b", "t_1", 10, False)
    path = store.path(name)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    (path.parent / "notes.txt").write_text("not ours")
    for other in ("../recordings/" + name, "notes.txt", "", ".", name + "\n", "00000009-a-b.mp4"):
        assert store.path(other) is None
        assert not store.delete(other)
    growing = store.open("x", "y")
    assert [stored.growing for stored in store.all()] == [False, True]
    assert not store.delete(growing.name), "it is being written"
    growing.close()
    assert store.delete(growing.name)
    assert store.delete(name)
    assert store.all() == []


def test_the_oldest_and_the_too_old_make_room(store: Recordings) -> None:
    old = keep(store, 100, age_s=2000)
    first, second = keep(store, 1_500_000), keep(store, 1_400_000)
    assert names(store) == [first, second], f"{old} is too old"
    growing = store.open("a", "b")
    for _ in range(25):
        growing.write(bytes(100_000))
    assert names(store) == [growing.name], "two made room"
    growing.write(bytes(2_000_000))
    with pytest.raises(OSError, match="3 MB"):
        growing.write(bytes(2_000_000))
    growing.close()
    assert sum(stored.bytes for stored in store.all()) < 5_000_000
    store.prune()
    assert names(store) == [], "it alone was too much"


def test_a_disk_that_is_nearly_full_is_left_alone(store: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(store, 10)
    monkeypatch.setattr(recordings_module, "KEEP_FREE_BYTES", 1 << 60)
    with pytest.raises(OSError, match="full"):
        store.open("a", "b")
    assert store.all() == []
