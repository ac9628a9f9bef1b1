from __future__ import annotations

import importlib.metadata
import json
import os
import socket
from pathlib import Path

import pytest

from appliance import doctor, tls
from appliance.config import parse

MOCK = (
    '[audio]\ndriver = "mock"\n[video]\ndriver = "mock"\n[gpio]\ndriver = "none"\n[web]\nhost = "127.0.0.1"\nport = 0\n'
)


def write(directory: Path, text: str) -> Path:
    file = directory / "unit.toml"
    file.write_text(text)
    return file


def test_a_unit_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = doctor.run(write(tmp_path, MOCK), tmp_path / "state")
    lines = capsys.readouterr().out.splitlines()
    assert status == 0, lines
    assert {line.split(":")[0].split(maxsplit=1)[1] for line in lines} == {
        *("python", "aiortc", "aioice", "aiortc hooks", "clock", "state directory", "configuration", "web"),
        *("certificate", "microphone", "camera", "speaker"),
    }
    assert list((tmp_path / "state").iterdir()) == []


def test_certificate(tmp_path: Path) -> None:
    assert doctor.check_certificate(tmp_path).message.startswith("none yet")
    tls.self_signed(tmp_path, frozenset({"porch"}))
    assert doctor.check_certificate(tmp_path).message == f"SHA-256 {tls.fingerprint(tmp_path)}"
    (tmp_path / tls.FILE_NAME).write_text("damaged")
    assert doctor.check_certificate(tmp_path).status == "failed"


def test_json_says_what_to_do_about_each_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = MOCK.replace('[video]\ndriver = "mock"', f'[video]\ndriver = "v4l2"\ndevice = "{tmp_path}/video9"')
    status = doctor.run(write(tmp_path, config), tmp_path, as_json=True)
    findings = json.loads(capsys.readouterr().out)
    assert status == 1
    [failed] = [finding for finding in findings if finding["status"] == "failed"]
    assert failed["check"] == "camera"
    assert f"{tmp_path}/video9" in failed["message"]
    assert "[video] driver" in failed["remedy"]


def test_a_bad_configuration_is_shown_and_the_rest_is_examined(tmp_path: Path) -> None:
    findings = {
        finding.check: finding for finding in doctor.examine(write(tmp_path, "[web]\nport = 99999\n"), tmp_path)
    }
    assert findings["configuration"].status == "failed"
    assert "unit.toml:2: web.port = 99999" in findings["configuration"].message
    assert "web" in findings


def test_python_version() -> None:
    assert doctor.check_python((3, 11, 0)).status == "ok"
    assert doctor.check_python((3, 13, 9)).status == "ok"
    assert doctor.check_python((3, 10, 12)).status == "failed"
    assert doctor.check_python((3, 14, 0)).status == "failed"


def test_versions_that_the_hooks_do_not_know() -> None:
    def version_of(name: str) -> str:
        if name == "aioice":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.17.0"

    assert [(finding.check, finding.message) for finding in doctor.check_packages(version_of)] == [
        ("aiortc", "1.17.0 is not 1.16.x"),
        ("aioice", "not installed"),
    ]


def test_clock(tmp_path: Path) -> None:
    year_s = 365 * 86_400
    assert doctor.check_clock(0.0, 50 * year_s, tmp_path).status == "failed"
    assert doctor.check_clock(50 * year_s, 49 * year_s, tmp_path).status == "warning"
    (tmp_path / "synchronized").touch()
    assert doctor.check_clock(50 * year_s, 49 * year_s, tmp_path).status == "ok"
    assert doctor.check_clock(50 * year_s, 49 * year_s, tmp_path / "no timesyncd").status == "ok"


def test_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = doctor.check_state_dir(tmp_path / "file" / "state")
    assert finding.status == "failed"
    assert "STATE_DIRECTORY" in finding.remedy
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        assert doctor.check_state_dir(tmp_path / "locked").status == "failed"


def test_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        finding = doctor.check_port("127.0.0.1", port)
        assert finding.status == "failed"
        assert f"port {port}" in finding.message
    assert doctor.check_port("127.0.0.1", port).status == "ok"


def test_host_that_is_not_ours() -> None:
    assert doctor.check_port("192.0.2.1", 0).status == "failed"


def test_driver_that_this_version_lacks() -> None:
    [finding] = doctor.check_devices(parse('[audio]\ndriver = "none"\n[video]\ndriver = "picamera2"', "unit.toml"))
    assert finding.status == "failed"
    assert "video.driver" in finding.message
