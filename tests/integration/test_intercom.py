"""Two units as people use them: one presses the call button, the other one answers by its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.integration.browser import write_tone
from tests.integration.programs import Unit, appliance, free_port
from tests.integration.sound_and_picture import until_played
from tests.integration.test_call import token_for, unit_config

DOOR_HZ, DESK_HZ = 1000, 600
BAR = [f"quality{index}" for index in range(1, 6)]


def config(port: int, tone: Path, call: str = "", **room: str) -> str:
    more = f'[audio]\ndriver = "file"\nmicrophone_file = "{tone}"\n[video]\ndriver = "none"\n[call]\n{call}\n'
    return unit_config(port, more=more, **room).replace("[room]", "[room]\nauto_join = false")


@asynccontextmanager
async def two_units(tmp_path: Path, *, door_call: str = "", desk_call: str = "") -> AsyncIterator[tuple[Unit, Unit]]:
    """The door hosts the hub; the desk has a token for the lobby there."""
    door_port, desk_port = free_port(), free_port()
    door_config = config(
        door_port, write_tone(tmp_path / "door.wav", DOOR_HZ), 'peers = ["desk"]\n' + door_call, user="door"
    )
    async with appliance(tmp_path / "door", door_config, door_port) as door:
        token = await token_for(tmp_path / "door", door_config, "desk")
        url = f"ws://127.0.0.1:{door_port}"
        tone = write_tone(tmp_path / "desk.wav", DESK_HZ)
        desk_config = config(desk_port, tone, desk_call, user="desk", url=url, token=token)
        async with appliance(tmp_path / "desk", desk_config, desk_port) as desk:
            await reachable(desk)
            yield door, desk


async def reachable(unit: Unit) -> None:
    async def get() -> int:
        return (await unit.send("GET", "/api/calls"))[0]

    while await get() == 503:  # until the tests' own time-out
        await unit.state()


def in_phase(phase: str, bar: str) -> Any:
    return lambda state: state["call"]["phase"] == phase and {state["leds"][name] for name in BAR} == {bar}


async def test_one_rings_and_the_other_one_answers_by_button(tmp_path: Path) -> None:
    async with two_units(tmp_path, door_call='room = "porch"') as (door, desk):
        await door.click("call")
        await door.until(in_phase("ringing-out", "slow-pulse"))
        ringing = await desk.until(in_phase("ringing-in", "1hz"))
        assert ringing["call"]["peer"] == "door"
        assert ringing["connection"]["state"] == "DISCONNECTED"
        await until_played(desk, 880)  # the ring
        await until_played(door, 425)  # the ring-back tone
        await desk.click("call")
        for unit, hertz in ((door, DESK_HZ), (desk, DOOR_HZ)):
            state = await unit.until(lambda state: state["call"]["phase"] == "in-call" and state["peers"])
            assert state["room"] == "porch"  # with a token that the door's hub made for the desk
            await until_played(unit, hertz)
        await desk.post("/api/hangup")
        for unit, reason in ((door, "peer-hung-up"), (desk, "hung-up")):
            state = await unit.until(lambda state: state["connection"]["state"] == "DISCONNECTED")
            assert (state["call"]["phase"], state["call"]["reason"]) == ("idle", reason)
        assert (await desk.get("/api/calls"))["calls"] == []


async def test_missed_and_refused_over_http(tmp_path: Path) -> None:
    async with two_units(tmp_path, desk_call="do_not_disturb = true") as (door, desk):
        assert (await door.send("POST", "/api/answer"))[0] == 409
        await door.post("/api/call", {"peers": ["desk"]})
        await door.until(lambda state: state["call"]["reason"] == "do-not-disturb")
        await desk.until(lambda state: state["call"]["missed"] == 1)
        [call] = (await desk.get("/api/calls"))["calls"]
        assert (call["user_id"], call["room"]) == ("door", "lobby")
        assert await desk.send("DELETE", "/api/calls") == (200, {"calls": []})
        await desk.until(lambda state: state["call"]["missed"] == 0)
        status, _ = await desk.send("PUT", "/api/config", {"call.do_not_disturb": False, "call.auto_answer": ["door"]})
        assert status < 300
        await door.post("/api/call")
        assert (await door.send("POST", "/api/call"))[0] == 409
        await desk.until(lambda state: state["call"]["phase"] == "in-call" and state["peers"])
        await until_played(door, DESK_HZ)
