"""The installed systemd service on the Pi: ready, watched, restarted, stopped. As root; leaves it as it found it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hardware.conftest import SERVICE, Person

pytestmark = pytest.mark.hardware

UNIT_FILE = Path("/etc/systemd/system") / f"{SERVICE}.service"
READY_S = 60.0
AGAIN_S = 15.0  # RestartSec=1, and the program loads
STOP_S = 3.0


def systemctl(*arguments: str, timeout_s: float = 90.0) -> str:
    command = ("systemctl", "--no-pager", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout_s).stdout.strip()


def shown(name: str) -> str:
    return systemctl("show", "--value", "--property", name, SERVICE)


def until(condition: Callable[[], bool], what: str, timeout_s: float) -> float:
    """Seconds until it was so."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < timeout_s, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.1)
    return time.monotonic() - start_s


@pytest.fixture
def service() -> Iterator[None]:
    """It is stopped at first."""
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
        pytest.skip("this machine is not run by systemd")
    if not UNIT_FILE.exists():
        pytest.skip(f"{UNIT_FILE} is not there: sudo make install")
    if os.geteuid() != 0:
        pytest.skip("only root may start and stop the service: sudo make test-hardware")
    was_active = shown("ActiveState") == "active"
    systemctl("stop", SERVICE)
    try:
        yield
    finally:
        systemctl("start" if was_active else "stop", SERVICE)


@pytest.mark.usefixtures("service")
@pytest.mark.timeout(240)
def test_it_starts_is_watched_comes_back_and_stops(person: Person) -> None:
    start_s = time.monotonic()
    systemctl("start", SERVICE, timeout_s=READY_S)  # Type=notify: returns once it is ready
    person.told(f"the service is ready {time.monotonic() - start_s:.1f} s after its start")
    assert shown("ActiveState") == "active"
    assert shown("WatchdogUSec") == "30s"
    assert until(lambda: shown("WatchdogTimestampMonotonic") != "0", "a sign to the watchdog", 20.0) < 20.0
    assert Path("/run/room-appliance").is_dir()

    restarts, pid = int(shown("NRestarts")), int(shown("MainPID"))
    os.kill(pid, signal.SIGKILL)
    took_s = until(
        lambda: int(shown("NRestarts")) > restarts and shown("ActiveState") == "active", "back after a kill", AGAIN_S
    )
    person.told(f"killed, it was ready again after {took_s:.1f} s")
    assert int(shown("MainPID")) not in (0, pid)

    start_s = time.monotonic()
    systemctl("stop", SERVICE)
    took_s = time.monotonic() - start_s
    person.told(f"stopped in {took_s:.1f} s")
    assert took_s < STOP_S
    assert shown("Result") == "success"


@pytest.mark.usefixtures("service")
@pytest.mark.timeout(240)
def test_its_log_is_in_the_journal_and_its_devices_are_open_to_it(person: Person) -> None:
    systemctl("start", SERVICE, timeout_s=READY_S)
    pid = shown("MainPID")
    user = Path(f"/proc/{pid}").owner()
    assert user == "room-appliance"
    log = subprocess.run(
        ("journalctl", "--no-pager", "-o", "cat", f"_PID={pid}"), capture_output=True, text=True, check=True, timeout=20
    ).stdout
    assert log, "nothing in the journal"
    assert "Operation not permitted" not in log, "the unit's hardening shuts a device out: DeviceAllow="
    person.told("the front panel's connection LED blinks, then is lit; the mute LED shows the gate")
    if person.is_there:
        assert person.says_yes("Does the panel, if there is one, show it?")
