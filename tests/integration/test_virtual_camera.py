"""The Pi's camera driver on the real picamera2 and libcamera, whose virtual camera stands where no camera is.

They live in a Debian of their own (sid's, where libcamera has that camera), 700 MB, made once in a minute or two and
kept in $XDG_CACHE_HOME/room-appliance-tests.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.machine import CHECKOUT, TRIMMED, build_or_skip, cached, require_tools

pytestmark = pytest.mark.timeout(600)  # the first one may have to make Debian

PACKAGES = ("python3-libcamera", "libcamera-ipa", "python3-av", "python3-numpy", "python3-pil")
FROM_PYPI = ("picamera2==0.3.38", "videodev2==0.0.4", "piexif==1.1.3")
CLOSE_S = 1.5  # a second, on a loaded machine
AGE_S = 1.0
VIRTUAL = """%YAML 1.1
---
"Virtual0":
  supported_formats:
  - width: 1280
    height: 720
    frame_rates: [30, 30]
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "Virtual"
"""


def build(directory: Path) -> None:
    trimmed = [f"--dpkgopt=path-exclude={path}" for path in TRIMMED]
    options = ["--variant=minbase", *trimmed, f"--include={','.join(PACKAGES)}"]
    unstable = ["--aptopt=Acquire::Check-Valid-Until false"]  # a mirror that stands still is as good
    build_or_skip(["mmdebstrap", *options, *unstable, "sid", str(directory)], directory)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(directory / "opt/lib")]
    build_or_skip([*pip, *FROM_PYPI], directory)
    (directory / "usr/share/libcamera/pipeline/virtual/virtual.yaml").write_text(VIRTUAL)
    (directory / "dev/dma_heap").mkdir(parents=True, exist_ok=True)
    for device in ("udmabuf", "dma_heap/system", "dma_heap/linux,cma", "dma_heap/vidbuf_cached"):
        (directory / "dev" / device).touch()


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of that Debian, with this checkout's drivers in it."""
    require_tools()
    if shutil.which("gcc") is None:
        reason = "gcc is missing: apt-get install gcc libc6-dev"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    name = hashlib.sha256(" ".join((*PACKAGES, *FROM_PYPI, VIRTUAL)).encode()).hexdigest()[:8]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "room-appliance-tests"
    root = tmp_path_factory.mktemp("virtual") / "root"
    subprocess.run(["cp", "--archive", "--reflink=auto", cached(cache / f"libcamera-{name}", build), root], check=True)
    shutil.copytree(CHECKOUT / "hw", root / "opt/lib/hw")
    here = CHECKOUT / "tests/integration"
    shutil.copy(here / "in_virtual_camera.py", root / "opt")
    heap = ("gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", root / "opt/dma_heap.so", here / "dma_heap.c", "-ldl")
    subprocess.run(heap, check=True)
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def ran(debian: Path) -> Any:
    @functools.cache
    def run(mode: str) -> tuple[dict[str, Any], str]:
        setting = ("PYTHONPATH=/opt/lib", "LD_PRELOAD=/opt/dma_heap.so", "PYTHONDONTWRITEBYTECODE=1")
        command = ("chroot", debian, "env", *setting, "python3", "/opt/in_virtual_camera.py", mode)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout), done.stderr

    return run


def test_pictures_with_the_sensors_times_twice_over(ran: Any) -> None:
    report, _ = ran("raw")
    assert report["cameras"] == ["Virtual0"]
    for opening in report["openings"]:
        assert opening["device_id"] == "Virtual0"
        assert opening["lost"] == []
        assert opening["close_s"] < CLOSE_S
        assert len(opening["items"]) == 20
        for item in opening["items"]:
            assert (item["type"], item["size"], item["format"]) == ("Picture", [1280, 720], "yuv420p")
            assert len(item["luma"]) >= 6  # bars of different brightness
            assert 0 <= item["age_s"] < AGE_S


def test_units_of_an_encoder_with_the_sensors_times(ran: Any) -> None:
    report, log = ran("encoder")
    first, second = report["openings"]
    assert {item["type"] for item in first["items"]} == {"AccessUnit"}
    assert [item["type"] for item in second["items"][1:5]] == ["Picture", "AccessUnit"] * 2
    for opening in (first, second):
        assert opening["lost"] == []
        assert opening["close_s"] < CLOSE_S
        units = [item for item in opening["items"] if item["type"] == "AccessUnit"]
        assert units[0]["keyframe"]
        assert {unit["head"][:8] for unit in units} == {"00000001"}
        assert all(0 <= unit["age_s"] < AGE_S for unit in units)
    assert "encoding in software" not in log


def test_a_thread_of_picamera2_that_an_error_has_ended_is_closed(ran: Any) -> None:
    report, log = ran("dies")
    assert "the device is gone" in log
    assert [opening["items"] for opening in report["openings"]] == [[], []]
    assert all(opening["close_s"] < CLOSE_S for opening in report["openings"])
