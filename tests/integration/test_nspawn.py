"""`make install` for real, and the service that it makes: in a Debian booted by systemd-nspawn, without devices."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.machine import SOURCE, Machine, booted, fresh_root, in_chroot

SERVICE = "room-appliance.service"
STATE = "/var/lib/room-appliance"
PYTHON = "/opt/room-appliance/venv/bin/python"
DROP_IN = f"/run/systemd/system/{SERVICE}.d/test.conf"
INSTALL_S = 200
STEP_S = 20
STOP_S = 3.0

pytestmark = pytest.mark.timeout(600)  # the first one may have to make Debian and the wheels


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("machine")) as machine:
        machine.run("make", "-C", SOURCE, "install", timeout_s=INSTALL_S)
        yield machine


@pytest.fixture
def unit(machine: Machine) -> Iterator[Machine]:
    """The service as it was installed, running."""
    machine.run("systemctl", "restart", SERVICE)
    yield machine
    if (machine.root / DROP_IN.lstrip("/")).exists():
        (machine.root / DROP_IN.lstrip("/")).unlink()
        machine.run("systemctl", "daemon-reload")
    machine.write(f"{STATE}/config.toml", "")


def shown(machine: Machine, name: str) -> str:
    return machine.run("systemctl", "show", "--value", f"--property={name}", SERVICE).strip()


def main_pid(machine: Machine) -> str:
    return shown(machine, "MainPID")


def until(condition: Callable[[], Any], what: str, timeout_s: float = STEP_S) -> float:
    """Seconds until it was so."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < timeout_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - start_s


def drop_in(machine: Machine, text: str) -> None:
    """More settings of the service, until the end of the test."""
    machine.run("mkdir", "-p", str(Path(DROP_IN).parent))
    machine.run("tee", DROP_IN, text=text)
    machine.run("systemctl", "daemon-reload")


def entries(machine: Machine, *matches: str) -> list[dict[str, str]]:
    machine.run("journalctl", "--sync")
    invocation = shown(machine, "InvocationID")
    said = machine.run("journalctl", "--output=json", f"_SYSTEMD_INVOCATION_ID={invocation}", *matches)
    return [json.loads(line) for line in said.splitlines()]


def state(machine: Machine) -> dict[str, Any]:
    """Of the API, over TLS, with a token that the installed command made."""
    token = machine.run("room-appliance", "api-token", "--label", "test").strip()
    body = (
        "import ssl, sys, urllib.request as r; c = ssl.create_default_context(); c.check_hostname = False; "
        "c.verify_mode = ssl.CERT_NONE; "
        "q = r.Request('https://127.0.0.1:8080/api/state', headers={'Authorization': 'Bearer ' + sys.stdin.read()}); "
        "print(r.urlopen(q, context=c).read().decode())"
    )
    answer: dict[str, Any] = json.loads(machine.run("python3", "-c", body, text=token))
    return answer


def test_it_is_ready_as_its_own_user_in_a_room_without_camera_sound_panel_or_network(unit: Machine) -> None:
    assert shown(unit, "ActiveState") == "active"  # Type=notify: it said READY=1
    assert shown(unit, "StatusText") == "https://127.0.0.1:8080"
    status = unit.run("cat", f"/proc/{main_pid(unit)}/status")
    user = unit.run("id", "-u", "room-appliance").strip()
    assert re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE)[1] == user  # type: ignore[index]
    until(lambda: state(unit)["connection"]["state"] == "CONNECTED", "in its room")
    now = state(unit)
    assert now["device"]["name"]
    assert unit.run("ls", "/sys/class/net").split() == ["lo"]
    assert unit.run("systemctl", "is-enabled", SERVICE).strip() == "enabled"


def test_lgpio_and_whatever_else_writes_beside_itself_has_a_place(unit: Machine) -> None:
    process = main_pid(unit)
    environment = unit.run("cat", f"/proc/{process}/environ").split("\0")
    assert "LG_WD=/run/room-appliance" in environment
    assert {"LISTEN_FDS=1", "LISTEN_FDNAMES=portal"} <= set(environment)  # port 80 of the set-up network
    assert unit.run("readlink", f"/proc/{process}/cwd").strip() == "/run/room-appliance"
    assert unit.run("stat", "--format=%U", "/run/room-appliance").strip() == "room-appliance"


def test_root_reads_the_label_of_the_unit_itself(unit: Machine) -> None:
    said = unit.run("room-appliance", "claim-code")
    secrets = json.loads(unit.run("cat", f"{STATE}/claim.json"))
    assert secrets["code"].lower() in re.sub(r"\W", "", said).lower()
    assert not (unit.root / "root/.local/state/room-appliance").exists()


def test_logs_are_in_the_journal_with_priorities_and_fields(unit: Machine) -> None:
    until(lambda: entries(unit, "LOGGER=appliance.room.connection", "ROOM=lobby"), "the room's entries")
    entry = entries(unit, "LOGGER=appliance.room.connection", "ROOM=lobby")[0]
    assert entry["PRIORITY"] == "6"
    assert entry["SYSLOG_IDENTIFIER"] == "room-appliance"
    assert entry["_SYSTEMD_UNIT"] == SERVICE
    assert entry["CODE_FILE"].endswith("/appliance/room/connection.py")
    assert int(entry["CODE_LINE"]) > 0
    assert entry["CODE_FUNC"]
    assert "CONNECT" in entry["MESSAGE"]
    warnings = entries(unit, "PRIORITY=4")
    assert any("microphone" in entry["MESSAGE"] or "camera" in entry["MESSAGE"] for entry in warnings)
    assert not entries(unit, "PRIORITY=3")


PROBE = """
import ctypes, json, os, socket
def tried(what):
    try:
        what()
    except OSError as exc:
        return os.strerror(exc.errno)
    return "done"
def write(path):
    with open(path, "w") as file:
        file.write("x")
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)
found = {path: tried(lambda: write(path)) for path in (
    "/etc/x", "/usr/x", "/opt/room-appliance/x", "/var/lib/x", "/var/x", "/home/x", "/root/x",
    "/proc/sys/kernel/domainname", os.environ["STATE_DIRECTORY"] + "/x", "/run/room-appliance/x", "/tmp/x")}
found["kmsg"] = tried(lambda: open("/dev/kmsg-of-the-test", "rb"))
found["null"] = tried(lambda: open("/dev/null", "rb"))
found["raw socket"] = tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
found["packet socket"] = tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
found["port 80"] = tried(lambda: socket.create_server(("127.0.0.1", 80)))
found["netlink"] = tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
found["namespace"] = tried(lambda: call("unshare", 0x10000000))
found["mount"] = tried(lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
found["setuid"] = tried(lambda: os.setuid(0))
found["clock"] = tried(lambda: __import__("time").clock_settime(0, 0))
found["others"] = [name for name in os.listdir("/proc") if name == "1"]
found["mode"] = oct(os.stat(os.environ["STATE_DIRECTORY"] + "/x").st_mode & 0o777)
with open(os.environ["STATE_DIRECTORY"] + "/probe.json", "w") as file:
    json.dump(found, file)
"""


def test_the_sandbox_holds(unit: Machine) -> None:
    """Tried from inside: a program in the service's place."""
    unit.write("/usr/local/lib/probe.py", PROBE)
    unit.run("mknod", "--mode=0666", "/dev/kmsg-of-the-test", "c", "1", "11")
    drop_in(unit, "[Service]\nExecStartPre=python3 /usr/local/lib/probe.py\n")
    unit.run("systemctl", "restart", SERVICE)
    found = json.loads(unit.run("cat", f"{STATE}/probe.json"))
    read_only, denied, hidden = "Read-only file system", "Operation not permitted", "Permission denied"
    assert {path: found[path] for path in ("/etc/x", "/usr/x", "/opt/room-appliance/x", "/var/lib/x", "/var/x")} == (
        dict.fromkeys(("/etc/x", "/usr/x", "/opt/room-appliance/x", "/var/lib/x", "/var/x"), read_only)
    )
    for path in ("/home/x", "/root/x", "/proc/sys/kernel/domainname"):
        assert found[path] in (hidden, read_only), path
    for path in (f"{STATE}/x", "/run/room-appliance/x", "/tmp/x", "null", "netlink"):
        assert found[path] == "done", path
    for what in ("raw socket", "namespace", "mount", "setuid", "clock"):
        assert found[what] == denied, what
    assert found["port 80"] == hidden
    assert found["packet socket"] == "Address family not supported by protocol"
    assert found["others"] == []
    assert found["mode"] == "0o600"
    assert not (unit.root / "tmp" / "x").exists()
    assert shown(unit, "DevicePolicy") == "closed"
    assert found["kmsg"] == denied


def test_a_crash_is_followed_by_a_start_at_once_however_often(unit: Machine) -> None:
    for _ in range(6):  # the default limit is 5 starts in 10 s
        process = main_pid(unit)
        unit.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", SERVICE)
        until(lambda before=("0", process): main_pid(unit) not in before, "another process", 5)  # type: ignore[misc]
    until(lambda: shown(unit, "ActiveState") == "active", "active again")
    assert int(shown(unit, "NRestarts")) == 6


def test_a_process_that_hangs_is_replaced_by_the_watchdog(unit: Machine) -> None:
    drop_in(unit, "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    unit.run("systemctl", "restart", SERVICE)
    process = main_pid(unit)
    time.sleep(3)  # longer than the watchdog's period: it is fed
    assert main_pid(unit) == process
    unit.run("systemctl", "kill", "--signal=STOP", "--kill-whom=main", SERVICE)
    until(lambda: main_pid(unit) not in ("0", process), "another process", 10)
    until(lambda: shown(unit, "ActiveState") == "active", "active again")
    assert "watchdog" in unit.run("journalctl", f"--unit={SERVICE}", "--lines=200").lower()


PEER = """
import asyncio, sys
from appliance.room import RoomClient
from appliance.room.options import RoomOptions
from appliance.tls import pinned

async def main():
    token, fingerprint = sys.argv[1:]
    client = RoomClient("wss://127.0.0.1:8080", options=RoomOptions(ssl=pinned(fingerprint)))
    left = asyncio.Event()
    def gone(event):
        print("left", event.user_id, int(event.reason), flush=True)
        left.set()
    client.on("peer-left", gone)
    client.on("connection-state-changed", lambda event: print("state", event.cur_state, flush=True))
    await client.join("lobby", "anna", token)
    print("in", *client.peers, flush=True)
    await asyncio.wait_for(left.wait(), 20)

asyncio.run(main())
"""


def test_stopped_it_leaves_the_room_in_order_within_3_s(unit: Machine) -> None:
    unit.write(f"{STATE}/config.toml", '[device]\nname = "Front door"\n')
    unit.run("systemctl", "restart", SERVICE)
    token = unit.run("room-appliance", "token", "--room", "lobby", "--user", "anna").splitlines()[0]
    until(lambda: state(unit)["connection"]["state"] == "CONNECTED", "in its room")
    (said,) = [entry for entry in entries(unit) if "SHA-256" in str(entry["MESSAGE"])]
    fingerprint = said["MESSAGE"].split()[-1]
    unit.write("/root/peer.py", PEER)
    peer = subprocess.Popen(
        unit.command(PYTHON, "/root/peer.py", token, fingerprint), stdout=subprocess.PIPE, text=True, cwd="/"
    )
    assert peer.stdout is not None
    try:
        for line in peer.stdout:
            if line.startswith("in"):
                break
        assert line == "in front-door\n"
        start_s = time.monotonic()
        unit.run("systemctl", "stop", SERVICE)
        assert time.monotonic() - start_s < STOP_S
        assert "left front-door 0\n" in peer.stdout.readlines()
    finally:
        peer.kill()
        peer.wait()
        peer.stdout.close()
    assert shown(unit, "Result") == "success"
    assert shown(unit, "ActiveState") == "inactive"
    assert shown(unit, "ExecMainStatus") == "0"


NOTHING_THERE = """
[room]
url = "wss://192.0.2.7:8080"
token = "not-one"
[video]
driver = "v4l2"
device = "/dev/video9"
[audio]
device = "hw:CARD=Nobody"
[panel]
port = "/dev/ttyACM9"
"""


def test_devices_and_a_hub_that_are_configured_and_absent(unit: Machine) -> None:
    unit.write(f"{STATE}/config.toml", NOTHING_THERE)
    unit.run("systemctl", "restart", SERVICE)
    time.sleep(1)  # nothing of it is reason to end
    assert shown(unit, "ActiveState") == "active"
    assert shown(unit, "NRestarts") == "0"
    now = state(unit)
    assert now["connection"]["state"] != "CONNECTED"
    start_s = time.monotonic()
    unit.run("systemctl", "stop", SERVICE)  # in the middle of joining
    assert time.monotonic() - start_s < STOP_S
    assert shown(unit, "Result") == "success"


def test_installed_again_it_keeps_its_memory(unit: Machine) -> None:
    unit.write(f"{STATE}/config.toml", '[device]\nname = "Kept"\n')
    secret = unit.run("cat", f"{STATE}/token-secret")
    process = main_pid(unit)
    unit.run("make", "-C", SOURCE, "install", timeout_s=INSTALL_S)
    assert main_pid(unit) not in ("0", process)
    assert state(unit)["device"]["name"] == "Kept"
    assert unit.run("cat", f"{STATE}/token-secret") == secret
    assert unit.run("stat", "--format=%U %a", f"{STATE}/config.toml").strip() == "room-appliance 600"


def test_nothing_of_the_program_belongs_to_the_unit(machine: Machine) -> None:
    assert (
        machine.run(
            "find", "/opt/room-appliance", "(", "!", "-user", "root", "-o", "-perm", "/022", ")", "!", "-type", "l"
        )
        == ""
    )


def test_uninstalled_only_its_memory_stays(machine: Machine) -> None:
    machine.run("make", "-C", SOURCE, "uninstall")
    left = machine.run(
        "find", "/etc", "/opt", "/usr/local", "-xdev", "-name", "*room-appliance*", "!", "-lname", "/dev/null"
    )
    assert left == ""
    assert machine.run("ls", STATE)
    assert machine.run_any("systemctl", "status", SERVICE).returncode == 4  # no such unit
    machine.run("make", "-C", SOURCE, "install", timeout_s=INSTALL_S)
    assert shown(machine, "ActiveState") == "active"
    machine.run("env", "PURGE=1", "make", "-C", SOURCE, "uninstall")
    assert not (machine.root / STATE.lstrip("/")).exists()
    assert machine.run_any("id", "room-appliance").returncode != 0


def test_into_an_image_that_does_not_run(tmp_path: Path) -> None:
    root = fresh_root(tmp_path)
    done = in_chroot(root, "make", "-C", SOURCE, "install")
    assert done.returncode == 0, done.stdout + done.stderr
    wants = root / "etc/systemd/system/multi-user.target.wants" / SERVICE
    assert wants.is_symlink()
    assert (root / "var/lib/room-appliance/config.toml").exists()
