from __future__ import annotations

import pytest

from appliance.doctor import machine
from appliance.system_stats import THROTTLED_BITS, Bytes

YEAR_S = 365 * 86_400.0
MB = 2**20


@pytest.mark.parametrize(
    ("now_s", "synchronized", "status"),
    [(0.0, True, "failed"), (0.0, None, "failed"), (50 * YEAR_S, False, "warning"), (50 * YEAR_S, True, "ok")],
)
def test_clock(now_s: float, synchronized: bool | None, status: str) -> None:
    assert machine.check_clock(now_s, 49 * YEAR_S, synchronized).status == status


def test_clock_of_a_machine_that_does_not_say() -> None:
    assert machine.check_clock(50 * YEAR_S, 49 * YEAR_S, None).status == "ok"


@pytest.mark.parametrize(("temperature_c", "status"), [(48.3, "ok"), (76.0, "warning"), (81.0, "failed")])
def test_temperature(temperature_c: float, status: str) -> None:
    finding = machine.check_temperature(temperature_c)
    assert finding.status == status
    assert bool(finding.remedy) is (status != "ok")


@pytest.mark.parametrize(
    ("up", "status", "remedy"),
    [
        ((), "ok", ""),
        (("was_under_voltage",), "warning", "power supply"),
        (("was_throttled", "was_soft_temperature_limit"), "warning", "cool"),
        (("under_voltage", "was_under_voltage"), "failed", "power supply"),
        (("throttled",), "failed", "cool"),
    ],
)
def test_throttling(up: tuple[str, ...], status: str, remedy: str) -> None:
    finding = machine.check_throttling({name: name in up for name in THROTTLED_BITS})
    assert finding.status == status
    assert remedy in finding.remedy


def test_memory_and_disk() -> None:
    def both(available: int) -> tuple[str, str]:
        space = Bytes(total=1000 * MB, available=available)
        return machine.check_memory(space).status, machine.check_disk(space).status

    assert both(500 * MB) == ("ok", "ok")
    assert both(50 * MB) == ("warning", "warning")
    assert both(1 * MB) == ("warning", "failed")
    assert machine.check_disk(None).status == "skipped"
    assert machine.check_memory(None).status == "skipped"
