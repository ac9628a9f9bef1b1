"""The child that keeps the unit reachable, on mock hardware and with time that passes at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from appliance.events import Event
from appliance.joining import GOODBYE_S, BusyError
from appliance.network_info import Memory
from appliance.onboarding import Onboarding
from appliance.unit_events import SetupModeChanged
from provisioning.claim import Claim, new_secrets
from provisioning.mock_network import MockNetwork, MockWifi
from provisioning.network import NetworkError, NetworkStatus, StaticAddress, WifiJoin
from provisioning.setup_mode import ASKED_S, LOOK_EVERY_S, OFFLINE_S, UNKNOWN_S, Phase
from tests.provisioning.clock import Clock

HOME = MockWifi("Home", 80, known=True)


class Unit:
    def __init__(self, *networks: MockWifi, ethernet: bool = False, automatic: bool = True) -> None:
        self.clock = Clock()
        self.network = MockNetwork(networks, ethernet=ethernet, clock=self.clock.now, sleep=self.clock.sleep)
        self.claim = Claim(new_secrets(), is_claimed=True)
        self.events: list[Event] = []
        self.countries: list[str] = []
        self.memory = Memory()
        self.onboarding = self.composed(automatic=automatic)

    def composed(self, *, automatic: bool = True, country: str = "") -> Onboarding:
        async def keep(country: str) -> None:
            self.countries.append(country)

        return Onboarding(
            self.network,
            self.claim,
            self.events.append,
            memory=self.memory,
            automatic=automatic,
            country=country,
            keep_country=keep,
            clock=self.clock.now,
            sleep=self.clock.sleep,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Onboarding]:
        running = asyncio.create_task(self.onboarding.run())
        try:
            yield self.onboarding
        finally:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    @property
    async def is_up(self) -> bool:
        return (await self.network.status()).access_point is not None

    async def ssid(self) -> str | None:
        wifi = (await self.network.status()).connected("wifi")
        return wifi.ssid if wifi is not None else None


async def test_a_unit_in_its_network_does_nothing() -> None:
    unit = Unit(HOME)
    async with unit.running() as onboarding:
        await unit.clock.advance(600)
        assert onboarding.phase is Phase.IDLE
    assert unit.network.calls == []
    assert onboarding.health == "ok"


async def test_a_unit_without_a_network_opens_its_own() -> None:
    unit = Unit(MockWifi("Neighbour", 60))
    async with unit.running() as onboarding:
        await unit.clock.advance(UNKNOWN_S - 1)
        assert not await unit.is_up
        await unit.clock.advance(3)
        assert await unit.is_up
        assert onboarding.is_shown
    shown = [event.is_shown for event in unit.events if isinstance(event, SetupModeChanged)]
    assert shown == [False, True]


async def test_a_network_that_is_away_for_a_while_is_found_again_and_the_own_one_closed() -> None:
    unit = Unit(HOME)
    async with unit.running() as onboarding:
        await unit.clock.advance(10)
        unit.network.remove("Home")
        await unit.clock.advance(OFFLINE_S + 10)
        assert await unit.is_up
        unit.network.add(HOME)
        await unit.clock.advance(LOOK_EVERY_S + 30)
        assert not await unit.is_up
        assert await unit.ssid() == "Home"
        assert onboarding.phase is Phase.IDLE
    assert unit.network.calls == ["start access point", "stop access point"]


async def test_while_somebody_uses_the_page_it_stays_open() -> None:
    unit = Unit(HOME)
    async with unit.running() as onboarding:
        await unit.clock.advance(5)
        unit.network.remove("Home")
        await unit.clock.advance(OFFLINE_S + 10)
        unit.network.devices = 1
        for _ in range(30):
            onboarding.touched()
            await unit.clock.advance(30)
        assert unit.network.calls == ["start access point"]
        unit.network.devices = 0
        await unit.clock.advance(LOOK_EVERY_S + 10)
        assert "stop access point" in unit.network.calls


async def test_with_a_cable_it_stays_closed_and_one_plugged_in_closes_it() -> None:
    unit = Unit(ethernet=True)
    async with unit.running():
        await unit.clock.advance(600)
        assert not await unit.is_up
        unit.network.plug_ethernet(False)
        await unit.clock.advance(UNKNOWN_S + 8)
        assert await unit.is_up
        unit.network.plug_ethernet(True)
        await unit.clock.advance(6)
        assert not await unit.is_up


async def test_the_buttons_open_it_with_the_claim_code_and_close_both() -> None:
    unit = Unit(HOME, automatic=False)
    async with unit.running() as onboarding:
        await unit.clock.advance(5)
        onboarding.ask()
        await unit.clock.advance(2)
        assert await unit.is_up
        assert unit.claim.is_open(unit.clock.now())
        onboarding.ask()
        assert not unit.claim.is_open(unit.clock.now())
        await unit.clock.advance(40)
        assert await unit.ssid() == "Home"
        assert not onboarding.is_shown


async def test_what_the_buttons_opened_ends_by_itself() -> None:
    unit = Unit(HOME)
    async with unit.running() as onboarding:
        await unit.clock.advance(5)
        onboarding.ask()
        await unit.clock.advance(ASKED_S + 60)
        assert await unit.ssid() == "Home"
        assert onboarding.phase is Phase.IDLE


async def test_set_up_network_off_is_off_until_the_buttons_ask() -> None:
    unit = Unit(automatic=False)
    async with unit.running() as onboarding:
        await unit.clock.advance(1000)
        assert unit.network.calls == []
        onboarding.ask()
        await unit.clock.advance(2)
        assert await unit.is_up


async def test_a_join_answers_first_and_remembers_how_it_went() -> None:
    unit = Unit(MockWifi("Home", 80))
    async with unit.running() as onboarding:
        await unit.clock.advance(20)
        onboarding.joining.start_join(WifiJoin(ssid="Home", password="anything else", country="DE"))
        assert onboarding.joining.last is not None
        assert onboarding.joining.last.state == "joining"
        await unit.clock.advance(GOODBYE_S / 2)
        assert await unit.is_up  # the answer is on its way to the phone
        await unit.clock.advance(10)
        attempt = onboarding.joining.last
        assert (attempt.ssid, attempt.state, attempt.error) == ("Home", "joined", None)
        assert attempt.addresses == ("198.51.100.23/24",)
        assert attempt.age_s > 0
        assert onboarding.phase is Phase.IDLE
    assert unit.countries == ["DE"]


async def test_the_phone_that_lost_the_access_point_reads_why_when_it_is_back() -> None:
    unit = Unit(MockWifi("Home", 80))
    async with unit.running() as onboarding:
        await unit.clock.advance(20)
        onboarding.joining.start_join(WifiJoin(ssid="Home", password="wrong one"))
        await unit.clock.advance(2)
        assert not await unit.is_up
        with pytest.raises(BusyError):
            onboarding.joining.start_join(WifiJoin(ssid="Home", password="anything else"))
        await unit.clock.advance(20)
        assert await unit.is_up
        info = await onboarding.info()
    assert info.last_attempt is not None
    assert info.last_attempt.error is not None
    assert (info.last_attempt.state, info.last_attempt.error.code) == ("failed", "bad-password")
    assert info.access_point is not None
    assert info.known == ()
    assert unit.countries == []


async def test_a_wish_that_cannot_be_is_refused_at_once() -> None:
    unit = Unit()
    async with unit.running() as onboarding:
        with pytest.raises(NetworkError, match="8 to 63"):
            onboarding.joining.start_join(WifiJoin(ssid="Home", password="short"))
        with pytest.raises(NetworkError, match="no address"):
            onboarding.joining.start_ethernet(StaticAddress(address="here"))
    assert onboarding.joining.last is None


async def test_join_for_those_who_wait_for_its_end() -> None:
    unit = Unit(MockWifi("Home", 80), MockWifi("Dull", 50, dhcp="none"))
    async with unit.running() as onboarding:
        joining = asyncio.create_task(onboarding.joining.join(WifiJoin(ssid="Home", password="anything else")))
        await unit.clock.advance(10)
        await joining
        joining = asyncio.create_task(onboarding.joining.join(WifiJoin(ssid="Dull", password="anything else")))
        await unit.clock.advance(5)
        joining.cancel()  # as Improv does after 25 s
        with pytest.raises(asyncio.CancelledError):
            await joining
        assert await unit.ssid() == "Home"
        assert onboarding.joining.last is not None
        assert onboarding.joining.last.state == "failed"


async def test_ethernet() -> None:
    unit = Unit(ethernet=True)
    async with unit.running() as onboarding:
        onboarding.joining.start_ethernet(StaticAddress(address="192.0.2.99/24"))
        await unit.clock.advance(10)
        assert onboarding.joining.last is not None
        assert onboarding.joining.last.addresses == ("192.0.2.99/24",)


async def test_forget() -> None:
    unit = Unit(HOME)
    async with unit.running() as onboarding:
        await unit.clock.advance(5)
        await onboarding.forget("Home")
        await unit.clock.advance(UNKNOWN_S + 5)
        assert await unit.is_up


async def test_a_new_composition_throws_nobody_out() -> None:
    unit = Unit(MockWifi("Neighbour", 60))
    async with unit.running():
        await unit.clock.advance(20)
    assert await unit.is_up
    unit.onboarding = unit.composed()
    async with unit.running() as onboarding:
        await unit.clock.advance(5)
        assert onboarding.phase is Phase.ACCESS_POINT
    assert unit.network.calls == ["start access point"]


async def test_an_attempt_under_way_at_the_end_is_given_up() -> None:
    unit = Unit(HOME, MockWifi("Dull", 50, dhcp="none"))
    async with unit.running() as onboarding:
        await unit.clock.advance(1)
        onboarding.joining.start_join(WifiJoin(ssid="Dull", password="anything else"))
        await unit.clock.advance(10)
    assert await unit.ssid() == "Home"
    assert onboarding.joining.last is not None
    assert onboarding.joining.last.state == "failed"


async def test_the_country_is_set_when_the_radio_is_there() -> None:
    unit = Unit(HOME)
    unit.onboarding = unit.composed(country="NZ")
    async with unit.running() as onboarding:
        await unit.clock.advance(1)
        assert unit.network.country == "NZ"
        onboarding.set_country("DE")
        await unit.clock.advance(1)
        assert unit.network.country == "DE"


class Absent(MockNetwork):
    """A machine without a network service."""

    looks = 0

    async def status(self) -> NetworkStatus:
        self.looks += 1
        return NetworkStatus(available=False, message="NetworkManager does not run here")


async def test_a_machine_whose_network_is_not_ours_is_a_unit_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    unit = Unit()
    unit.network = network = Absent((), clock=unit.clock.now, sleep=unit.clock.sleep)
    unit.onboarding = unit.composed()
    async with unit.running() as onboarding:
        await unit.clock.advance(600)
        assert onboarding.health == "ok"
        assert not (await onboarding.info()).available
        onboarding.ask()
        await unit.clock.advance(ASKED_S - 5)
        assert onboarding.is_shown
        await unit.clock.advance(60)
        shown = [event.is_shown for event in unit.events if isinstance(event, SetupModeChanged)]
        assert shown[-2:] == [True, False]  # the LEDs too: the buttons' time is over
    assert network.looks < 60
    assert caplog.text.count("does not run here") <= 1


class Refusing(MockNetwork):
    """A radio that cannot be an access point."""

    async def start_access_point(self) -> None:
        self.calls.append("start access point")
        raise NetworkError("unavailable", "this unit's Wi-Fi cannot be an access point")


async def test_an_access_point_that_does_not_come_up_is_tried_at_leisure(caplog: pytest.LogCaptureFixture) -> None:
    unit = Unit()
    unit.network = Refusing((), clock=unit.clock.now, sleep=unit.clock.sleep)
    unit.onboarding = unit.composed()
    async with unit.running() as onboarding:
        await unit.clock.advance(300)
        assert onboarding.health.startswith("degraded: this unit's Wi-Fi")
    assert 5 < len(unit.network.calls) < 25
    assert caplog.text.count("cannot be an access point") == 1


class Broken(MockNetwork):
    """A bug on the way into a network."""

    async def connect(self, join: WifiJoin) -> None:
        raise ZeroDivisionError


async def test_a_bug_in_a_join_does_not_lock_it_for_good(caplog: pytest.LogCaptureFixture) -> None:
    unit = Unit()
    unit.network = Broken((), ethernet=True, clock=unit.clock.now, sleep=unit.clock.sleep)
    unit.onboarding = unit.composed()
    async with unit.running() as onboarding:
        for _ in range(2):
            onboarding.joining.start_join(WifiJoin(ssid="Home", password="anything else"))
            await unit.clock.advance(5)
            attempt = onboarding.joining.last
            assert attempt is not None
            assert attempt.error is not None
            assert (attempt.state, attempt.error.code) == ("failed", "failed")
    assert "ZeroDivisionError" in caplog.text


async def test_a_wish_that_is_given_up_before_it_began_locks_nobody_out() -> None:
    unit = Unit(HOME)
    joining = unit.onboarding.joining
    joining.start_join(WifiJoin(ssid="Home", password="right one"))
    await joining.give_up()
    assert joining.last is not None
    assert joining.last.state == "failed"
    joining.check_free()
