"""The machine below the program: clock, heat, power, memory, disk. Pure: judges what `system_stats` read."""

from __future__ import annotations

import time
from collections.abc import Iterator

from appliance.doctor.finding import Fact, Finding
from appliance.system_stats import Bytes, SystemStats

HOT_C = 75.0
TOO_HOT_C = 80.0  # where a Pi begins to slow down
LOW_MEMORY = 64 * 2**20
LOW_DISK = 200 * 2**20
NO_DISK = 10 * 2**20  # not enough for a new configuration and the log of a day
_DAY_S = 86_400


def check_clock(now_s: float, installed_s: float, synchronized: bool | None) -> Finding:
    """A clock before this program's own files is wrong: room tokens and certificates fail with it."""
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now_s))
    facts: dict[str, Fact] = {"synchronized": synchronized, "time_s": round(now_s)}
    if now_s < installed_s - _DAY_S:
        return Finding("clock", "failed", f"{now} is in the past", "connect to the network, or set it: date -s", facts)
    if synchronized is False:
        remedy = "timedatectl timesync-status, or chronyc tracking, says why; is UDP port 123 open to the network?"
        return Finding("clock", "warning", f"{now}, not yet set from the network", remedy, facts)
    known = "set from the network" if synchronized else "this machine does not say whether it was set"
    return Finding("clock", "ok", f"{now}, {known}", facts=facts)


def check_heat_and_power(stats: SystemStats) -> Iterator[Finding]:
    """What a machine does not tell gives no finding."""
    if stats.temperature_c is not None:
        yield check_temperature(stats.temperature_c)
    if stats.throttled is not None:
        yield check_throttling(stats.throttled)


def check_temperature(temperature_c: float) -> Finding:
    facts: dict[str, Fact] = {"temperature_c": round(temperature_c, 1)}
    words = f"{temperature_c:.0f} °C"
    if temperature_c >= TOO_HOT_C:
        remedy = "let air to it, or give it a heat sink or a fan: it slows down, and pictures and sound stutter"
        return Finding("temperature", "failed", f"{words} is too hot", remedy, facts)
    if temperature_c >= HOT_C:
        return Finding("temperature", "warning", f"{words} is hot", "let air to it before the summer comes", facts)
    return Finding("temperature", "ok", words, facts=facts)


def check_throttling(flags: dict[str, bool]) -> Finding:
    """`flags` by the names of `system_stats.THROTTLED_BITS`."""
    up = [name for name, is_set in flags.items() if is_set]
    words = ", ".join(name.replace("_", " ") for name in up)
    supply = "use the power supply and cable made for this Pi: the voltage is too low"
    cool = "cool it: heat sink, fan, air"
    remedy = supply if any("voltage" in name for name in up) else cool
    if any(not name.startswith("was_") for name in up):
        return Finding("throttling", "failed", f"now: {words}", remedy, dict(flags))
    if up:
        return Finding("throttling", "warning", f"since the start: {words}", remedy, dict(flags))
    return Finding("throttling", "ok", "none", facts=dict(flags))


def check_memory(memory: Bytes | None) -> Finding:
    if memory is None:
        return Finding("memory", "skipped", "this machine does not say")
    facts: dict[str, Fact] = {"available_bytes": memory.available, "total_bytes": memory.total}
    words = f"{memory.available >> 20} MB of {memory.total >> 20} MB available"
    if memory.available < LOW_MEMORY:
        return Finding("memory", "warning", words, "end other programs, or take a Pi with more memory", facts)
    return Finding("memory", "ok", words, facts=facts)


def check_disk(disk: Bytes | None) -> Finding:
    """Of the state directory."""
    if disk is None:
        return Finding("disk", "skipped", "there is no state directory to look at")
    facts: dict[str, Fact] = {"available_bytes": disk.available, "total_bytes": disk.total}
    words = f"{disk.available >> 20} MB of {disk.total >> 20} MB free"
    remedy = "delete what is not needed; journalctl --vacuum-size=50M makes the log smaller"
    if disk.available < NO_DISK:
        return Finding("disk", "failed", words, remedy, facts)
    if disk.available < LOW_DISK:
        return Finding("disk", "warning", words, remedy, facts)
    return Finding("disk", "ok", words, facts=facts)
