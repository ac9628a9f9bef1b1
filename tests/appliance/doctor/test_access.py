from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.config import parse
from appliance.doctor import access
from appliance.doctor.access import User, holders, judge, nodes

ANNA = User("anna", 1000, frozenset({1000}), frozenset({1000, 29}))


def status(mode: int = 0o660, gid: int = 44) -> os.stat_result:
    return os.stat_result((0o020000 | mode, 0, 0, 1, 0, gid, 0, 0, 0, 0))


def node(name: str, mode: int = 0o660, gid: int = 44) -> tuple[Path, os.stat_result]:
    return Path(f"/dev/{name}"), status(mode, gid)


@pytest.fixture(autouse=True)
def groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_group", {0: "root", 44: "video", 29: "audio", 997: "gpio"}.__getitem__)


def test_groups_that_would_cure_it() -> None:
    finding = judge([node("video0"), node("gpiochip0", gid=997), node("fine")], ANNA, lambda path: path.name == "fine")
    assert finding.status == "failed"
    assert finding.message == "anna may not open /dev/video0, /dev/gpiochip0"
    assert finding.remedy == "sudo usermod -aG gpio,video anna, then log in again"
    assert finding.facts["groups"] == ["gpio", "video"]


def test_group_that_is_given_and_not_taken_up() -> None:
    finding = judge([node("snd/pcmC0D0c", gid=29)], ANNA, lambda _path: False)
    assert "log in again" in finding.remedy
    assert "usermod" not in finding.remedy


@pytest.mark.parametrize("bad", [node("gpiochip0", gid=0), node("gpiochip0", mode=0o600)])
def test_device_without_a_rule(bad: tuple[Path, os.stat_result]) -> None:
    assert "udev rules" in judge([bad], ANNA, lambda _path: False).remedy


def test_nothing_to_open() -> None:
    assert judge([], ANNA, lambda _path: False).status == "ok"
    assert judge([node("video0")], ANNA, lambda _path: True).message == "anna may open 1 device files"


def test_the_service_by_the_mode_bits(tmp_path: Path) -> None:
    file = tmp_path / "node"
    file.touch()
    file.chmod(0o640)
    owner, group = file.stat().st_uid, file.stat().st_gid
    user, stranger = User("a", owner, frozenset(), frozenset()), owner + 1
    assert access._as_service(user)(file)
    assert not access._as_service(User("a", stranger, frozenset({group}), frozenset()))(file)
    file.chmod(0o660)
    assert access._as_service(User("a", stranger, frozenset({group}), frozenset()))(file)
    assert not access._as_service(User("a", stranger, frozenset(), frozenset()))(file)


def test_device_files_of_a_configuration(tmp_path: Path) -> None:
    for name in ("video0", "video1", "media0", "snd/pcmC0D0c", "gpiochip0", "ttyAMA0", "dma_heap/linux,cma"):
        file = tmp_path / "dev" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    def names(text: str, kind: str) -> list[str]:
        return [path.name for path in nodes(parse(text, "unit.toml"), kind, tmp_path)]

    assert names('[video]\ndriver = "v4l2"\ndevice = "/dev/video1"\n', "camera") == ["video1"]
    assert names('[video]\ndriver = "v4l2"\n', "camera") == ["video0", "video1"]
    assert names("", "camera") == ["linux,cma", "media0", "video0", "video1"]
    assert names('[video]\ndriver = "picamera2"\n', "camera") == ["linux,cma", "media0", "video0", "video1"]
    assert names('[video]\ndriver = "mock"\n', "camera") == []
    assert names('[audio]\ndriver = "alsa"\n', "sound") == ["pcmC0D0c"]
    assert names('[audio]\ndriver = "mock"\n', "sound") == []
    assert names('[gpio]\ndriver = "gpiozero"\n', "panel") == ["gpiochip0"]
    assert names('[panel]\nport = "/dev/ttyAMA0"\n', "panel") == ["ttyAMA0"]
    assert names('[gpio]\ndriver = "none"\n', "panel") == []
    assert names('[wifi]\nimprov_port = "/dev/ttyAMA0"\n', "improv") == ["ttyAMA0"]
    assert names('[wifi]\nimprov_port = ""\n', "improv") == []


def test_who_has_a_file_open(tmp_path: Path) -> None:
    file, link = tmp_path / "node", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    assert holders([file]) == []
    script = f"import sys; file = open({str(file)!r}); print(flush=True); sys.stdin.read()"
    with subprocess.Popen((sys.executable, "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        [found] = holders([link])
        other.communicate()
    assert found.endswith(f"(pid {other.pid})")
    assert holders([file]) == []
