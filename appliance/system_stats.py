"""Facts about the machine, out of /proc and /sys: temperature, throttling, load, memory, disk, clock (row U65, X35).

What a machine does not tell is None: a Pi has no battery, a PC has no throttling flags. Needs no rights, runs no
program, and works inside the service's sandbox.
"""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import msgspec

# Bits of the Pi firmware's GET_THROTTLED; "was" since the machine started (raspberrypi.com, vcgencmd get_throttled).
THROTTLED_BITS = {
    "under_voltage": 0,
    "frequency_capped": 1,
    "throttled": 2,
    "soft_temperature_limit": 3,
    "was_under_voltage": 16,
    "was_frequency_capped": 17,
    "was_throttled": 18,
    "was_soft_temperature_limit": 19,
}
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
_TIMEX_BYTES = 256  # more than struct timex of any Linux (208)


class Battery(msgspec.Struct, frozen=True, kw_only=True):
    percent: int
    charging: bool


class Cpu(msgspec.Struct, frozen=True, kw_only=True):
    """`load` over 1, 5 and 15 minutes; the ticks are since the start of the machine, of all cores together."""

    cores: int
    load: tuple[float, float, float]
    busy_ticks: int
    total_ticks: int

    def percent_since(self, earlier: Cpu) -> float | None:
        """Busy 0..100 of all cores between two readings; None when no time lies between them."""
        total = self.total_ticks - earlier.total_ticks
        return round(100 * (self.busy_ticks - earlier.busy_ticks) / total, 1) if total > 0 else None


class Bytes(msgspec.Struct, frozen=True, kw_only=True):
    """Of memory or of a disk. `available`: what programs may still take."""

    total: int
    available: int


class SystemStats(msgspec.Struct, frozen=True, kw_only=True):
    """One reading. `throttled`: the flags of `THROTTLED_BITS` that the machine tells, None where it tells none."""

    model: str | None
    temperature_c: float | None
    throttled: dict[str, bool] | None
    cpu: Cpu | None
    memory: Bytes | None
    disk: Bytes | None
    uptime_s: float | None
    clock_synchronized: bool | None
    battery: Battery | None


def read_system_stats(root: Path = Path("/")) -> SystemStats:
    """Reads files below `root` (another one in tests): call it in a thread."""
    return SystemStats(
        model=_model(root),
        temperature_c=_temperature_c(root),
        throttled=_throttled(root),
        cpu=_cpu(root),
        memory=_memory(root),
        disk=disk_space(root),
        uptime_s=_uptime_s(root),
        clock_synchronized=_clock_synchronized(root),
        battery=_battery(root),
    )


def disk_space(path: Path) -> Bytes | None:
    """Of the file system that holds `path`."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return Bytes(total=usage.total, available=usage.free)


def _model(root: Path) -> str | None:
    text = _text(root / "proc/device-tree/model")
    return text.rstrip("\0") if text else None


def _temperature_c(root: Path) -> float | None:
    """The processor's sensor, else the hottest."""
    zones: dict[str, float] = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        thousandths = _number(zone / "temp")
        if thousandths is not None:
            zones[_text(zone / "type") or zone.name] = thousandths / 1000
    for name in ("cpu-thermal", "x86_pkg_temp"):
        if name in zones:
            return zones[name]
    return max(zones.values(), default=None)


def _throttled(root: Path) -> dict[str, bool] | None:
    for file in sorted(root.glob("sys/devices/platform/soc*/*firmware/get_throttled")):
        try:
            word = int(_text(file) or "", 16)
        except ValueError:
            continue
        return {name: bool(word >> bit & 1) for name, bit in THROTTLED_BITS.items()}
    for monitor in sorted(root.glob("sys/class/hwmon/hwmon*")):  # newer kernels tell this much and no more
        alarm = _number(monitor / "in0_lcrit_alarm")
        if _text(monitor / "name") == "rpi_volt" and alarm is not None:
            return {"under_voltage": bool(alarm)}
    return None


def _cpu(root: Path) -> Cpu | None:
    try:
        lines = (root / "proc/stat").read_text().splitlines()
        ticks = [int(word) for word in lines[0].split()[1:9]]  # user nice system idle iowait irq softirq steal
        one, five, fifteen = (float(word) for word in (root / "proc/loadavg").read_text().split()[:3])
        return Cpu(
            cores=sum(line.startswith("cpu") for line in lines) - 1,
            load=(one, five, fifteen),
            busy_ticks=sum(ticks) - ticks[3] - ticks[4],
            total_ticks=sum(ticks),
        )
    except (OSError, ValueError, IndexError):
        return None


def _memory(root: Path) -> Bytes | None:
    found: dict[str, int] = {}
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if name in ("MemTotal", "MemAvailable") and words and words[0].isdecimal():
            found[name] = int(words[0]) * 1024
    return Bytes(total=found["MemTotal"], available=found["MemAvailable"]) if len(found) == 2 else None


def _uptime_s(root: Path) -> float | None:
    try:
        return float((_text(root / "proc/uptime") or "").split()[0])
    except (ValueError, IndexError):
        return None


def _clock_synchronized(root: Path) -> bool | None:
    """Whether something has set the clock from the network: systemd-timesyncd's word, else the kernel's."""
    timesync = root / "run/systemd/timesync"
    try:
        if timesync.is_dir():
            return (timesync / "synchronized").exists()
    except OSError:
        pass
    return _kernel_clock_synchronized() if root == Path("/") else None


def _kernel_clock_synchronized() -> bool | None:
    """The kernel knows of whichever program disciplines the clock (chrony, ntpd); None where it may not be asked."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only read
    try:
        state = int(ctypes.CDLL(None).adjtimex(buffer))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR  # -1: a unit with ProtectClock=yes may not ask


def _battery(root: Path) -> Battery | None:
    for supply in sorted(root.glob("sys/class/power_supply/*")):
        percent = _number(supply / "capacity")
        if _text(supply / "type") == "Battery" and percent is not None:
            return Battery(percent=max(0, min(100, percent)), charging=_text(supply / "status") in ("Charging", "Full"))
    return None


def _number(file: Path) -> int | None:
    try:
        return int(_text(file) or "")
    except ValueError:
        return None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:  # a sensor that is asleep, or a directory that may not be read
        return None
