"""The program itself: its packages, its files, its port."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from appliance.config import Config, load
from appliance.config_files import ConfigFiles
from appliance.doctor.finding import Fact, Finding
from appliance.errors import ConfigError, HookError
from provisioning.claim import FILE_NAME as CLAIM_FILE
from provisioning.claim import ClaimSecrets
from provisioning.password import FILE_NAME as OWNER_FILE
from provisioning.password import OwnerPassword, PasswordError

PINNED = {"aiortc": "1.16.", "aioice": "0.13.", "pylibsrtp": "1.0."}  # as in pyproject.toml, which says why


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
    return Finding("state directory", "ok", str(path), facts={"path": str(path)})


def check_config(file: Path | None) -> tuple[Config, Finding]:
    if file is None:
        return Config(), Finding("configuration", "ok", "none given: every key has its default")
    files = ConfigFiles(file)
    try:
        config = load(file)
    except ConfigError as exc:
        remedy = "correct these lines"
        if files.read_good() is not None:
            remedy += f"; without that the unit takes {files.good_file.name}, the last that worked"
        return Config(), Finding("configuration", "failed", str(exc), remedy)
    if (notice := files.read_memory().notice) is not None:
        words = f"{file}: settings were taken back ({', '.join(notice.keys) or 'all'}): {notice.reason}"
        return config, Finding("configuration", "warning", words, f"look into {files.rejected_file.name} beside it")
    return config, Finding("configuration", "ok", str(file))


def check_certificate(state_dir: Path) -> Finding:
    from appliance import tls

    if not (state_dir / tls.FILE_NAME).exists():
        return Finding("certificate", "ok", "none yet: the first start makes one")
    found = tls.fingerprint(state_dir)
    if found:
        return Finding("certificate", "ok", f"SHA-256 {found}", facts={"fingerprint": found})
    remedy = "delete it and a new one is made, or run this as the user of the unit"
    return Finding("certificate", "failed", f"{state_dir / tls.FILE_NAME} cannot be read", remedy)


def check_claim(state_dir: Path, *, show_code: bool) -> Finding:
    """Whether the unit has an owner; who reads it on the unit itself sees the code, a report does not carry it."""
    known: ClaimSecrets | None = None
    try:
        if OwnerPassword(state_dir / OWNER_FILE).is_set:
            return Finding("claim", "ok", "the unit has an owner", facts={"claimed": True})
        known = msgspec.json.decode((state_dir / CLAIM_FILE).read_bytes(), type=ClaimSecrets)
    except FileNotFoundError:
        pass
    except (PasswordError, OSError, msgspec.DecodeError) as exc:
        return Finding("claim", "failed", f"{state_dir}: {exc}", "run this as the user of the unit")
    facts: dict[str, Fact] = {"claimed": False}
    if known is None:
        return Finding("claim", "ok", "no owner yet; the first start makes the claim code", facts=facts)
    code = f"; its claim code is {known.shown}" if show_code else ""
    return Finding("claim", "ok", f"no owner yet{code}", facts=facts)


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
