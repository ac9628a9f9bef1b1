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

from appliance.events import Event
from appliance.joining import Joining
from appliance.network_info import AccessPointInfo, Memory, NetworkInfo
from appliance.unit_events import SetupModeChanged
from provisioning import setup_mode
from provisioning.claim import Claim
from provisioning.network import Network, NetworkError, NetworkStatus, WifiNetwork
from provisioning.setup_mode import Action, Facts, Phase, State

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0  # at the network, when nothing told of a change
ABSENT_S = 30.0  # the same where there is no network service
SETTLE_S = 0.2  # changes come in bursts


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
        self._wake = asyncio.Event()
        self._memory = memory or Memory()
        self.joining = Joining(network, self._memory, self._attempt_changed, keep_country, clock=clock, sleep=sleep)
        self._reach: bool | None = None
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
            last_attempt=self.joining.last,
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
        self.joining.check_free()
        async with self.joining.radio:
            return await self.network.scan()

    async def forget(self, ssid: str) -> None:
        """Raises `NetworkError`."""
        async with self.joining.radio:
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
            await self.joining.give_up()

    async def _step(self) -> float:
        """Look, decide, act; gives how long nothing will happen by itself."""
        status = await self.network.status()
        self.is_available = status.available
        if not status.available:
            self._warn(status.message, logging.INFO)
            self._memory.state = State(asked_until_s=self._memory.state.asked_until_s)
            self._tell()  # the LEDs end what the buttons began
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
            joining=self.joining.is_under_way,
        )

    async def _act(self, action: Action) -> None:
        logger.info("set-up network: %s", action.value)
        async with self.joining.radio:
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

    def _attempt_changed(self) -> None:
        self._tell()
        self._wake.set()

    def _tell(self) -> None:
        attempt = self.joining.last
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
