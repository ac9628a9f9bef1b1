"""`room-appliance doctor`: what would keep this unit from working, and what to do about it.

Each check gives a `Finding`. Devices are opened for real: a frame is grabbed, a second recorded, a chime played, the
LEDs lit in turn, and a person at the terminal is asked to press the buttons. Beside a running unit none is opened: the
unit is asked instead, and its call goes on. The report is described in docs/doctor.md.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.doctor import access, devices, machine, network, program, running
from appliance.doctor.finding import Finding, print_each, print_json
from appliance.doctor.person import Nobody, Person, Terminal
from appliance.system_stats import disk_space, read_system_stats

__all__ = ["Finding", "examine", "run"]


def run(config_file: Path | None, state_dir: Path, *, as_json: bool = False, interaction: bool = True) -> int:
    """Print every finding; gives 1 when a check failed, else 0. Warnings fail nothing.

    Questions are asked where stdin and stdout are a terminal, unless `as_json` or not `interaction`.
    """
    person: Person = Nobody()
    if interaction and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        person = Terminal(sys.stdin, sys.stdout)
    show = print_json if as_json else print_each
    findings = show(examine(config_file, state_dir, person, show_code=not as_json))
    return int(any(finding.status == "failed" for finding in findings))


def examine(
    config_file: Path | None, state_dir: Path, person: Person | None = None, *, show_code: bool = False
) -> Iterator[Finding]:
    """Every check in turn; with a bad configuration, those that need one are made with the defaults."""
    yield program.check_python(sys.version_info[:3])
    yield from program.check_packages(importlib.metadata.version)
    yield program.check_hooks()
    yield program.check_state_dir(state_dir)
    config, finding = program.check_config(config_file)
    yield finding
    if config.web.tls == "self-signed":
        yield program.check_certificate(state_dir)
    yield program.check_claim(state_dir, show_code=show_code)
    stats = read_system_stats()
    yield machine.check_clock(time.time(), Path(__file__).stat().st_mtime, stats.clock_synchronized)
    yield from machine.check_heat_and_power(stats)
    yield machine.check_memory(stats.memory)
    yield machine.check_disk(disk_space(state_dir))
    unit = running.find(config, state_dir)
    yield program.check_port(config.web.host, config.web.port) if unit is None else running.describe(unit)
    yield from network.check(config)
    yield access.check_permissions(config)
    yield from devices.check(config, person or Nobody()) if unit is None else running.check_devices(unit, config)
