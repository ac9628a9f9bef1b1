"""The unit under test and the person beside it."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config import Config, load, parse
from appliance.state_dir import CONFIG_FILE
from hw.gpio import is_raspberry_pi

CONFIG_VARIABLE = "ROOM_APPLIANCE_CONFIG"
SERVICE = "room-appliance"
INSTALLED = Path("/var/lib/room-appliance") / CONFIG_FILE
DEFAULTS = '[audio]\ndriver = "auto"\n'


class Person:
    """Somebody in front of the unit; without a terminal nobody is there, and questions skip the test."""

    def __init__(self, terminal: int | None) -> None:
        self._terminal = terminal

    @property
    def is_there(self) -> bool:
        return self._terminal is not None

    def told(self, what: str) -> None:
        """Something to look at or listen to."""
        sys.stdout.write(f"\n    >> {what}\n")
        sys.stdout.flush()

    def says_yes(self, question: str, timeout_s: float = 30.0) -> bool:
        """Enter or "y" is yes. Skips when nobody answers."""
        if self._terminal is None:
            pytest.skip(f"nobody to ask {question!r}: run it in a terminal (make test-hardware does)")
        termios.tcflush(self._terminal, termios.TCIFLUSH)
        self.told(f"{question} [Y/n]")
        ready, _, _ = select.select([self._terminal], [], [], timeout_s)
        if not ready:
            pytest.skip(f"nobody answered {question!r} within {timeout_s:g} s")
        return os.read(self._terminal, 100).decode(errors="replace").strip().lower() in ("", "y", "yes")


@pytest.fixture
def person() -> Iterator[Person]:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        yield Person(None)
        return
    try:
        yield Person(terminal)
    finally:
        os.close(terminal)


@pytest.fixture
def config() -> Config:
    """The unit's configuration. Skips where the file cannot be read, and while the service has the devices."""
    if _is_running():
        pytest.skip(f"the service has the devices; stop it: sudo systemctl stop {SERVICE}")
    given = os.environ.get(CONFIG_VARIABLE)
    if given:
        return load(Path(given))
    try:
        is_installed = INSTALLED.exists()
    except PermissionError:
        pytest.skip(f"{INSTALLED} cannot be read by this user; use sudo, or name a copy in ${CONFIG_VARIABLE}")
    return load(INSTALLED) if is_installed else parse(DEFAULTS, "defaults of the hardware tests")


def _is_running() -> bool:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return False
    asked = subprocess.run((systemctl, "is-active", "--quiet", SERVICE), capture_output=True, timeout=20)
    return asked.returncode == 0


@pytest.fixture
def pi() -> None:
    """Skips elsewhere than on a Raspberry Pi."""
    if not is_raspberry_pi():
        pytest.skip("this is no Raspberry Pi")
