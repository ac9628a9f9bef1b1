"""`room-appliance doctor`: what would keep this unit from working, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from appliance.config import Config, load
from appliance.errors import ConfigError, HookError

if TYPE_CHECKING:
    from appliance.drivers import PanelDevices

PINNED = {"aiortc": "1.16.", "aioice": "0.13."}  # as in pyproject.toml: aiortc_hooks touches private names of both
TIMESYNC = Path("/run/systemd/timesync")  # systemd-timesyncd's; holds "synchronized" once the clock was set


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw; `remedy` says what to do about anything that is not ok."""

    check: str
    status: Literal["ok", "warning", "failed"]
    message: str
    remedy: str = ""


def run(config_file: Path | None, state_dir: Path, *, as_json: bool = False) -> int:
    """Print every finding; gives 1 when a check failed, else 0. Warnings fail nothing."""
    findings = list(examine(config_file, state_dir))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.status:<7}  {finding.check}: {finding.message}")
            if finding.remedy:
                print(f"{'':<7}  -> {finding.remedy}")
    return int(any(finding.status == "failed" for finding in findings))


def examine(config_file: Path | None, state_dir: Path) -> Iterator[Finding]:
    """Every check in turn; with a bad configuration, those that need one are made with the defaults."""
    yield check_python(sys.version_info[:3])
    yield from check_packages(importlib.metadata.version)
    yield check_hooks()
    yield check_clock(time.time(), Path(__file__).stat().st_mtime, TIMESYNC)
    yield check_state_dir(state_dir)
    config, finding = check_config(config_file)
    yield finding
    if config.web.tls == "self-signed":
        yield check_certificate(state_dir)
    yield check_port(config.web.host, config.web.port)
    yield from check_devices(config)


def check_python(version: tuple[int, int, int]) -> Finding:
    text = ".".join(map(str, version))
    if (3, 11) <= version[:2] <= (3, 13):
        return Finding("python", "ok", text)
    return Finding("python", "failed", text, "use Python 3.11, 3.12 or 3.13")


def check_packages(version_of: Callable[[str], str]) -> Iterator[Finding]:
    for name, prefix in PINNED.items():
        try:
            version = version_of(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "failed", "not installed", "install room-appliance anew: pip install -e .")
            continue
        if version.startswith(prefix):
            yield Finding(name, "ok", version)
        else:
            yield Finding(name, "failed", f"{version} is not {prefix}x", f"pip install '{name}=={prefix}*'")


def check_hooks() -> Finding:
    from appliance.media import aiortc_hooks

    try:
        aiortc_hooks.install(loopback=True)
        asyncio.run(aiortc_hooks.self_test())
    except HookError as exc:
        return Finding("aiortc hooks", "failed", str(exc), "install the versions that pyproject.toml names")
    return Finding("aiortc hooks", "ok", "each works")


def check_clock(now_s: float, installed_s: float, timesync: Path) -> Finding:
    """A clock before this program's own files is wrong: room tokens and certificates fail with it."""
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now_s))
    if now_s < installed_s - 86_400:
        return Finding("clock", "failed", f"{now} is in the past", "connect to the network, or set it: date -s")
    if timesync.is_dir() and not (timesync / "synchronized").exists():
        return Finding(
            "clock", "warning", f"{now}, not yet set from the network", "timedatectl timesync-status says why"
        )
    return Finding("clock", "ok", now)


def check_state_dir(path: Path) -> Finding:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".doctor.") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        remedy = "make it writable for this user, or name another one in $STATE_DIRECTORY"
        return Finding("state directory", "failed", f"{path}: {exc.strerror}", remedy)
    return Finding("state directory", "ok", str(path))


def check_config(file: Path | None) -> tuple[Config, Finding]:
    if file is None:
        return Config(), Finding("configuration", "ok", "none given: every key has its default")
    try:
        return load(file), Finding("configuration", "ok", str(file))
    except ConfigError as exc:
        return Config(), Finding("configuration", "failed", str(exc), "correct these lines")


def check_certificate(state_dir: Path) -> Finding:
    from appliance import tls

    if not (state_dir / tls.FILE_NAME).exists():
        return Finding("certificate", "ok", "none yet: the first start makes one")
    found = tls.fingerprint(state_dir)
    if found:
        return Finding("certificate", "ok", f"SHA-256 {found}")
    remedy = "delete it and a new one is made, or run this as the user of the unit"
    return Finding("certificate", "failed", f"{state_dir / tls.FILE_NAME} cannot be read", remedy)


def check_devices(config: Config) -> Iterator[Finding]:
    """Opens each device until it delivers."""
    from appliance.drivers import hardware
    from appliance.probe import probe

    try:
        devices = hardware(config)
    except ConfigError as exc:
        yield Finding("devices", "failed", str(exc), "change this key in the configuration")
        return
    if devices.panel is not None:
        yield check_panel(devices.panel)
    for kind, device_id, error in probe(devices.drivers):
        if error is None:
            yield Finding(kind, "ok", f"{device_id} delivers")
        else:
            section = "video" if kind == "camera" else "audio"
            remedy = f'mend it, or change [{section}] driver and device; driver "none" does without'
            yield Finding(kind, "failed", str(error), remedy)


def check_panel(panel: PanelDevices) -> Finding:
    """Walks its LEDs, for somebody who looks."""
    from appliance.probe import walk_panel

    trouble = walk_panel(panel)
    if trouble:
        remedy = 'mend it, or change [gpio] or [panel] port; [gpio] driver "none" does without'
        return Finding("front panel", "failed", trouble, remedy)
    if held := panel.held():
        remedy = "let go of it; a button closes its pin to ground"
        return Finding("front panel", "warning", f"button down: {', '.join(held)}", remedy)
    return Finding("front panel", "ok", "each LED was lit, no button is down")


def check_port(host: str, port: int) -> Finding:
    where = f"{host} port {port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(address)
            probe.listen(1)
    except OSError as exc:
        remedy = "stop the program that listens there, perhaps this one, or choose another [web] host and port"
        return Finding("web", "failed", f"{where}: {exc.strerror}", remedy)
    return Finding("web", "ok", f"{where} is free")
