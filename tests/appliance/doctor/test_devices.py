from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config import parse
from appliance.doctor import access, devices
from appliance.doctor.finding import Finding
from appliance.doctor.person import Nobody

NONE = '[audio]\ndriver = "none"\n[video]\ndriver = "none"\n[gpio]\ndriver = "none"\n[display]\ndriver = "none"\n'


def test_what_is_not_configured_is_skipped() -> None:
    found = list(devices.check(parse(NONE, "unit.toml"), Nobody()))
    assert [(finding.check, finding.status) for finding in found] == [
        (name, "skipped") for name in ("camera", "microphone", "speaker", "front panel", "display")
    ]


def test_key_that_no_driver_can_serve() -> None:
    config = parse(NONE.replace('"none"', '"file"\nmicrophone_file = "/nowhere.wav"', 1), "unit.toml")
    [finding] = devices.check(config, Nobody())
    assert (finding.check, finding.status) == ("devices", "failed")
    assert "audio.microphone_file" in finding.message


def test_driver_that_hangs() -> None:
    forever = threading.Event()

    def hang() -> Iterator[Finding]:
        yield Finding("microphone", "ok", "hears")
        forever.wait()

    try:
        first, second = devices.guarded(("microphone", "speaker"), hang, timeout_s=0.1)
    finally:
        forever.set()
    assert (first.check, first.status) == ("microphone", "ok")
    assert (second.check, second.status) == ("speaker", "failed")
    assert "hangs" in second.message
    assert "[audio]" in second.remedy


def test_driver_that_raises() -> None:
    def fail() -> Iterator[Finding]:
        raise ZeroDivisionError("in the driver")
        yield

    [finding] = devices.guarded(("camera",), fail)
    assert (finding.status, finding.message) == ("failed", "its driver failed: ZeroDivisionError: in the driver")


def test_who_has_the_device_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse(f'[video]\ndriver = "v4l2"\ndevice = "{tmp_path}/video0"\n', "unit.toml")
    monkeypatch.setattr(access, "holders", lambda files: ["cheese (pid 12)"] if files == [tmp_path / "video0"] else [])
    (tmp_path / "video0").touch()
    finding = devices.with_holders(Finding("camera", "failed", "busy", "mend it"), config)
    assert finding.remedy == "in use by cheese (pid 12): end it; or mend it"
    assert finding.facts["held_by"] == ["cheese (pid 12)"]
    fine = Finding("camera", "ok", "works")
    assert devices.with_holders(fine, config) is fine
