"""Units that announce themselves to each other, over multicast on the loopback interface alone."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from provisioning import mdns
from provisioning.mdns import UNIT_TYPE, Announcement, FoundHub, Mdns, best_address, found_hub, instance_label

LOOPBACK = ("127.0.0.1",)
KITCHENS = "127.0.0.2"
STEP_TIMEOUT_S = 15.0
FINGERPRINT = ":".join(["AB"] * 32)
PORCH = Announcement(
    name="Porch",
    unit_id="1111",
    hostname="porch",
    port=8443,
    is_tls=True,
    room="lobby",
    hub_path="/hub/ws",
    fingerprint=FINGERPRINT,
    version="1.0",
)
KITCHEN = replace(PORCH, name="Kitchen", unit_id="2222", hostname="kitchen", is_tls=False, fingerprint="", port=8080)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "LOOK_S", 0.05)


@asynccontextmanager
async def unit(announced: Callable[[], Announcement], address: str = "127.0.0.1") -> AsyncIterator[Mdns]:
    """Units of one moment need an address each, as they have in a house."""
    service = Mdns(announced, (address,))
    task = asyncio.create_task(service.run(), name="mdns")
    try:
        await until(lambda: len(service.names) == 2 or task.done())
        assert not task.done(), task
        yield service
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert [each.get_name() for each in asyncio.all_tasks() if each.get_name() == "mdns-ask"] == []


async def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "never so"
        await asyncio.sleep(0.02)


async def test_two_units_find_each_other_and_lose_the_one_that_ends() -> None:
    threads = threading.active_count()
    async with unit(lambda: PORCH) as porch:
        async with unit(lambda: KITCHEN, KITCHENS) as kitchen:
            await until(lambda: porch.hubs and kitchen.hubs)
            assert porch.hubs == [FoundHub("Kitchen", "ws://127.0.0.2:8080/hub/ws", "lobby", "", "2222")]
            assert kitchen.hubs == [FoundHub("Porch", "wss://127.0.0.1:8443/hub/ws", "lobby", FINGERPRINT, "1111")]
            assert porch.health == kitchen.health == "ok"
        await until(lambda: not porch.hubs)
    assert threading.active_count() <= threads + 2  # of asyncio's pool


async def test_its_end_holds_up_nothing() -> None:
    async with unit(lambda: PORCH):
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 0.3


async def test_page_is_announced_as_any_browser_of_services_reads_it() -> None:
    async with unit(lambda: PORCH):
        other = AsyncZeroconf(interfaces=list(LOOPBACK))
        try:
            info = AsyncServiceInfo("_https._tcp.local.", "Porch._https._tcp.local.")
            assert await info.async_request(other.zeroconf, 5000)
            assert (info.port, info.server) == (8443, "porch.local.")
            assert info.parsed_addresses(IPVersion.V4Only) == ["127.0.0.1"]
            assert info.properties == {b"path": b"/"}
        finally:
            await other.async_close()


async def test_two_units_of_one_name() -> None:
    """As they come out of the box."""
    async with (
        unit(lambda: PORCH) as first,
        unit(lambda: replace(PORCH, unit_id="3333", port=9000), KITCHENS) as second,
    ):
        assert first.names == ("Porch._https._tcp.local.", f"Porch.{UNIT_TYPE}")
        assert second.names == ("Porch-2._https._tcp.local.", f"Porch-2.{UNIT_TYPE}")
        await until(lambda: first.hubs and second.hubs)
        assert [hub.name for hub in first.hubs] == ["Porch-2"]
        assert [hub.name for hub in second.hubs] == ["Porch"]


async def test_new_name_and_room_are_announced() -> None:
    said = PORCH
    async with unit(lambda: said) as porch, unit(lambda: KITCHEN, KITCHENS) as kitchen:
        await until(lambda: kitchen.hubs)
        said = replace(PORCH, name="Back door", room="yard")
        await until(lambda: [(hub.name, hub.room) for hub in kitchen.hubs] == [("Back door", "yard")])
        await until(lambda: porch.names == ("Back door._https._tcp.local.", f"Back door.{UNIT_TYPE}"))


async def test_addresses_that_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses: tuple[str, ...] = ()
    async with unit(lambda: KITCHEN, KITCHENS) as kitchen:
        porch = Mdns(lambda: PORCH, LOOPBACK)
        looks = 0

        def look() -> tuple[str, ...]:
            nonlocal looks
            looks += 1
            return addresses

        monkeypatch.setattr(porch, "_addresses", look)
        task = asyncio.create_task(porch.run(), name="mdns")
        try:
            await until(lambda: looks >= 2)
            assert porch.names == (), "nothing to announce without a network"
            addresses = ("127.0.0.1",)
            await until(lambda: [hub.url for hub in kitchen.hubs] == ["wss://127.0.0.1:8443/hub/ws"])
            addresses = ("192.0.2.7", "2001:db8::7")
            await until(lambda: [hub.url for hub in kitchen.hubs] == ["wss://192.0.2.7:8443/hub/ws"])
            addresses = ()
            await until(lambda: kitchen.hubs == [])
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_network_that_does_not_let_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "RETRY_S", 0.02)
    service = Mdns(lambda: PORCH, LOOPBACK)
    opening = service._open

    async def refuse(_addresses: tuple[str, ...]) -> AsyncZeroconf:
        raise OSError(19, "No such device")

    monkeypatch.setattr(service, "_open", refuse)
    task = asyncio.create_task(service.run(), name="mdns")
    try:
        await until(lambda: service.health == "degraded: mDNS: [Errno 19] No such device")
        monkeypatch.setattr(service, "_open", opening)
        await until(lambda: service.health == "ok" and service.names)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_unit_without_a_hub_is_none() -> None:
    assert found_hub("a", ["192.0.2.1"], 80, {b"tls": b"0", b"room": b"lobby"}) is None
    txt = replace(PORCH, hub_path="").txt()
    assert "hub" not in txt


@pytest.mark.parametrize(
    ("txt", "port", "addresses"),
    [
        ({b"hub": b"javascript:alert(1)"}, 80, ["192.0.2.1"]),
        ({b"hub": b"/ws\n"}, 80, ["192.0.2.1"]),
        ({b"hub": b"/ws", b"room": b"<b>"}, 80, ["192.0.2.1"]),
        ({b"hub": b"/ws", b"tls": b"1", b"fp": b"AB"}, 80, ["192.0.2.1"]),
        ({b"hub": b"/ws"}, 0, ["192.0.2.1"]),
        ({b"hub": b"/ws"}, 80, []),
        ({b"hub": b"/ws"}, 80, ["fe80::1"]),
        ({b"hub": None}, 80, ["192.0.2.1"]),
    ],
)
def test_odd_announcements_are_ignored(txt: dict[bytes, bytes | None], port: int, addresses: list[str]) -> None:
    assert found_hub("a", addresses, port, txt) is None


@given(
    st.text(max_size=80),
    st.lists(st.sampled_from(["192.0.2.1", "fe80::1%eth0", "2001:db8::1", "x", ""]), max_size=3),
    st.integers(-1, 70_000),
    st.dictionaries(
        st.sampled_from([b"hub", b"room", b"fp", b"tls", b"id", b"\xff"]), st.none() | st.binary(max_size=99)
    ),
)
def test_anything_announced_is_a_hub_or_nothing(
    name: str, addresses: list[str], port: int, txt: dict[bytes, bytes | None]
) -> None:
    hub = found_hub(name, addresses, port, txt)
    assert hub is None or (hub.url.startswith(("ws://", "wss://")) and hub.url.isprintable() and " " not in hub.url)


def test_addresses_in_order_of_use() -> None:
    assert best_address(["2001:db8::1", "192.0.2.1"]) == "192.0.2.1"
    assert best_address(["fe80::1", "2001:db8::1"]) == "2001:db8::1"
    assert best_address(["fe80::1%3"]) is None
    assert "127.0.0.1" not in mdns.own_addresses()


@given(st.text(max_size=100))
def test_name_becomes_a_label(name: str) -> None:
    label = instance_label(name)
    assert 0 < len(label.encode()) <= 63
    assert label.isprintable()


def test_no_socket_is_left() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))


def test_longest_value_fits_into_a_string_of_txt() -> None:
    txt = replace(PORCH, room="x" * 64, version="1" * 32).txt()
    assert max(len(f"{key}={value}") for key, value in txt.items()) <= 255
