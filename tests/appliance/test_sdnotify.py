from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.sdnotify import Notifier, feed_watchdog, passed_sockets


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """systemd's end, and its address as it stands in $NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@room-appliance-{os.getpid()}-{id(request)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("\0" + name[1:] if name.startswith("@") else name)
        end.settimeout(5)
        yield end, name


def test_messages(manager: tuple[socket.socket, str]) -> None:
    end, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready("joined lobby\nwith 2 others")
    notifier.status("on air")
    notifier.watchdog()
    notifier.stopping()
    notifier.close()
    assert [end.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=joined lobby with 2 others",
        b"STATUS=on air",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_without_a_service_manager_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.ready()
    notifier.close()
    assert notifier.watchdog_s is None


def test_manager_that_went_away_is_logged_and_not_raised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.watchdog()
    notifier.close()
    assert "sd_notify WATCHDOG=1" in caplog.text


def test_manager_that_does_not_read_blocks_nobody(manager: tuple[socket.socket, str]) -> None:
    end, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    for _ in range(5000):  # far beyond the socket's queue: a blocking one would stand here for ever
        notifier.watchdog()
    notifier.close()
    assert end.recv(4096) == b"WATCHDOG=1"


def test_unknown_kind_of_address_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": "vsock:2:1234"})
    notifier.ready()
    notifier.close()
    assert "neither a path nor an abstract socket" in caplog.text


@pytest.mark.parametrize(
    ("environ", "period_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_watchdog_period(environ: dict[str, str], period_s: float | None, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "x"), **environ})
    assert notifier.watchdog_s == period_s
    notifier.close()


async def test_watchdog_is_fed_while_healthy_only(
    manager: tuple[socket.socket, str], caplog: pytest.LogCaptureFixture
) -> None:
    end, address = manager
    end.setblocking(False)
    loop = asyncio.get_running_loop()
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
    healthy, asked = True, asyncio.Event()

    def is_healthy() -> bool:
        asked.set()
        return healthy

    feeder = asyncio.create_task(feed_watchdog(notifier, is_healthy), name="watchdog")
    async with asyncio.timeout(5):
        for _ in range(3):
            assert await loop.sock_recv(end, 4096) == b"WATCHDOG=1"
        healthy = False
        for _ in range(3):
            asked.clear()
            await asked.wait()
        while True:  # what was sent before
            try:
                end.recv(4096)
            except BlockingIOError:
                break
        for _ in range(3):
            asked.clear()
            await asked.wait()
        with pytest.raises(BlockingIOError):
            end.recv(4096)
        assert caplog.text.count("the watchdog is not fed") == 1
        healthy = True
        assert await loop.sock_recv(end, 4096) == b"WATCHDOG=1"
    feeder.cancel()
    await asyncio.wait({feeder})
    notifier.close()


async def test_without_a_watchdog_the_feeder_only_waits() -> None:
    feeder = asyncio.create_task(feed_watchdog(Notifier({}), lambda: True), name="watchdog")
    done, _ = await asyncio.wait({feeder}, timeout=0.05)
    assert not done
    feeder.cancel()
    await asyncio.wait({feeder})


def test_sockets_that_systemd_passes() -> None:
    body = """
import os, sys
for place, given in enumerate(sys.argv[1:], 3):
    os.dup2(int(given), place)
from appliance.sdnotify import passed_sockets
os.environ["LISTEN_PID"] = str(os.getpid())
for name, end in passed_sockets().items():
    print(name, end.getsockname()[1], os.get_inheritable(end.fileno()))
    """
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        descriptors = tuple(fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (one, two))
        said = subprocess.run(
            [sys.executable, "-c", body, *map(str, descriptors)],
            env={"LISTEN_FDS": "2", "LISTEN_FDNAMES": "portal:other"},
            pass_fds=descriptors,
            capture_output=True,
            text=True,
            check=True,
        )
        for descriptor in descriptors:
            os.close(descriptor)
        ports = [end.getsockname()[1] for end in (one, two)]
    assert said.stdout == f"portal {ports[0]} False\nother {ports[1]} False\n"


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "one", "LISTEN_PID": "two"}]
)
def test_no_sockets_are_passed(environ: dict[str, str]) -> None:
    assert passed_sockets(environ) == {}
