"""Which device files this user, or the service's, may not open and which group would cure it; who else has them."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.config import Config
from appliance.doctor.finding import Fact, Finding
from hw.gpio import is_raspberry_pi

SERVICE_USER = "room-appliance"


@dataclass(frozen=True, slots=True)
class User:
    """`groups` of the process or the account; `granted`: all that the group database gives this name."""

    name: str
    uid: int
    groups: frozenset[int]
    granted: frozenset[int]


def nodes(config: Config, kind: str, root: Path = Path("/")) -> list[Path]:
    """The device files below `root` that the configured "camera", "sound", "panel" or "improv" needs, if there."""
    video, audio, gpio, port = config.video, config.audio, config.gpio, config.panel.port
    patterns: tuple[str, ...] = ()
    if kind == "camera" and video.driver not in ("mock", "file", "none"):
        patterns = ("dev/video*",) if video.driver == "v4l2" else ("dev/video*", "dev/media*", "dev/dma_heap/*")
        patterns = (video.device,) if video.device.startswith("/") else patterns
    elif kind == "sound" and audio.driver in ("alsa", "auto"):
        patterns = ("dev/snd/*",)
    elif kind == "improv":
        patterns = (config.wifi.improv_port,) if config.wifi.improv_port else ()
    elif kind == "panel" and port:
        patterns = (port,)
    elif kind == "panel" and (gpio.driver == "gpiozero" or (gpio.driver == "auto" and is_raspberry_pi())):
        patterns = ("dev/gpiochip*",)
    found = [path for pattern in patterns for path in root.glob(pattern.lstrip("/"))]
    return sorted(path for path in found if not path.is_dir())


def check_permissions(config: Config, root: Path = Path("/")) -> Finding:
    """Root asks for the service's user, who is to open them, where there is one."""
    user = _user()
    may_open = _as_service(user) if user.uid != os.geteuid() else _as_this_process
    wanted = [path for kind in ("camera", "sound", "panel", "improv") for path in nodes(config, kind, root)]
    return judge([(path, path.stat()) for path in wanted], user, may_open)


def judge(wanted: Iterable[tuple[Path, os.stat_result]], user: User, may_open: Callable[[Path], bool]) -> Finding:
    """Names every file that cannot be opened, and the groups that may."""
    wanted = list(wanted)
    shut = [(path, status) for path, status in wanted if not may_open(path)]
    if not wanted:
        return Finding("permissions", "ok", "no device file is needed, or none is there")
    if not shut:
        return Finding("permissions", "ok", f"{user.name} may open {len(wanted)} device files")
    gids = {status.st_gid for _, status in shut}
    names = sorted(_group(gid) for gid in gids)
    files = [str(path) for path, _ in shut]
    message = f"{user.name} may not open {', '.join(files)}"
    facts: dict[str, Fact] = {"files": files, "groups": names, "user": user.name}
    if 0 in gids or any(stat.S_IMODE(status.st_mode) & 0o060 != 0o060 for _, status in shut):
        return Finding("permissions", "failed", message, "install the udev rules: sudo make install", facts)
    if gids <= user.granted:
        remedy = f"the groups are given ({', '.join(names)}) and not yet taken up: log in again, or restart the unit"
    else:
        remedy = f"sudo usermod -aG {','.join(names)} {user.name}, then log in again"
    return Finding("permissions", "failed", message, remedy, facts)


def holders(files: Iterable[Path], proc: Path = Path("/proc")) -> list[str]:
    """Other programs that have one of `files` open, as "name (pid 12)"; only root sees those of other users."""
    wanted = {os.path.realpath(file) for file in files}
    own = str(os.getpid())
    found = {
        f"{_name_of(process)} (pid {process.name})"
        for process in proc.glob("[0-9]*")
        if process.name != own and wanted.intersection(_open_files(process))
    }
    return sorted(found)


def _open_files(process: Path) -> Iterator[str]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # another user's, or gone
        return
    for descriptor in descriptors:
        try:
            yield str(descriptor.readlink())
        except OSError:
            continue


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a program"


def _user() -> User:
    uid = os.geteuid()
    if uid == 0:
        try:
            entry = pwd.getpwnam(SERVICE_USER)
            groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
            return User(entry.pw_name, entry.pw_uid, groups, groups)
        except KeyError:
            pass
    try:
        entry = pwd.getpwuid(uid)
        granted = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    except KeyError:
        return User(str(uid), uid, frozenset(os.getgroups()), frozenset())
    return User(entry.pw_name, uid, frozenset((*os.getgroups(), os.getegid())), granted)


def _as_this_process(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _as_service(user: User) -> Callable[[Path], bool]:
    """By the mode bits: a service has no seat, so no access list names it."""

    def may_open(path: Path) -> bool:
        status = path.stat()
        mode = stat.S_IMODE(status.st_mode)
        shift = 6 if status.st_uid == user.uid else 3 if status.st_gid in user.groups else 0
        return mode >> shift & 0o6 == 0o6

    return may_open


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
