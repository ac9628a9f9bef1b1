"""Browsers and hubs for the tests of pages; a module has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from appliance.hub.settings import HubSettings
from tests.integration import browser
from tests.integration.room_page import ANNA_CODE, ANNA_HZ, BORIS_CODE, BORIS_HZ, Served, code_clip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """With the devices that Chromium makes up."""
    async with browser.chromium() as process:
        yield process


@asynccontextmanager
async def somebody(folder: Path, tone_hz: float, code: int) -> AsyncIterator[Browser]:
    """Whose microphone hears this tone, and whose camera sees this code."""
    tone, clip = browser.write_tone(folder / "tone.wav", tone_hz), code_clip(folder / "clip.y4m", code)
    async with browser.chromium(audio=tone, video=clip) as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anna(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with somebody(tmp_path_factory.mktemp("anna"), ANNA_HZ, ANNA_CODE) as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def boris(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with somebody(tmp_path_factory.mktemp("boris"), BORIS_HZ, BORIS_CODE) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module")
async def served() -> AsyncIterator[Served]:
    served = Served(HubSettings(demo_tokens=True))
    await served.start()
    yield served
    await served.stop()
