"""Getting the unit into a network, and keeping it reachable where there is none: the child that runs `setup_mode`.

It follows the network, raises and lowers the unit's own access point, tries what a person asks for, and remembers how
that went: the phone that asked may have lost the unit meanwhile, and reads it when it is back.

A machine whose network is not ours to set up (no NetworkManager, a container) is a unit like any other; it says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from appliance.events import Event
from appliance.unit_events import SetupModeChanged
from provisioning import setup_mode
from provisioning.claim import Claim
from provisioning.network import (
    Connectivity,
    InterfaceStatus,
    Network,
    NetworkError,
    NetworkStatus,
    StaticAddress,
    WifiJoin,
    WifiNetwork,
)
from provisioning.network_check import check_join, check_static
from provisioning.setup_mode import Action, Facts, Phase, State
from provisioning.visits import Visits

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0  # at the network, when nothing told of a change
ABSENT_S = 30.0  # the same where there is no network service
SETTLE_S = 0.2  # changes come in bursts
GOODBYE_S = 1.0  # for the answer to reach the phone before the access point goes


class AttemptError(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str
    field: str | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The last wish to change the network, and what became of it. `age_s`: since it was asked or, at last, decided."""

    what: Literal["wifi", "ethernet"]
    ssid: str | None
    state: Literal["joining", "joined", "failed"]
    age_s: float
    addresses: tuple[str, ...] = ()  # of the unit in the network it joined
    error: AttemptError | None = None


class AccessPointInfo(msgspec.Struct, frozen=True, kw_only=True):
    ssid: str
    address: str
    devices: int | None


class NetworkInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /api/network` answers."""

    available: bool
    message: str
    connectivity: Connectivity
    interfaces: tuple[InterfaceStatus, ...]
    known: tuple[str, ...]
    setup_mode: str  # `setup_mode.Phase`
    access_point: AccessPointInfo | None
    last_attempt: Attempt | None


@dataclass(slots=True)
class Memory:
    """What outlives a composition of the unit: a phone in the access point is not thrown out by a new setting."""

    state: State = field(default_factory=State)
    attempt: tuple[Attempt, float] | None = None
    visits: Visits = field(default_factory=Visits)


class BusyError(Exception):
    """Another wish is under way."""


class Onboarding:
    """`automatic` False: the access point is raised for the buttons alone. `keep_country` saves that of a join that
    worked. Used on the event loop; `network` is closed by whoever made it."""

    def __init__(
        self,
        network: Network,
        claim: Claim,
        publish: Callable[[Event], None],
        *,
        memory: Memory | None = None,
        automatic: bool = True,
        country: str = "",
        keep_country: Callable[[str], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.network = network
        self.is_available = True
        self._claim = claim
        self._publish = publish
        self._automatic = automatic
        self._country = country
        self._clock = clock
        self._sleep = sleep
        self._keep_country = keep_country
        self._memory = memory or Memory()
        self._reach: bool | None = None
        self._trying: asyncio.Task[None] | None = None
        self._radio = asyncio.Lock()  # one wish at a time
        self._wake = asyncio.Event()
        self._told = ""  # the last warning, told once
        self._published: SetupModeChanged | None = None

    # --- what is

    @property
    def phase(self) -> Phase:
        return self._memory.state.phase

    @property
    def is_shown(self) -> bool:
        """Whether the LEDs show set-up mode: somebody is waited for."""
        now_s = self._clock()
        return self.phase in (Phase.ACCESS_POINT, Phase.LOOKING) or self._memory.state.is_asked(now_s)

    @property
    def health(self) -> str:
        return f"degraded: {self._told}" if self._told and self.is_available else "ok"

    @property
    def last_attempt(self) -> Attempt | None:
        if self._memory.attempt is None:
            return None
        attempt, at_s = self._memory.attempt
        return msgspec.structs.replace(attempt, age_s=round(self._clock() - at_s, 1))

    async def info(self) -> NetworkInfo:
        status = await self.network.status()
        own, devices = status.access_point, None
        known: tuple[str, ...] = ()
        if status.available:
            with suppress(NetworkError):
                known = await self.network.known()
                devices = await self.network.stations() if own is not None else None
        return NetworkInfo(
            available=status.available,
            message=status.message,
            connectivity=status.connectivity,
            interfaces=status.interfaces,
            known=known,
            setup_mode=self.phase.value,
            access_point=None if own is None else AccessPointInfo(ssid=own.ssid, address=own.address, devices=devices),
            last_attempt=self.last_attempt,
        )

    # --- what people wish

    def ask(self) -> None:
        """Both buttons were held: set-up mode with the claim code, or the end of it."""
        now_s = self._clock()
        self._memory.state = setup_mode.ask(self._memory.state, now_s)
        logger.info("both buttons: set-up mode %s", "opens" if self._memory.state.is_asked(now_s) else "closes")
        if self._memory.state.is_asked(now_s):
            self._claim.reopen(now_s)
        else:
            self._claim.close()
        self._tell()
        self._wake.set()

    def set_country(self, country: str) -> None:
        """Whose radio rules hold from now on; empty: those that hold already."""
        self._country = country
        self._wake.set()

    def touched(self) -> None:
        """Somebody uses the page through the access point."""
        self._memory.visits.touched(self._clock())

    async def scan(self) -> list[WifiNetwork]:
        """Raises `NetworkError`, and `BusyError` while a network is joined."""
        self._check_free()
        async with self._radio:
            return await self.network.scan()

    async def join(self, join: WifiJoin) -> None:
        """Into a network, for good. Raises `NetworkError`, and `BusyError`; cancelled, all is as before."""
        check_join(join)
        attempt = self._begin("wifi", join.ssid)
        await self._carry_out(attempt, lambda: self._connect(join))

    def start_join(self, join: WifiJoin) -> None:
        """`join` without waiting for its end, which `last_attempt` tells. Raises only for what cannot be begun."""
        check_join(join)
        self._start(self._begin("wifi", join.ssid), lambda: self._connect(join))

    def start_ethernet(self, static: StaticAddress | None) -> None:
        """A static address for the wired network or, None, DHCP again; like `start_join`."""
        if static is not None:
            check_static(static)
        self._start(self._begin("ethernet", None), lambda: self.network.set_ethernet(static))

    async def forget(self, ssid: str) -> None:
        """Raises `NetworkError`."""
        async with self._radio:
            await self.network.forget(ssid)
        self._wake.set()

    # --- the child

    async def run(self) -> None:
        """Until cancelled; an attempt under way is given up then."""
        try:
            while True:
                self._wake.clear()
                wait_s = await self._step()
                await self._pause(wait_s)
        finally:
            if self._trying is not None:
                self._trying.cancel()
                await asyncio.gather(self._trying, return_exceptions=True)

    async def _step(self) -> float:
        """Look, decide, act; gives how long nothing will happen by itself."""
        status = await self.network.status()
        self.is_available = status.available
        if not status.available:
            self._warn(status.message, logging.INFO)
            self._memory.state = State(asked_until_s=self._memory.state.asked_until_s)
            return ABSENT_S
        await self._set_country()
        facts, now_s = await self._facts(status), self._clock()
        self._memory.state, action = setup_mode.step(self._memory.state, facts, now_s)
        self._tell()
        if action is not None:
            await self._act(action)
            return 0.0
        due_s = setup_mode.next_s(self._memory.state, facts, now_s)
        return LOOK_AGAIN_S if due_s is None else min(LOOK_AGAIN_S, max(0.0, due_s - now_s))

    async def _facts(self, status: NetworkStatus) -> Facts:
        is_up, stations = status.access_point is not None, None
        known: tuple[str, ...] = ()
        with suppress(NetworkError):
            known = await self.network.known()
            stations = await self.network.stations() if is_up else 0
        now_s = self._clock()
        self._memory.visits.saw(stations, now_s)
        return Facts(
            wifi=status.has_wifi and (self._automatic or self._memory.state.is_asked(now_s)),
            wired=status.connected("ethernet") is not None,
            online=status.connected("wifi") is not None,
            access_point=is_up,
            known=bool(known),
            reach=self._reach,
            busy=is_up and self._memory.visits.is_busy(now_s),
            joining=self.is_joining,
        )

    @property
    def is_joining(self) -> bool:
        return self._memory.attempt is not None and self._memory.attempt[0].state == "joining"

    async def _act(self, action: Action) -> None:
        logger.info("set-up network: %s", action.value)
        async with self._radio:
            try:
                match action:
                    case Action.RAISE:
                        await self.network.start_access_point()
                    case Action.LOWER:
                        await self.network.stop_access_point()
                    case Action.LOOK:
                        self._reach = None
                        await self.network.stop_access_point()
                        self._reach = any(network.known for network in await self.network.scan())
            except NetworkError as exc:
                self._warn(str(exc), logging.WARNING)
            else:
                self._told = ""

    async def _connect(self, join: WifiJoin) -> None:
        await self.network.connect(join)
        if join.country and self._keep_country is not None:
            await self._keep_country(join.country)

    def _begin(self, what: Literal["wifi", "ethernet"], ssid: str | None) -> Attempt:
        self._check_free()
        attempt = Attempt(what=what, ssid=ssid, state="joining", age_s=0.0)
        self._remember(attempt)
        return attempt

    def _start(self, attempt: Attempt, run: Callable[[], Awaitable[None]]) -> None:
        async def carry_out() -> None:
            await self._sleep(GOODBYE_S)
            with suppress(NetworkError):
                await self._carry_out(attempt, run)

        self._trying = asyncio.create_task(carry_out(), name="onboarding-attempt")

    def _check_free(self) -> None:
        if self.is_joining:
            raise BusyError("the unit is joining a network; wait until that is decided")

    async def _carry_out(self, attempt: Attempt, run: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._radio:
                await run()
            status = await self.network.status()
        except NetworkError as exc:
            error = AttemptError(code=exc.code, message=str(exc), field=exc.field or None)
            self._remember(msgspec.structs.replace(attempt, state="failed", error=error))
            logger.warning("not joined: %s", exc)
            raise
        except asyncio.CancelledError:
            error = AttemptError(code="timeout", message="it was given up")
            self._remember(msgspec.structs.replace(attempt, state="failed", error=error))
            raise
        interface = status.connected(attempt.what)
        addresses = interface.addresses if interface is not None else ()
        self._remember(msgspec.structs.replace(attempt, state="joined", addresses=addresses))
        logger.info("joined %s", attempt.ssid or attempt.what)

    def _remember(self, attempt: Attempt) -> None:
        self._memory.attempt = attempt, self._clock()
        self._tell()
        self._wake.set()

    async def _set_country(self) -> None:
        """Once the radio is there; the kernel forgets it at each start."""
        if not self._country:
            return
        try:
            await self.network.set_country(self._country)
            self._country = ""
        except NetworkError as exc:
            self._warn(f"the country {self._country} is not set: {exc}", logging.INFO)

    async def _pause(self, wait_s: float) -> None:
        """Until the network changed, somebody wishes something, or `wait_s`."""
        await self._sleep(SETTLE_S)
        if wait_s <= 0 or self._wake.is_set():
            return
        waits = {
            asyncio.create_task(wait, name=name)
            for name, wait in (
                ("onboarding-network", self.network.wait_changed()),
                ("onboarding-wish", self._wake.wait()),
                ("onboarding-time", _coroutine(self._sleep(wait_s))),
            )
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _tell(self) -> None:
        attempt = self._memory.attempt[0] if self._memory.attempt is not None else None
        event = SetupModeChanged(
            phase=self.phase.value,
            is_shown=self.is_shown,
            attempt=attempt.state if attempt is not None else None,
        )
        if event != self._published:
            self._published = event
            self._publish(event)

    def _warn(self, message: str, level: int) -> None:
        if message != self._told:
            self._told = message
            logger.log(level, "%s", message)


async def _coroutine(wait: Awaitable[None]) -> None:
    await wait
