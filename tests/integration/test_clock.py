"""The clock steps by a year, as when NTP comes to a unit without a clock chip: whole programs under libfaketime."""

from __future__ import annotations

import asyncio
import os
import sysconfig
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.browser import write_tone
from tests.integration.programs import Unit, appliance, free_port
from tests.integration.sound_and_picture import until_played

DAY_S = 86_400
YEAR_S = 365 * DAY_S
FIRST_HZ, SECOND_HZ = 800, 1200
WATCHED_S = 8.0  # longer than whatever finds a loss


class Clock:
    """Of one program; `step` moves it while the program runs."""

    def __init__(self, directory: Path, offset_s: int) -> None:
        library = Path(f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/faketime/libfaketimeMT.so.1")
        library = next(
            (file for file in (library, *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")) if file.exists()),
            library,
        )
        if not library.exists():
            reason = "libfaketime is missing: apt-get install libfaketime"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / "clock"
        self.environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }
        self.step(offset_s)

    def step(self, offset_s: int) -> None:
        """`offset_s` from the true time from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(self._file)


def config(port: int, user: str, tone: Path, *, url: str = "hub:", token: str = "", more: str = "") -> str:
    return f"""
[room]
url = "{url}"
user = "{user}"
token = "{token}"
[network]
ice_addresses = ["127.0.0.1"]
[web]
host = "127.0.0.1"
port = {port}
tls = "off"
[gpio]
driver = "mock"
[audio]
driver = "file"
microphone_file = "{tone}"
[video]
driver = "mock"
width = 320
height = 180
fps = 10
{more}
"""


@asynccontextmanager
async def call(tmp_path: Path, offset_s: int) -> AsyncIterator[tuple[Unit, Unit, list[Clock]]]:
    """`one` with the hub and `two`, who hear each other, both on clocks that are `offset_s` off."""
    tones = [write_tone(tmp_path / f"{hz}.wav", hz) for hz in (FIRST_HZ, SECOND_HZ)]
    clocks = [Clock(tmp_path / name, offset_s) for name in ("one", "two")]
    ports = [free_port() for _ in range(2)]
    first = config(ports[0], "one", tones[0])
    async with appliance(tmp_path / "one", first, ports[0], environ=clocks[0].environ) as one:
        await one.connected()
        url, token = await invited(one)
        assert url.startswith(one.url)
        second = config(
            ports[1], "two", tones[1], url=f"ws://127.0.0.1:{ports[0]}", token=token, more="[hub]\nenabled = false\n"
        )
        async with appliance(tmp_path / "two", second, ports[1], environ=clocks[1].environ) as two:
            await two.connected()
            await both_hear(one, two)
            yield one, two, clocks


async def invited(unit: Unit) -> tuple[str, str]:
    """The address and the token of a link into the unit's room, as its page gives it."""
    link = (await unit.post("/api/invitation"))["url"]
    url, _, token = link.partition("#token=")
    return url, token


async def both_hear(one: Unit, two: Unit) -> None:
    await asyncio.gather(until_played(one, SECOND_HZ), until_played(two, FIRST_HZ))


async def until_year(unit: Unit, offset_s: int) -> None:
    """Its own clock says so."""
    async with asyncio.timeout(5):
        while True:
            said = await unit.http.get(f"{unit.url}/healthz")
            there = datetime.strptime(said.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
            if abs(there.timestamp() - time.time() - offset_s) < DAY_S:
                return
            await asyncio.sleep(0.1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("before_s", [-YEAR_S, YEAR_S], ids=["forward", "backward"])
async def test_a_call_goes_on_when_the_clock_steps_by_a_year(tmp_path: Path, before_s: int) -> None:
    async with call(tmp_path, before_s) as (one, two, clocks):
        for clock in clocks:
            clock.step(0)
        stepped_s = time.monotonic()
        await asyncio.gather(until_year(one, 0), until_year(two, 0))
        while time.monotonic() - stepped_s < WATCHED_S:
            for unit in (one, two):
                now = await unit.state()
                assert now["connection"]["state"] == "CONNECTED"
                assert all(health.startswith("ok") for health in now["health"].values() if isinstance(health, str)), now
            await asyncio.sleep(0.5)
        await both_hear(one, two)
        for unit in (one, two):
            log = unit.log.read_text()
            assert "RECONNECTING" not in log
            assert "is lost" not in log
            assert "Traceback" not in log
            since = datetime.fromisoformat((await unit.state())["connection"]["since"])
            assert abs(since.timestamp() - time.time()) < 120  # on the clock of today

        await two.post("/api/leave")  # and in again, with the token from before the step
        await two.until(lambda now: now["connection"]["state"] == "DISCONNECTED")
        await two.post("/api/join")
        await two.connected()
        await one.post("/api/leave")  # with a token of its own
        await one.until(lambda now: now["connection"]["state"] == "DISCONNECTED")
        await one.post("/api/join")
        await one.connected()
        await both_hear(one, two)
