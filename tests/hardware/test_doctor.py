"""The doctor on the machine itself: what it finds is what is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.config import Config
from appliance.doctor import devices
from appliance.doctor.person import Nobody, Terminal
from appliance.system_stats import read_system_stats
from tests.hardware.conftest import Person

pytestmark = pytest.mark.hardware

BOARD_DEVICES = (Path("/dev/snd"), Path("/dev/gpiochip0"), Path("/dev/video0"))


@pytest.mark.timeout(180)
def test_every_device_is_fine(config: Config, person: Person) -> None:
    """With a person: the chime is heard, the LEDs are seen, the buttons pressed."""
    if not config.panel.port and not any(path.exists() for path in BOARD_DEVICES):
        pytest.skip(f"no device to examine: none of {', '.join(map(str, BOARD_DEVICES))} is there")
    try:
        with open("/dev/tty") as keyboard:
            found = list(devices.check(config, Terminal(keyboard, sys.stdout)))
    except OSError:
        found = list(devices.check(config, Nobody()))
    for finding in found:
        person.told(
            f"{finding.status:<7} {finding.check}: {finding.message} {finding.remedy and '-> ' + finding.remedy}"
        )
    assert [finding for finding in found if finding.status == "failed"] == []


@pytest.mark.usefixtures("pi")
def test_the_machine_tells_its_temperature_and_throttling(person: Person) -> None:
    stats = read_system_stats()
    assert stats.model is not None
    assert stats.temperature_c is not None
    assert 5 < stats.temperature_c < 95
    assert stats.throttled is not None, "neither the firmware's flags nor the voltage alarm can be read"
    assert stats.battery is None
    person.told(
        f"{stats.model}: {stats.temperature_c:.0f} °C, flags {[name for name, up in stats.throttled.items() if up]}"
    )


@pytest.mark.usefixtures("pi", "config")
@pytest.mark.timeout(120)
def test_report_for_machines() -> None:
    done = subprocess.run((sys.executable, "-m", "appliance", "doctor", "--json"), capture_output=True, timeout=100)
    report = json.loads(done.stdout)
    assert (report["status"] == "failed") is (done.returncode == 1)
    assert {"temperature", "throttling", "permissions"} <= {finding["check"] for finding in report["findings"]}
