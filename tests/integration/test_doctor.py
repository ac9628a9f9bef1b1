"""`room-appliance doctor` as a program: beside a running unit, and at a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning.api_tokens import ApiTokens
from tests.hw.test_panel import PtyPanel
from tests.integration.programs import API_TOKEN, appliance, free_port
from tests.integration.test_call import unit_config

COMMAND = (sys.executable, "-m", "appliance", "doctor")
NO_DEVICES = '[audio]\ndriver = "none"\n[video]\ndriver = "none"\n'


async def report(config: Path, state_dir: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Check -> finding."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--json", "--config", str(config)),
        env=os.environ | {"STATE_DIRECTORY": str(state_dir)} | environment,
        stdout=subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    return {finding["check"]: finding for finding in json.loads(out)["findings"]}


@pytest.mark.parametrize("environment", [{}, {"ROOM_APPLIANCE_API_TOKEN": API_TOKEN}])
async def test_beside_a_running_unit_no_device_is_touched(tmp_path: Path, environment: dict[str, str]) -> None:
    port, state_dir = free_port(), tmp_path / "unit"
    more = '[audio]\ndriver = "mock"\n[video]\ndriver = "v4l2"\ndevice = "/dev/video-that-is-not"\n'
    async with appliance(state_dir, unit_config(port, more=more), port) as unit:
        await unit.until(lambda state: state["connection"]["state"] == "CONNECTED" and state["device"]["microphone"])
        before = await unit.state()
        found = await report(state_dir / "config.toml", state_dir, environment)
        after = await unit.state()
        assert before["connection"] == after["connection"], "the call went on"
        await unit.stop()
    assert (found["web"]["status"], found["web"]["facts"]) == ("ok", {"url": f"http://127.0.0.1:{port}"})
    assert found["microphone"]["message"] == "the running unit uses it, and it delivers"
    assert found["camera"]["status"] == "failed"
    assert "journalctl" in found["camera"]["remedy"]
    assert found["speaker"]["status"] == "skipped"
    assert ApiTokens(state_dir).stored() == [], "the token of this question is gone"


async def test_a_stranger_to_the_unit_learns_that_it_runs_and_opens_nothing(tmp_path: Path) -> None:
    port, state_dir = free_port(), tmp_path / "unit"
    async with appliance(state_dir, unit_config(port, more=NO_DEVICES), port) as unit:
        found = await report(state_dir / "config.toml", tmp_path / "another", {"ROOM_APPLIANCE_API_TOKEN": "wrong"})
        await unit.stop()
    assert found["web"]["status"] == "ok"
    for name in ("camera", "microphone", "speaker", "front panel", "display"):
        assert (found[name]["status"], found[name]["message"]) == (
            "skipped",
            "in use by the running unit; not touched",
        )


def test_a_person_at_a_terminal(tmp_path: Path) -> None:
    """Looks at the LEDs of a serial panel, presses its buttons."""
    far = PtyPanel(tmp_path / "panel")
    far.plug_in()
    config = tmp_path / "unit.toml"
    config.write_text(f'{NO_DEVICES}[panel]\nport = "{far.link}"\n[web]\nhost = "127.0.0.1"\nport = 0\n')
    master, slave = pty.openpty()
    process = subprocess.Popen(
        (*COMMAND, "--config", str(config)),
        env=os.environ | {"STATE_DIRECTORY": str(tmp_path / "state")},
        stdin=slave,
        stdout=slave,
    )
    os.close(slave)
    screen = _Screen(master)
    try:
        screen.until("Did each LED that the panel has light up? [Y/n]")
        os.write(master, b"\n")
        for number, name in ((1, "mute"), (2, "call")):
            screen.until(f"Press the {name} button")
            far.button(number, True)
            far.button(number, False)
            screen.until(f"button {name}: pressed for")
        assert process.wait(10) == 0, screen.text
        assert "front panel: each LED was lit" in screen.text
    finally:
        process.kill()
        process.wait()
        os.close(master)
        far.unplug()


class _Screen:
    def __init__(self, master: int) -> None:
        self.text = ""
        self._master = master

    def until(self, words: str, timeout_s: float = 30.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while words not in self.text:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline_s - time.monotonic()))
            assert ready, f"never said {words!r}: {self.text}"
            self.text += os.read(self._master, 4096).decode()
