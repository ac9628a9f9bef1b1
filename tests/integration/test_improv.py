"""The unit set up through a cable by the browser's Improv client, as it is published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from provisioning.improv import Command, PacketType, State
from provisioning.improv_serial import ImprovSerial
from tests.integration.browser import chromium, open_page, problems
from tests.integration.improv_browser import improv_page, require_client
from tests.integration.programs import appliance, free_port
from tests.integration.test_call import unit_config
from tests.provisioning.improv_unit import Cable, MockUnit

STEP_TIMEOUT_MS = 15_000
PAGE = "https://198.51.100.23:8080/setup#code=4F7-K2M-9XB"


async def connect(page: Page, password: str) -> None:
    """The dialog has chosen the strongest network by itself."""
    await page.get_by_label("Password").fill(password)
    await page.get_by_text("Connect", exact=True).click()


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[tuple[Cable, MockUnit]]:
    """A unit at one end of a cable."""
    require_client()
    cable, unit = Cable(tmp_path / "ttyGS0"), MockUnit()
    cable.plug_in()
    improv = asyncio.create_task(ImprovSerial(str(cable.link), unit).run(), name="improv")
    try:
        yield cable, unit
    finally:
        improv.cancel()
        await asyncio.gather(improv, return_exceptions=True)
        cable.unplug()


@pytest.mark.chromium
async def test_the_browsers_dialog_sets_the_unit_up(wired: tuple[Cable, MockUnit]) -> None:
    cable, unit = wired
    async with improv_page(cable.master) as address, chromium() as browser:
        page = await open_page(browser, address)
        page.set_default_timeout(STEP_TIMEOUT_MS)
        await page.get_by_text("Connect device to Wi-Fi").click()
        await expect(page.get_by_text("Configure Wi-Fi")).to_be_visible(timeout=STEP_TIMEOUT_MS)
        info = page.locator(".device-info")
        for shown in ("Front door", "1.2.3", "Raspberry Pi 4 Model B", "Debian"):
            await expect(info).to_contain_text(shown)

        await connect(page, "wrong password")
        await expect(page.get_by_text("Unable to connect")).to_be_visible(timeout=STEP_TIMEOUT_MS)
        await connect(page, "right password")
        await expect(page.get_by_text("Provisioned!")).to_be_visible(timeout=STEP_TIMEOUT_MS)
        visit = page.locator("md-filled-button", has_text="Visit Device")
        assert await visit.get_attribute("href") == PAGE
        assert [(join.ssid, join.password) for join in unit.joined] == [
            ("Living room", "wrong password"),
            ("Living room", "right password"),
        ]
        assert (await unit.network.status()).connected("wifi") is not None
        assert problems[page] == []


_EVERY_COMMAND = """async () => {
    const { ImprovSerial } = await import("/sdk/serial.js");
    const port = await navigator.serial.requestPort();
    await port.open({ baudRate: 115200 });
    const quiet = { log() {}, error() {}, debug() {} };
    const client = new ImprovSerial(port, quiet);
    const refused = (promise) => promise.then(() => null, String);
    const said = { info: await client.initialize(3000), state: client.state };
    said.hostname = [await client.getHostname(), await client.setHostname("front-door")];
    said.badHostname = await refused(client.setHostname("front door"));
    said.name = [await client.getDeviceName(), await client.setDeviceName("Haustür")];
    said.alone = await client.requestNetworkState();
    said.networks = await client.scan();
    said.wrong = await refused(client.provision("Living room", "wrong password"));
    said.stateAfterWrong = client.state;
    await client.provision("Hidden", "right password");
    said.page = client.nextUrl;
    said.online = await client.requestNetworkState();
    await client.requestCurrentState();
    said.stateAtTheEnd = client.state;
    said.unknown = await refused(client._sendRPCWithResponse(0x42, []));
    await client.close();
    return said;
}"""


@pytest.mark.chromium
async def test_every_command_of_the_browsers_client(wired: tuple[Cable, MockUnit]) -> None:
    cable, unit = wired
    async with improv_page(cable.master) as address, chromium() as browser:
        page = await open_page(browser, address)
        said: dict[str, Any] = await page.evaluate(_EVERY_COMMAND)
    assert said["info"] == {
        "firmware": "room-appliance",
        "version": "1.2.3",
        "chipFamily": "Raspberry Pi 4 Model B",
        "name": "Haustür",  # the client keeps it up to date
        "osName": "Debian",
        "osVersion": "13",
    }
    assert (said["state"], said["stateAfterWrong"], said["stateAtTheEnd"]) == (2, 2, 4)
    assert said["hostname"] == ["room-appliance", "front-door"]
    assert said["badHostname"] == "BAD_HOSTNAME"
    assert said["name"] == ["Front door", "Haustür"]
    interfaces = {"supportsWifi": True, "supportsEthernet": True, "supportsThread": False, "supportsModem": False}
    assert said["alone"] == {"online": False, "urls": [], **interfaces}
    assert said["online"] == {"online": True, "urls": [PAGE], **interfaces}
    networks = {network["name"]: network for network in said["networks"]}
    assert networks["Living room"] == {"name": "Living room", "rssi": -56, "secured": True}
    assert networks["Café guests"]["secured"] is False
    assert said["wrong"] == "UNABLE_TO_CONNECT"
    assert said["page"] == PAGE
    assert said["unknown"] == "UNKNOWN_RPC_COMMAND"
    assert unit.joined[-1].hidden, "it was in no scan"


async def test_the_unit_answers_on_its_port(tmp_path: Path) -> None:
    """As a program; a machine whose network is not the unit's to set up says that it has no Wi-Fi."""
    cable, port = Cable(tmp_path / "ttyGS0"), free_port()
    cable.plug_in()
    more = f'[audio]\ndriver = "none"\n[video]\ndriver = "none"\n[wifi]\nimprov_port = "{cable.link}"\n'
    try:
        async with appliance(tmp_path / "unit", unit_config(port, more=more), port) as unit:
            await unit.until(lambda state: state["health"].get("improv") == "ok")
            async with asyncio.timeout(15):
                kind = -1
                while kind != PacketType.STATE:  # as clients do: the port may not be open yet
                    cable.ask(Command.STATE)
                    with suppress(AssertionError):
                        kind, data = await cable.next(1.0)
            assert data == bytes((State.STOPPED,))
            cable.ask(Command.INFO)
            while (info := await cable.next())[0] != PacketType.RESULT:
                pass
            assert b"room-appliance" in info[1]
            cable.ask(Command.NAME, "Haustür".encode())
            assert await cable.result() == ["Haustür"]
            await unit.until(lambda state: state["device"]["name"] == "Haustür")
            await unit.stop()
    finally:
        cable.unplug()
