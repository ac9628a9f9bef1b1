"""The whole unit on sound cards: what is said to its microphone is heard in a browser, and the other way round."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.browser import chromium, hears, join, until, write_tone
from tests.integration.programs import STEP_TIMEOUT_S, Unit, appliance, free_port
from tests.integration.test_call import token_for, unit_config
from tests.pulse import SoundCards, loudest_hz, pulseaudio

pytestmark = pytest.mark.alone

UNIT_HZ, BROWSER_HZ = 1000, 600


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCards]:
    with pulseaudio(tmp_path) as cards:
        for name, value in cards.environment.items():
            monkeypatch.setenv(name, value)
        yield cards


def config_for(port: int, device: str) -> str:
    return unit_config(port, more=f'[audio]\ndriver = "alsa"\ndevice = "{device}"\n[video]\ndriver = "none"\n')


async def until_played(cards: SoundCards, frequency_hz: float) -> None:
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    with cards.recorder() as record:
        while (heard_hz := loudest_hz(await asyncio.to_thread(record, 0.3))) is None or abs(
            heard_hz - frequency_hz
        ) > 20:
            assert time.monotonic() < deadline_s, f"{frequency_hz} Hz never played; {heard_hz} is"


@contextlib.asynccontextmanager
async def events_of(unit: Unit) -> AsyncIterator[Any]:
    """A function that gives the data of the next event of a name."""
    async with unit.http.get(f"{unit.url}/api/events") as stream:

        async def following(name: str) -> dict[str, Any]:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                while True:
                    if (await stream.content.readline()).decode().strip() == f"event: {name}":
                        line = (await stream.content.readline()).decode()
                        data: dict[str, Any] = json.loads(line.removeprefix("data:"))
                        return data

        yield following


@pytest.mark.chromium
async def test_a_call_through_sound_cards(tmp_path: Path, cards: SoundCards) -> None:
    port, state_dir = free_port(), tmp_path / "unit"
    config = config_for(port, "card")
    tone = write_tone(tmp_path / "browser.wav", BROWSER_HZ)
    async with appliance(state_dir, config, port) as unit, chromium(audio=tone) as browser:
        await unit.connected()
        page = await join(browser, unit.room_url(token=await token_for(state_dir, config, "anna")), name="Anna")
        with cards.humming(UNIT_HZ):
            await until(page, hears("unit", UNIT_HZ))
        await until_played(cards, BROWSER_HZ)
        async with events_of(unit) as following:
            await asyncio.to_thread(cards.microphone.unplug)
            gone = await following("recording-device-changed")
            assert (gone["state"], gone["device_id"]) == ("REMOVE", "card")
            assert "Input/output error" in gone["message"]
            assert await following("audio-track-ended") == {"device_id": "card", "stream": "main"}
            await until_played(cards, BROWSER_HZ)  # the call goes on with what is left
            await asyncio.to_thread(cards.microphone.plug)
            assert (await following("recording-device-changed"))["state"] == "ADD"
        with cards.humming(UNIT_HZ):
            await until(page, hears("unit", UNIT_HZ))
        devices = {device["kind"]: device for device in (await unit.get("/api/diagnostics"))["devices"]}
        assert (devices["microphone"]["openings"] > 1, devices["microphone"]["losses"]) == (True, 1)
        for kind in ("microphone", "speaker"):
            assert devices[kind]["works"]
            assert 0 < devices[kind]["period_frames"] <= 960
            assert devices[kind]["buffer_frames"] >= 1920
            assert devices[kind]["xruns"] >= 0
            assert 0 < devices[kind]["latency_ms"] < 100
        await unit.stop()


async def test_without_a_card_the_unit_joins_and_says_so(tmp_path: Path, cards: SoundCards) -> None:
    port = free_port()
    async with appliance(tmp_path / "unit", config_for(port, "absent"), port) as unit:
        await unit.connected()
        state = await unit.until(lambda state: state["leds"]["mute"] == "slow-pulse")
        assert not state["device"]["microphone"]
        assert state["health"]["session"] == "degraded: no audio"
        log = unit.log.read_text()
        assert "microphone absent: No such file or directory" in log
        assert "speaker absent: No such file or directory" in log
        async with events_of(unit) as following:
            await unit.post("/api/resume", {"kind": "speaker"})
            error = await following("stream-error")
        assert (error["stream"], error["kind"], error["code"]) == ("playout", "speaker", "playback-not-allowed")
        assert "No such file or directory" in error["message"]
        await unit.stop()
