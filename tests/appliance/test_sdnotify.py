from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.sdnotify import Notifier, feed_watchdog


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
