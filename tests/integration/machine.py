"""A machine of our own: a small Debian that systemd-nspawn boots, without network or devices, for `make install`.

    with booted(directory) as machine:
        machine.run("make", "-C", SOURCE, "install")
        machine.run("systemctl", "stop", "room-appliance")

The root (230 MB) and the wheels (70 MB) are made once, which takes a minute, and kept in
$XDG_CACHE_HOME/room-appliance-tests. Where a machine cannot be had the test skips and says why; missing tools fail
under CI=true.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SOURCE, WHEELS = "/src", "/wheels"  # in the machine, read-only
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}

_SUITES = {(3, 11): ("bookworm", "libasound2"), (3, 13): ("trixie", "libasound2t64")}  # whose Python runs our wheels
_PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "python3-venv", "make")
TRIMMED = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
_BUILD_S, _BOOT_S = 400, 30


class Machine:
    """Commands run as root in it; `root` is its file system as seen from here."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self.leader = leader

    def command(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.leader), "--all", "--", *command]

    def run_any(self, *command: str, text: str = "", timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*command),
            input=text,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **OFFLINE},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def run(self, *command: str, text: str = "", timeout_s: float = 60) -> str:
        done = self.run_any(*command, text=text, timeout_s=timeout_s)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@contextmanager
def booted(directory: Path) -> Iterator[Machine]:
    """A fresh machine whose root is below `directory`; powered off and gone afterwards."""
    root = fresh_root(directory)
    log = directory / "console"
    with log.open("wb") as console:
        nspawn = subprocess.Popen(
            [*_nspawn(root), "--console=pipe", "--private-network", "--boot"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
    try:
        yield _up(root, nspawn, log)
    finally:
        for leader in _children(nspawn.pid):
            os.kill(leader, signal.SIGKILL)
        nspawn.terminate()
        nspawn.wait(20)
        shutil.rmtree(root)


def in_chroot(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """One command in a machine that does not run, as when an image is made."""
    settings = [f"--setenv={name}={value}" for name, value in OFFLINE.items()]
    return subprocess.run(
        [*_nspawn(root), "--pipe", "--private-network", *settings, *command],
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def fresh_root(directory: Path) -> Path:
    """A copy of Debian, to be changed at will."""
    require_tools()
    if sys.version_info[:2] not in _SUITES:
        pytest.skip(f"no Debian has Python {sys.version_info[0]}.{sys.version_info[1]}")
    suite, _ = _SUITES[sys.version_info[:2]]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "room-appliance-tests"
    name = hashlib.sha256(" ".join((*_PACKAGES, *TRIMMED)).encode()).hexdigest()[:8]
    debian = cached(cache / f"{suite}-{name}", _build_root)
    root = directory / "root"
    subprocess.run(["cp", "--archive", "--reflink=auto", debian, root], check=True)
    return root


def wheels() -> Path:
    """Whatever `pip install .[pi]` wants, for this Python."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["alsa"],
        *project["project"]["optional-dependencies"]["display"],
        *(line for line in project["project"]["optional-dependencies"]["pi"] if not line.startswith("room-appliance")),
    ]
    name = hashlib.sha256(repr((sys.version, wanted)).encode()).hexdigest()[:8]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "room-appliance-tests"

    def build(directory: Path) -> None:
        build_or_skip(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(directory), *wanted], directory
        )

    return cached(cache / f"wheels-{name}", build)


def _build_root(directory: Path) -> None:
    suite, sound = _SUITES[sys.version_info[:2]]
    build_or_skip(
        [
            "mmdebstrap",
            "--variant=minbase",
            *(f"--dpkgopt=path-exclude={path}" for path in TRIMMED),
            f"--include={','.join((*_PACKAGES, sound))}",
            suite,
            str(directory),
        ],
        directory,
    )


def build_or_skip(command: Sequence[str], directory: Path) -> None:
    """Without the network, or Debian's archive, there is no machine: that is no fault of what is tested."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S, check=False)
        words = done.stderr[-2000:]
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        failed, words = True, f"not done within {_BUILD_S} s"
    if failed:
        shutil.rmtree(directory, ignore_errors=True)
        pytest.skip(f"{command[0]} failed: {words}")


def cached(directory: Path, build: object) -> Path:
    """Made by the first who asks; others wait for it."""
    assert callable(build)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_name(f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            half = directory.with_name(f"{directory.name}.half")
            shutil.rmtree(half, ignore_errors=True)
            build(half)
            half.rename(directory)
    return directory


def _nspawn(root: Path) -> list[str]:
    binds = [f"--bind-ro={CHECKOUT}:{SOURCE}", f"--bind-ro={wheels()}:{WHEELS}"]
    return ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={root}", *binds]


def _environment() -> dict[str, str]:
    return {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}


def _up(root: Path, nspawn: subprocess.Popen[bytes], log: Path) -> Machine:
    deadline_s = time.monotonic() + _BOOT_S
    while time.monotonic() < deadline_s and nspawn.poll() is None:
        for leader in _children(nspawn.pid):
            machine = Machine(root, leader)
            if machine.run_any("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
                return machine
        time.sleep(0.1)
    pytest.skip(f"systemd-nspawn cannot boot here: {log.read_text()[-2000:]}")


def _children(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def require_tools() -> None:
    for tool, package in (
        ("systemd-nspawn", "systemd-container"),
        ("mmdebstrap", "mmdebstrap"),
        ("nsenter", "util-linux"),
    ):
        if shutil.which(tool) is None:
            reason = f"{tool} is missing: apt-get install {package}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
    if os.geteuid() != 0:
        pytest.skip("a machine of its own needs root")
