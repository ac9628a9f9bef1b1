"""The doctor as a whole, on mock hardware."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from appliance import doctor
from appliance.doctor import finding, machine

MOCK = (
    '[audio]\ndriver = "mock"\n[video]\ndriver = "mock"\n[gpio]\ndriver = "mock"\n[web]\nhost = "127.0.0.1"\nport = 0\n'
)
DOCUMENT = Path(__file__).parents[3] / "docs" / "doctor.md"


@pytest.fixture(autouse=True)
def a_cool_machine_with_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine below is like is none of these tests' business."""
    monkeypatch.setattr(machine, "TOO_HOT_C", 1000.0)
    monkeypatch.setattr(machine, "NO_DISK", 0)
    monkeypatch.setattr(machine, "check_throttling", lambda _flags: finding.Finding("throttling", "ok", ""))


def write(directory: Path, text: str) -> Path:
    file = directory / "unit.toml"
    file.write_text(text)
    return file


def test_a_unit_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = doctor.run(write(tmp_path, MOCK), tmp_path / "state")
    lines = capsys.readouterr().out.splitlines()
    assert status == 0, lines
    checks = {line.split(":")[0].split(maxsplit=1)[1] for line in lines if not line.startswith(" ")}
    assert checks - {"temperature", "throttling"} == {
        *("python", "aiortc", "aioice", "pylibsrtp", "aiortc hooks"),
        *("clock", "state directory", "configuration", "web", "disk"),
        *("certificate", "memory", "claim", "address", "gateway", "names", "udp", "hub", "permissions"),
        *("microphone", "camera", "speaker", "front panel", "display"),
    }
    assert list((tmp_path / "state").iterdir()) == []


def test_json_says_what_to_do_about_each_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = MOCK.replace('[video]\ndriver = "mock"', f'[video]\ndriver = "v4l2"\ndevice = "{tmp_path}/video9"')
    status = doctor.run(write(tmp_path, config), tmp_path, as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert status == 1
    assert (report["schema"], report["status"]) == (finding.SCHEMA, "failed")
    assert all(set(one) == {"check", "status", "message", "remedy", "facts"} for one in report["findings"])
    [failed] = [one for one in report["findings"] if one["status"] == "failed"]
    assert failed["check"] == "camera"
    assert f"{tmp_path}/video9" in failed["message"]
    assert "[video] driver" in failed["remedy"]
    documented = set(re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text(), re.MULTILINE))
    assert {one["check"] for one in report["findings"]} <= documented


def test_a_bad_configuration_is_shown_and_the_rest_is_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.devices, "check", lambda _config, _person: iter(()))  # the defaults name real ones
    findings = {one.check: one for one in doctor.examine(write(tmp_path, "[web]\nport = 99999\n"), tmp_path)}
    assert findings["configuration"].status == "failed"
    assert "unit.toml:2: web.port = 99999" in findings["configuration"].message
    assert "web" in findings


def test_the_worst_finding_is_the_reports() -> None:
    def status(*each: finding.Status) -> str:
        return finding.report([finding.Finding("x", one, "") for one in each]).status

    assert status() == status("ok", "skipped") == "ok"
    assert status("ok", "warning", "skipped") == "warning"
    assert status("failed", "warning") == "failed"
