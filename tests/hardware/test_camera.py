"""The unit's camera: it delivers, encodes, is asked, turned, closed, and pulled out."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.config import Config
from appliance.config_sections import Video
from appliance.doctor.camera import decode
from appliance.drivers import hardware
from appliance.media.plausible import fault
from appliance.preview import encode_jpeg
from hw import AccessUnit, Camera, HardwareError, Picture
from hw.annexb import NAL_SLICE, kind, parse_access_unit
from hw.picamera import PiCamera, has_encoder, is_installed
from tests.hardware.conftest import Person

pytestmark = pytest.mark.hardware

FIRST_S = 10.0
Got = queue.SimpleQueue[Picture | AccessUnit | HardwareError]


@contextmanager
def opened(camera: Camera) -> Iterator[Got]:
    """What the camera delivers, and its end."""
    got: Got = queue.SimpleQueue()
    camera.start(got.put, got.put)
    try:
        yield got
    finally:
        closing_s = time.monotonic()
        camera.close()
        assert time.monotonic() - closing_s < 1.2, "close() took longer than a second"


def take(got: Got, count: int) -> list[Picture | AccessUnit]:
    items = []
    for _ in range(count):
        item = got.get(timeout=FIRST_S)
        assert not isinstance(item, HardwareError), str(item)
        assert fault(item, time.monotonic()) == ""
        items.append(item)
    return items


@pytest.fixture
def camera(config: Config) -> Camera:
    """The configured one; skips where there is none."""
    made = hardware(config).drivers.camera
    if made is None or config.video.driver in ("mock", "file"):
        pytest.skip(f"[video] driver is {config.video.driver}: no camera to test")
    device = made()
    try:
        with opened(device) as got:
            take(got, 1)
    except HardwareError as exc:
        pytest.skip(str(exc))
    return device


@pytest.fixture
def encoding(pi: None, config: Config) -> PiCamera:
    """A camera on the port of a Pi that has an encoder."""
    if not is_installed():
        pytest.skip("picamera2 is not installed: apt install python3-picamera2")
    if not has_encoder():
        pytest.skip("this Pi has no H.264 encoder (a Pi 5 has none)")
    return PiCamera("", config.video.width, config.video.height, config.video.fps)


def test_pictures_come_at_the_wanted_rate_and_show_what_is_there(
    camera: Camera, config: Config, person: Person, tmp_path: Path
) -> None:
    with opened(camera) as got:
        take(got, 2 * config.video.fps)  # exposure and white balance settle
        items = take(got, 3 * config.video.fps)
    times_s = [item.captured_s for item in items]
    rate = (len(times_s) - 1) / (times_s[-1] - times_s[0])
    worst_s = max(after - before for before, after in itertools.pairwise(times_s))
    encoded = isinstance(items[0], AccessUnit)
    person.told(
        f"{camera.device_id}: {'H.264' if encoded else 'raw'}, {rate:.1f}/s, longest pause {worst_s * 1000:.0f} ms"
    )
    assert times_s == sorted(set(times_s))
    assert rate > 0.8 * config.video.fps, "more light? a slow camera lengthens its exposure"
    if not encoded:
        last = items[-1]
        assert isinstance(last, Picture)
        assert (last.frame.width, last.frame.height) == (camera.width, camera.height)
        (tmp_path / "seen.jpg").write_bytes(encode_jpeg(last.frame, last.frame.width))
        assert person.says_yes(f"Look at {tmp_path / 'seen.jpg'}: sharp, upright, right colors, not mirrored?")


def test_it_opens_again_and_again(camera: Camera) -> None:
    for _ in range(5):
        with opened(camera) as got:
            take(got, 3)


def test_pulled_out_and_put_back(camera: Camera, person: Person) -> None:
    if "/dev/video" not in camera.device_id:
        pytest.skip(f"{camera.device_id}: a ribbon cable is not pulled while the power is on")
    with opened(camera) as got:
        take(got, 3)
        assert person.says_yes("Press Enter, then pull the camera's USB plug within 10 s")
        deadline_s = time.monotonic() + 12
        while not isinstance(item := got.get(timeout=12), HardwareError):
            assert time.monotonic() < deadline_s, "it was not pulled, or nobody noticed"
    person.told(f"it says: {item}")
    assert person.says_yes("Put it back, wait three seconds, press Enter")
    with opened(camera) as got:
        take(got, 3)


def test_the_pis_encoder_gives_baseline_with_parameter_sets_and_one_slice(encoding: PiCamera, person: Person) -> None:
    with opened(encoding) as got:
        units = [item for item in take(got, 60) if isinstance(item, AccessUnit)]
    assert len(units) == 60
    assert units[0].keyframe
    for unit in units:
        nals = parse_access_unit(unit.data)
        assert sum(kind(nal) in (NAL_SLICE, 5) for nal in nals) == 1
        sps = [nal for nal in nals if kind(nal) == 7]
        assert [nal[1] for nal in sps] == ([66] if unit.keyframe else [])
    age_s = time.monotonic() - units[-1].captured_s
    person.told(
        f"SPS {nals_hex(units[0])}; the last unit was captured {age_s * 1000:.0f} ms before the camera was closed"
    )
    frame = decode(units)
    assert frame is not None
    assert (frame.width, frame.height) == (encoding.width, encoding.height)


def nals_hex(unit: AccessUnit) -> str:
    return parse_access_unit(unit.data)[0].hex()


def test_the_pis_encoder_makes_key_frames_when_asked(encoding: PiCamera) -> None:
    with opened(encoding) as got:
        take(got, 30)
        for _ in range(5):
            encoding.request_keyframe()
            after = take(got, 10)
            assert any(isinstance(item, AccessUnit) and item.keyframe for item in after)
            assert not any(isinstance(item, AccessUnit) and item.keyframe for item in take(got, 20))


@pytest.mark.timeout(120)
def test_the_pis_encoder_takes_a_new_bit_rate_while_it_runs(encoding: PiCamera, config: Config, person: Person) -> None:
    rates = {}
    assert person.says_yes("Press Enter and move your hand before the camera for 20 s")
    with opened(encoding) as got:
        for bps in (2_000_000, 500_000, 250_000, 1_500_000):
            encoding.set_bitrate(bps)
            take(got, 2 * config.video.fps)
            units = take(got, 3 * config.video.fps)
            rates[bps] = sum(len(unit.data) * 8 for unit in units if isinstance(unit, AccessUnit)) / 3
            longest_s = max(b.captured_s - a.captured_s for a, b in itertools.pairwise(units))
            person.told(f"{bps} bit/s asked for, {rates[bps]:.0f} came, longest pause {longest_s * 1000:.0f} ms")
            assert longest_s < 1.0, "an encoder without enough bits leaves pictures out"
    assert rates[500_000] < 0.6 * rates[2_000_000]
    assert rates[500_000] < 1.5 * 500_000


def test_pictures_beside_the_units_and_the_two_flips(encoding: PiCamera, person: Person, tmp_path: Path) -> None:
    for name, options in {"upright": {}, "upside-down": {"upside_down": True}, "mirrored": {"mirror": True}}.items():
        video: Video = Video()
        camera = PiCamera("", video.width, video.height, video.fps, **options)  # type: ignore[arg-type]
        camera.want_pictures(True)
        with opened(camera) as got:
            pictures = [item for item in take(got, 90) if isinstance(item, Picture)]
        assert len(pictures) > 30
        (tmp_path / f"{name}.jpg").write_bytes(encode_jpeg(pictures[-1].frame))
    assert person.says_yes(f"Look at the three pictures in {tmp_path}: is each as its name says?")


@pytest.mark.usefixtures("pi")
def test_a_pi_without_encoder_delivers_pictures(config: Config) -> None:
    if not is_installed() or has_encoder():
        pytest.skip("for a Pi 5 with a camera on its port")
    camera = PiCamera("", config.video.width, config.video.height, config.video.fps)
    with opened(camera) as got:
        assert all(isinstance(item, Picture) for item in take(got, 30))
