"""Improv on real ptys: at the far end the bytes of a client, and a hand that pulls the cable."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning import improv_serial
from provisioning.improv import HEADER, Command, ErrorCode, PacketType, State, encode
from provisioning.improv_serial import ImprovSerial, scan_result
from provisioning.mock_network import MockWifi
from provisioning.network import NetworkError, WifiJoin, WifiNetwork
from tests.provisioning.improv_unit import STEP_TIMEOUT_S, Cable, MockUnit

READY = (PacketType.STATE, bytes((State.READY,)))
PROVISIONING = (PacketType.STATE, bytes((State.PROVISIONING,)))
PROVISIONED = (PacketType.STATE, bytes((State.PROVISIONED,)))


def error_of(code: ErrorCode) -> tuple[PacketType, bytes]:
    return PacketType.ERROR, bytes((code,))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(improv_serial, "REOPEN_S", 0.02)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    cable = Cable(tmp_path / "ttyGS0")
    cable.plug_in()
    yield cable
    cable.unplug()


async def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "never so"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def service(cable: Cable, unit: MockUnit) -> AsyncIterator[ImprovSerial]:
    improv = ImprovSerial(str(cable.link), unit)
    task = asyncio.create_task(improv.run(), name="improv")
    try:
        if cable.master >= 0:
            await until(lambda: improv.is_listening)  # what was sent before is not read
        yield improv
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        left = [each.get_name() for each in asyncio.all_tasks() if each.get_name().startswith("improv")]
        assert left == []


async def test_from_the_box_into_the_network(cable: Cable) -> None:
    """The way of the browser's client, from the first question to the page."""
    unit = MockUnit()
    async with service(cable, unit) as improv:
        cable.ask(Command.STATE)
        assert await cable.next() == READY
        cable.ask(Command.INFO)
        assert await cable.result() == [
            *("room-appliance", "1.2.3", "Raspberry Pi 4 Model B", "Front door", "Debian", "13")
        ]
        cable.ask(Command.SCAN)
        networks = []
        while (found := await cable.result()) != []:
            networks.append(found)
        assert networks[0] == ["Living room", "-56", "YES"]
        assert ["Café guests", "-73", "NO"] in networks
        cable.ask_wifi("Living room", "wrong password")
        assert await cable.next() == PROVISIONING
        assert await cable.next() == error_of(ErrorCode.UNABLE_TO_CONNECT)
        assert await cable.next() == READY
        cable.ask_wifi("Living room", "right password")
        assert [await cable.next(), await cable.next()] == [error_of(ErrorCode.NONE), PROVISIONING]
        assert await cable.next() == PROVISIONED
        [page] = await cable.result()
        assert page.startswith("https://198.51.100.23:8080/setup#")
        assert page.endswith("#code=4F7-K2M-9XB")
        cable.ask(Command.STATE)
        assert await cable.next() == PROVISIONED
        assert await cable.result() == [page]
        cable.ask(Command.NETWORK)
        assert await cable.result() == ["7", page]
        assert improv.health == "ok"
    assert unit.joined[-1] == WifiJoin(ssid="Living room", password="right password")


async def test_open_network_and_one_whose_name_is_no_text(cable: Cable) -> None:
    unit = MockUnit((MockWifi("Café guests", 50, "open"), MockWifi("\\xff\\x00 no text", 20)))
    async with service(cable, unit):
        cable.ask_wifi("Café guests", "")
        assert await cable.next() == PROVISIONING
        assert await cable.next() == PROVISIONED
        await cable.result()
        cable.ask(Command.WIFI, b"\x0a\xff\x00 no text\x0clong enough!")
        assert await cable.next() == PROVISIONING
        assert await cable.next() == PROVISIONED
    assert unit.joined[-1].ssid == "\\xff\\x00 no text"


async def test_names(cable: Cable) -> None:
    unit = MockUnit()
    async with service(cable, unit):
        cable.ask(Command.HOSTNAME)
        assert await cable.result() == ["room-appliance"]
        cable.ask(Command.HOSTNAME, b"front-door")
        assert await cable.result() == ["front-door"]
        cable.ask(Command.HOSTNAME, b"front door")
        assert await cable.next() == error_of(ErrorCode.BAD_HOSTNAME)
        cable.ask(Command.NAME, "Tür".encode())
        assert await cable.result() == ["Tür"]
        cable.ask(Command.NAME, b"x" * 65)
        assert await cable.next() == error_of(ErrorCode.INVALID_PACKET)
        cable.ask(Command.NAME)
        assert await cable.result() == ["Tür"]
    assert unit.hostname.get() == "front-door"


async def test_join_that_takes_too_long(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.improv.TIME_LIMIT_S", 0.1)
    unit = MockUnit()
    unit.slow = True
    async with service(cable, unit):
        cable.ask_wifi("Living room", "right password")
        assert await cable.next() == PROVISIONING
        assert await cable.next() == error_of(ErrorCode.UNABLE_TO_CONNECT)
        assert await cable.next() == READY
        unit.slow = False
        cable.ask_wifi("Living room", "right password")
        assert [await cable.next() for _ in range(3)][-1] == PROVISIONED


async def test_cable_that_is_pulled_while_joining(cable: Cable) -> None:
    """What was asked for is given up; the next computer is answered."""
    unit = MockUnit()
    unit.slow = True
    async with service(cable, unit) as improv:
        cable.ask_wifi("Living room", "right password")
        await asyncio.wait_for(unit.joining.wait(), STEP_TIMEOUT_S)
        cable.unplug()
        await until(lambda: not improv.is_listening)
        cable.plug_in()
        await until(lambda: improv.is_listening)
        cable.ask(Command.STATE)
        assert await cable.next() == READY


async def test_port_that_comes_later_and_one_that_is_taken(
    cable: Cable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import serial

    cable.unplug()
    unit = MockUnit()
    async with service(cable, unit) as improv:
        await asyncio.sleep(0.1)
        assert improv.health == "ok", "a cable that is not there is no fault"
        cable.plug_in()
        await until(lambda: improv.is_listening)
        cable.ask(Command.STATE)
        assert await cable.next() == READY
        other = ImprovSerial(str(cable.link), unit)
        task = asyncio.create_task(other.run(), name="another improv")
        await until(lambda: other.health.startswith("degraded: Improv on"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    with serial.Serial(str(cable.link), exclusive=True):
        pass  # it is free again


async def test_machine_without_pyserial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "serial", None)
    async with service(Cable(tmp_path / "none"), MockUnit()) as improv:
        await until(lambda: "pip install" in improv.health)


async def test_network_that_fails(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = MockUnit()

    async def no_scan() -> list[WifiNetwork]:
        raise NetworkError("unavailable", "no radio")

    async def broken(_join: WifiJoin) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(unit, "scan", no_scan)
    monkeypatch.setattr(unit, "join", broken)
    async with service(cable, unit):
        cable.ask(Command.SCAN)
        assert await cable.next() == error_of(ErrorCode.UNKNOWN)
        cable.ask_wifi("Living room", "right password")
        assert await cable.next() == error_of(ErrorCode.NONE)
        assert await cable.next() == PROVISIONING
        assert await cable.next() == error_of(ErrorCode.UNKNOWN)
        assert await cable.next() == READY


async def test_network_that_changes_by_itself_is_told(cable: Cable) -> None:
    unit = MockUnit()
    async with service(cable, unit):
        cable.ask(Command.STATE)
        assert await cable.next() == READY
        await unit.network.connect(WifiJoin(ssid="Living room", password="right password"))
        assert await cable.next() == PROVISIONED
        await unit.network.forget("Living room")
        assert await cable.next() == READY


async def test_computer_that_never_reads_holds_up_nothing(cable: Cable) -> None:
    async with service(cable, MockUnit()):
        for _ in range(400):
            with suppress(BlockingIOError):
                cable.ask(Command.INFO)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)
        cable.ask(Command.STATE)
        while await cable.next() != READY:
            pass


async def test_no_password_in_the_log(cable: Cable, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with service(cable, MockUnit()):
        cable.ask_wifi("Living room", "wrong secret")
        while (await cable.next())[0] != PacketType.ERROR:
            pass
    assert "Living room" in caplog.text
    assert "secret" not in caplog.text


async def test_nothing_is_left(cable: Cable) -> None:
    async with service(cable, MockUnit()):
        cable.ask(Command.STATE)
        await cable.next()
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        async with service(cable, MockUnit()):
            cable.ask(Command.STATE)
            await cable.next()
    assert len(os.listdir("/proc/self/fd")) == files
    assert threading.active_count() <= threads + 2  # of asyncio's pool


_BROKEN = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=20).map(lambda data: HEADER + data),
    st.builds(
        lambda data, at, bit: _flip(encode(PacketType.RPC, data), at, bit),
        st.binary(max_size=40),
        st.integers(0, 200),
        st.integers(0, 7),
    ),
    st.builds(lambda data, at: encode(PacketType.RPC, data)[:at], st.binary(max_size=40), st.integers(0, 40)),
)


def _flip(packet: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(packet)
    changed[at % len(changed)] ^= 1 << bit
    return bytes(changed)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_BROKEN, max_size=8))
def test_whatever_comes_before_a_good_question_is_answered(cable: Cable, broken: list[bytes]) -> None:
    """Corrupt, cut and glued packets on a real pty; a client asks again each second until it is answered."""

    async def talk() -> None:
        unit = MockUnit()
        async with service(cable, unit):
            for data in broken:
                cable.send(data)
            for _ in range(10):
                cable.ask(Command.STATE)
                with suppress(AssertionError):
                    while True:
                        if (await cable.next(0.3))[0] == PacketType.STATE:
                            return
                await asyncio.sleep(0.25)  # over CUT_S with the wait before: a pause between two questions
            raise AssertionError("never answered")

    asyncio.run(talk())


def test_signal_strength() -> None:
    assert scan_result(WifiNetwork(ssid="a", signal=100, security="wpa3")) == ["a", "-50", "YES"]
    assert scan_result(WifiNetwork(ssid="a", signal=0, security="open")) == ["a", "-100", "NO"]
