"""Two appliances whose network is taken away, damaged and changed under their call: real programs, real interfaces."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.integration.browser import write_tone
from tests.integration.netns import Namespace, cable
from tests.integration.programs import Unit, appliance
from tests.integration.sound_and_picture import until_played
from tests.integration.test_call import token_for

PORT = 8080  # of each: it has a network of its own
ONE_HZ, TWO_HZ = 800, 1200

FOUND_S = 6.0
LINK_S = 2.0  # from the link's return to the room: the kernel tells, so no pause between attempts is waited out
HEARD_S = 4.0  # to sound
MOVED_S = 5.0  # from another address to sound: the one before must stay away for a second to be gone
SLACK_S = 2.0  # two loaded cores


def config(user: str, tone: Path, *, url: str = "hub:", token: str = "", more: str = "") -> str:
    return f"""
[room]
url = "{url}"
user = "{user}"
token = "{token}"
[web]
port = {PORT}
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
async def call(tmp_path: Path) -> AsyncIterator[tuple[Unit, Unit, Namespace, Namespace]]:
    """`one` with the hub and `two`, who hear each other over the cable."""
    tones = [write_tone(tmp_path / f"{hz}.wav", hz) for hz in (ONE_HZ, TWO_HZ)]
    async with cable() as (left, right):
        first = config("one", tones[0])
        async with appliance(tmp_path / "one", first, PORT, where=left) as one:
            await one.connected()
            token = await token_for(tmp_path / "one", first, "two")
            second = config(
                "two", tones[1], url=f"ws://{left.address}:{PORT}", token=token, more="[hub]\nenabled = false\n"
            )
            async with appliance(tmp_path / "two", second, PORT, where=right) as two:
                await two.connected()
                await both_hear(one, two)
                await two.until(lambda state: state["network_quality"]["downlink"] in (1, 2))
                yield one, two, left, right


async def both_hear(one: Unit, two: Unit) -> None:
    await asyncio.gather(until_played(one, TWO_HZ), until_played(two, ONE_HZ))


async def within(seconds: float, unit: Unit, condition: Callable[[dict[str, Any]], bool]) -> float:
    """Seconds until the state was so."""
    start_s = time.monotonic()
    await unit.until(condition, seconds + SLACK_S)
    return time.monotonic() - start_s


async def logged(seconds: float, unit: Unit, pattern: str) -> None:
    """Returns when its log matches, also what has passed too soon to be seen in its state."""
    deadline_s = time.monotonic() + seconds + SLACK_S
    while not re.search(pattern, unit.log.read_text()):
        assert time.monotonic() < deadline_s, f"not logged: {pattern}\n{unit.log.read_text()[-4000:]}"
        await asyncio.sleep(0.05)


def is_in(state: str, led: str) -> Callable[[dict[str, Any]], bool]:
    return lambda now: now["connection"]["state"] == state and now["leds"]["connection"] == led


async def test_a_cable_pulled_and_put_back(tmp_path: Path) -> None:
    async with call(tmp_path) as (one, two, _, right):
        right.unplug()
        await within(FOUND_S, two, is_in("RECONNECTING", "4hz"))
        down = lambda now: now["network_quality"]["downlink"] == 6 and now["leds"]["quality1"] == "all-flash"  # noqa: E731
        await asyncio.gather(within(FOUND_S, one, down), within(FOUND_S, two, down))
        assert (await one.state())["connection"]["state"] == "CONNECTED"  # with its own hub
        right.plug_in()
        returned_s = time.monotonic()
        await within(LINK_S, two, is_in("CONNECTED", "on"))
        await both_hear(one, two)
        assert time.monotonic() - returned_s < HEARD_S + SLACK_S
        await two.until(lambda now: now["network_quality"]["downlink"] in range(1, 6))
        assert [peer["user_id"] for peer in (await one.state())["peers"]] == ["two"]
        assert "DISCONNECTED (" not in two.log.read_text()  # the same stay in the room


async def test_losses_are_shown_and_survived_and_so_is_another_address(tmp_path: Path) -> None:
    async with call(tmp_path) as (one, two, left, right):
        for end in (left, right):
            end.lose(0.2)
        bad = lambda now: now["network_quality"]["downlink"] >= 4 and now["leds"]["quality5"] == "off"  # noqa: E731
        await asyncio.gather(within(8, one, bad), within(8, two, bad))
        await both_hear(one, two)
        for end in (left, right):
            end.lose(0)
        for unit in (one, two):
            assert (await unit.state())["connection"]["state"] == "CONNECTED"
            assert "RECONNECTING" not in unit.log.read_text()
            assert "is lost" not in unit.log.read_text()  # nor a leg

        right.move_to("10.77.0.77")
        moved_s = time.monotonic()
        await logged(LINK_S, two, r"the address 10\.77\.0\.2 is gone(.|\n)*RECONNECTED -> CONNECTED")
        await both_hear(one, two)
        assert time.monotonic() - moved_s < MOVED_S + SLACK_S


async def test_after_a_long_outage_nothing_waits_for_a_timer(tmp_path: Path) -> None:
    """As long as it takes until the next attempt is many seconds away; from the start, which saves a minute."""
    tones = [write_tone(tmp_path / f"{hz}.wav", hz) for hz in (ONE_HZ, TWO_HZ)]
    async with cable() as (left, right):
        first = config("one", tones[0])
        async with appliance(tmp_path / "one", first, PORT, where=left) as one:
            await one.connected()
            token = await token_for(tmp_path / "one", first, "two")
            right.unplug()
            second = config(
                "two", tones[1], url=f"ws://{left.address}:{PORT}", token=token, more="[hub]\nenabled = false\n"
            )
            async with appliance(tmp_path / "two", second, PORT, where=right) as two:
                await logged(20, two, r"back into room lobby in ([89]|1\d) s")
                right.plug_in()
                returned_s = time.monotonic()
                await within(LINK_S, two, is_in("CONNECTED", "on"))
                await both_hear(one, two)
                assert time.monotonic() - returned_s < HEARD_S + SLACK_S
