from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import ClientDestroyedError
from appliance.room import RoomClient
from appliance.system_stats import THROTTLED_BITS, Battery, Bytes, Cpu, read_system_stats

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
PI = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/type": "somewhere else\n",
    "sys/class/thermal/thermal_zone1/temp": "71000\n",
    FIRMWARE: "50005\n",
    "proc/stat": "cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 50 0 25 400 25 0 0 0 0 0\ncpu1 50 0 25 400 25 0 0 0\nintr 1\n",
    "proc/loadavg": "0.42 0.30 0.25 1/234 5678\n",
    "proc/meminfo": "MemTotal:        3884288 kB\nMemFree:          100000 kB\nMemAvailable:    2000000 kB\n",
    "proc/uptime": "12345.67 40000.00\n",
    "run/systemd/timesync/synchronized": "",
}


def root_with(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


def test_a_pi(tmp_path: Path) -> None:
    stats = read_system_stats(root_with(tmp_path, PI))
    assert stats.model == "Raspberry Pi 4 Model B Rev 1.5"
    assert stats.temperature_c == 48.312
    assert stats.throttled is not None
    assert {name for name, is_set in stats.throttled.items() if is_set} == {
        *("under_voltage", "throttled", "was_under_voltage", "was_throttled")
    }
    assert stats.cpu == Cpu(cores=2, load=(0.42, 0.30, 0.25), busy_ticks=150, total_ticks=1000)
    assert stats.memory == Bytes(total=3_884_288 * 1024, available=2_000_000 * 1024)
    assert stats.disk is not None
    assert 0 < stats.disk.available < stats.disk.total
    assert stats.uptime_s == 12345.67
    assert stats.clock_synchronized is True
    assert stats.battery is None  # X35: a Pi has none
    assert msgspec.json.decode(msgspec.json.encode(stats), type=type(stats)) == stats


@pytest.mark.row("U65")
async def test_a_room_client_tells_it_in_a_room_and_out_of_one(tmp_path: Path) -> None:
    root = root_with(tmp_path, PI)
    client = RoomClient("ws://127.0.0.1:9/hub/ws")
    stats = await client.get_system_stats(root)
    assert (stats.temperature_c, stats.battery) == (48.312, None)
    assert stats.throttled is not None
    assert stats.throttled["under_voltage"]
    root_with(root, {"sys/class/power_supply/BAT0/type": "Battery\n", "sys/class/power_supply/BAT0/capacity": "80\n"})
    assert (await client.get_system_stats(root)).battery == Battery(percent=80, charging=False)
    assert (await client.get_system_stats()).memory is not None, "this machine"
    await client.destroy()
    with pytest.raises(ClientDestroyedError):
        await client.get_system_stats()


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    stats = read_system_stats(tmp_path)
    assert [name for name in stats.__struct_fields__ if getattr(stats, name) is not None] == ["disk"]


def test_battery(tmp_path: Path) -> None:
    files = {"sys/class/power_supply/AC/type": "Mains\n", "sys/class/power_supply/BAT0/type": "Battery\n"}
    root_with(tmp_path, files | {"sys/class/power_supply/BAT0/capacity": "83\n"})
    root_with(tmp_path, {"sys/class/power_supply/BAT0/status": "Discharging\n"})
    assert read_system_stats(tmp_path).battery == Battery(percent=83, charging=False)


def test_hottest_zone_where_none_is_the_processors(tmp_path: Path) -> None:
    files = {f"sys/class/thermal/thermal_zone{number}/temp": f"{number}0000" for number in (3, 5, 4)}
    assert read_system_stats(root_with(tmp_path, files)).temperature_c == 50.0


def test_a_pi_whose_kernel_knows_the_voltage_alone(tmp_path: Path) -> None:
    files = {"sys/class/hwmon/hwmon0/name": "cpu_thermal", "sys/class/hwmon/hwmon1/name": "rpi_volt"}
    root_with(tmp_path, files | {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"})
    assert read_system_stats(tmp_path).throttled == {"under_voltage": True}


def test_busy_percent_between_two_readings(tmp_path: Path) -> None:
    earlier = read_system_stats(root_with(tmp_path, PI)).cpu
    later = read_system_stats(root_with(tmp_path, {"proc/stat": "cpu 130 0 60 860 50 0 0 0 0 0\ncpu0 1\n"})).cpu
    assert earlier is not None
    assert later is not None
    assert later.percent_since(earlier) == 40.0
    assert later.percent_since(later) is None


@pytest.mark.parametrize("name", sorted(PI))
@given(text=st.text(max_size=60))
def test_files_with_anything_in_them(tmp_path_factory: pytest.TempPathFactory, name: str, text: str) -> None:
    root = root_with(tmp_path_factory.mktemp("root"), PI)
    (root / name).write_text(text, errors="replace")
    stats = read_system_stats(root)
    assert stats.throttled is None or set(stats.throttled) == set(THROTTLED_BITS)


def test_this_machine() -> None:
    stats = read_system_stats()
    assert stats.cpu is not None
    assert stats.memory is not None
    assert stats.uptime_s is not None
    assert stats.clock_synchronized in (True, False, None)
