"""The files of systemd/ by systemd's own tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
SERVICE = SYSTEMD / "room-appliance.service"
SOCKET = SYSTEMD / "room-appliance-portal.socket"
MAX_EXPOSURE = 3.0
GROUPS = {"video", "render", "audio", "gpio", "dialout", "input", "netdev"}


def run(tool: str, *arguments: str) -> str:
    """Its output, when all is well and it has nothing to complain about."""
    result = run_any(tool, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stderr
    return result.stdout


def run_any(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(tool) is None:
        reason = f"{tool} is missing: apt-get install systemd"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=50, check=False)


def installed(directory: Path, text: str) -> Path:
    """The unit, of a program that is in `directory`."""
    program = directory / "venv" / "bin" / "room-appliance"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    unit = directory / "room-appliance.service"
    unit.write_text(text.replace("/opt/room-appliance", str(directory)))
    shutil.copy(SOCKET, directory)
    return unit


def test_the_unit_is_sound(tmp_path: Path) -> None:
    run("systemd-analyze", "verify", "--man=no", str(installed(tmp_path, SERVICE.read_text())))


def test_verify_would_find_a_misspelt_key(tmp_path: Path) -> None:
    text = SERVICE.read_text().replace("WatchdogSec=", "WatchdogSecs=")
    result = run_any("systemd-analyze", "verify", "--man=no", str(installed(tmp_path, text)))
    assert "WatchdogSecs" in result.stderr  # though its exit status is 0


def test_exposure() -> None:
    said = run("systemd-analyze", "security", "--offline=yes", str(SERVICE))
    found = re.search(r"Overall exposure level for room-appliance\.service: ([\d.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= MAX_EXPOSURE


def test_user_and_groups(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    run_any("systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "room-appliance.sysusers.conf")).check_returncode()
    assert "room-appliance:x:" in (tmp_path / "etc" / "passwd").read_text()
    lines = [line.split(":") for line in (tmp_path / "etc" / "group").read_text().splitlines()]
    assert {line[0] for line in lines if line[3] == "room-appliance"} == GROUPS
    service = SERVICE.read_text()
    supplementary = re.search(r"SupplementaryGroups=(.*)", service)
    assert supplementary is not None
    assert set(supplementary[1].split()) == GROUPS


def test_state_directory(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("systemd-tmpfiles gives files away: needs root")
    (tmp_path / "etc").mkdir()
    run_any("systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "room-appliance.sysusers.conf")).check_returncode()
    config = tmp_path / "var" / "lib" / "room-appliance" / "config.toml"
    for _ in range(2):
        run("systemd-tmpfiles", f"--root={tmp_path}", "--create", str(SYSTEMD / "room-appliance.tmpfiles.conf"))
        assert config.stat().st_mode & 0o777 == 0o600
        assert config.parent.stat().st_mode & 0o777 == 0o700
        assert config.stat().st_uid != 0
        config.write_text(config.read_text() or "kept")
    assert config.read_text() == "kept"


def test_root_speaks_as_the_unit_in_every_command_that_needs_its_memory() -> None:
    said = run(sys.executable, "-m", "appliance", "--help")
    commands = set(re.findall(r"^    ([a-z-]+)(?: {2}|$)", said, re.MULTILINE))
    found = re.search(r"^ +([a-z| -]+)\)$", (SYSTEMD / "room-appliance.sh").read_text(), re.MULTILINE)
    assert found is not None
    assert set(found[1].split(" | ")) == commands - {"check", "demo"}


def test_udev_rules() -> None:
    rules = SYSTEMD / "70-room-appliance.rules"
    groups = set(re.findall(r'GROUP="(\w+)"', rules.read_text()))
    assert groups <= GROUPS
    version = re.match(r"systemd (\d+)", run("systemd-analyze", "--version"))
    assert version is not None
    if int(version[1]) < 254:
        pytest.skip(f"udevadm verify came with systemd 254, here is {version[1]}")
    run_any("udevadm", "verify", "--resolve-names=never", str(rules)).check_returncode()
