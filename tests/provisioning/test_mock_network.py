"""The network that needs no radio."""

from __future__ import annotations

import asyncio

import pytest

from provisioning.mock_network import DEMO, NO_DHCP_S, MockNetwork, MockWifi
from provisioning.network import Network, NetworkError, StaticAddress, WifiJoin
from tests.provisioning.clock import Clock


def make(clock: Clock, *networks: MockWifi, ethernet: bool = False) -> MockNetwork:
    return MockNetwork(networks or DEMO, ethernet=ethernet, clock=clock.now, sleep=clock.sleep)


async def join(clock: Clock, network: Network, wish: WifiJoin) -> str:
    """The SSID it is in afterwards; raises what the join raises."""
    joining = asyncio.create_task(network.connect(wish))
    await clock.advance(60)
    await joining
    wifi = (await network.status()).connected("wifi")
    assert wifi is not None
    assert wifi.ssid is not None
    return wifi.ssid


async def test_keeps_the_protocol() -> None:
    network: Network = make(Clock())
    assert (await network.status()).available


@pytest.mark.parametrize(
    "wish",
    [
        WifiJoin(ssid="Living room", password="anything else"),
        WifiJoin(ssid="Café guests"),
        WifiJoin(ssid="Slow to answer", password="anything else"),
        WifiJoin(ssid="Gives no address", password="anything else", static=StaticAddress(address="192.0.2.4/24")),
        WifiJoin(ssid="Hidden", password="anything else", hidden=True),
    ],
)
async def test_what_works(wish: WifiJoin) -> None:
    clock = Clock()
    network = make(clock)
    assert await join(clock, network, wish) == wish.ssid
    assert await network.known() == (wish.ssid,)


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (WifiJoin(ssid="Living room", password="wrong one"), "bad-password"),
        (WifiJoin(ssid="Living room"), "bad-password"),
        (WifiJoin(ssid="Gives no address", password="anything else"), "no-address"),
        (WifiJoin(ssid="Hidden", password="anything else"), "not-found"),
        (WifiJoin(ssid="Elsewhere", password="anything else"), "not-found"),
        (WifiJoin(ssid="Living room", password="short"), "invalid"),
    ],
)
async def test_what_does_not(wish: WifiJoin, code: str) -> None:
    clock = Clock()
    network = make(clock)
    await network.start_access_point()
    with pytest.raises(NetworkError) as caught:
        await join(clock, network, wish)
    assert caught.value.code == code
    assert (await network.status()).access_point is not None  # as it was
    assert await network.known() == ()


async def test_a_network_that_comes_and_goes_is_left_and_joined_again() -> None:
    clock = Clock()
    network = make(clock, MockWifi("Home", 50, reach=(60, 40), known=True))
    online = []
    for _ in range(12):
        online.append((await network.status()).connected("wifi") is not None)
        await clock.advance(10)
    assert online == [True, True, True, True, False, False] * 2


async def test_one_radio_does_not_look_around_while_it_is_an_access_point() -> None:
    clock = Clock()
    network = make(clock, MockWifi("Home", 50))

    async def scan() -> list[str]:
        scanning = asyncio.create_task(network.scan())
        await clock.advance(5)
        return [one.ssid for one in await scanning]

    assert await scan() == ["Home"]
    await network.start_access_point()
    network.remove("Home")
    assert await scan() == ["Home"]
    await network.stop_access_point()
    assert await scan() == []


async def test_a_join_given_up_leaves_all_as_it_was() -> None:
    clock = Clock()
    network = make(clock, MockWifi("Home", 50, known=True), MockWifi("Dull", 40, dhcp="none"))
    assert (await network.status()).connected("wifi") is not None
    joining = asyncio.create_task(network.connect(WifiJoin(ssid="Dull", password="anything else")))
    await clock.advance(NO_DHCP_S / 2)
    assert (await network.status()).connected("wifi") is None
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)
    wifi = (await network.status()).connected("wifi")
    assert wifi is not None
    assert wifi.ssid == "Home"


async def test_ethernet_forget_and_changes() -> None:
    clock = Clock()
    network = make(clock, MockWifi("Home", 50, known=True), ethernet=True)
    static = StaticAddress(address="192.0.2.4/24", gateway="192.0.2.1")
    setting = asyncio.create_task(network.set_ethernet(static))
    await clock.advance(10)
    await setting
    wired = (await network.status()).connected("ethernet")
    assert wired is not None
    assert wired.addresses == ("192.0.2.4/24",)
    changed = asyncio.create_task(network.wait_changed())
    await asyncio.sleep(0)
    network.plug_ethernet(False)
    await asyncio.wait_for(changed, 1)
    with pytest.raises(NetworkError, match="cable"):
        await network.set_ethernet(None)
    await network.forget("Home")
    assert (await network.status()).connectivity == "none"
    with pytest.raises(NetworkError, match="known"):
        await network.forget("Home")
