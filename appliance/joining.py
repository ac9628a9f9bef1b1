"""One wish at a time to change the network, and the memory of how it went.

start_join() -> "joining" -- GOODBYE_S, for the answer to reach the phone --> network.connect -> "joined" | "failed"
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from msgspec import structs

from appliance.network_info import Attempt, AttemptError, Memory
from provisioning.network import Network, NetworkError, StaticAddress, WifiJoin
from provisioning.network_check import check_join, check_static

logger = logging.getLogger(__name__)

GOODBYE_S = 1.0  # for the answer to reach the phone before the access point goes


class BusyError(Exception):
    """Another wish is under way."""


class Joining:
    """`radio` is held by whoever moves the network. `on_change` follows each attempt's begin and end; `keep_country`
    saves the country of a join that worked."""

    def __init__(
        self,
        network: Network,
        memory: Memory,
        on_change: Callable[[], None],
        keep_country: Callable[[str], Awaitable[None]] | None,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.radio = asyncio.Lock()
        self._network = network
        self._memory = memory
        self._on_change = on_change
        self._keep_country = keep_country
        self._clock = clock
        self._sleep = sleep
        self._trying: asyncio.Task[None] | None = None

    @property
    def last(self) -> Attempt | None:
        if self._memory.attempt is None:
            return None
        attempt, at_s = self._memory.attempt
        return structs.replace(attempt, age_s=round(self._clock() - at_s, 1))

    @property
    def is_under_way(self) -> bool:
        return self._memory.attempt is not None and self._memory.attempt[0].state == "joining"

    def check_free(self) -> None:
        """Raises `BusyError` while a wish is under way."""
        if self.is_under_way:
            raise BusyError("the unit is joining a network; wait until that is decided")

    async def join(self, join: WifiJoin) -> None:
        """Into a network, for good. Raises `NetworkError`, and `BusyError`; cancelled, all is as before."""
        check_join(join)
        attempt = self._begin("wifi", join.ssid)
        await self._carry_out(attempt, lambda: self._connect(join))

    def start_join(self, join: WifiJoin) -> None:
        """`join` without waiting for its end, which `last` tells. Raises only for what cannot be begun."""
        check_join(join)
        self._start(self._begin("wifi", join.ssid), lambda: self._connect(join))

    def start_ethernet(self, static: StaticAddress | None) -> None:
        """A static address for the wired network or, None, DHCP again; like `start_join`."""
        if static is not None:
            check_static(static)
        self._start(self._begin("ethernet", None), lambda: self._network.set_ethernet(static))

    async def give_up(self) -> None:
        """What is under way is taken back."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
            if self.is_under_way and self._memory.attempt is not None:  # it had not begun yet
                self._failed(self._memory.attempt[0], "timeout", "it was given up")

    async def _connect(self, join: WifiJoin) -> None:
        await self._network.connect(join)
        if join.country and self._keep_country is not None:
            await self._keep_country(join.country)

    def _begin(self, what: Literal["wifi", "ethernet"], ssid: str | None) -> Attempt:
        self.check_free()
        attempt = Attempt(what=what, ssid=ssid, state="joining", age_s=0.0)
        self._remember(attempt)
        return attempt

    def _start(self, attempt: Attempt, run: Callable[[], Awaitable[None]]) -> None:
        async def carry_out() -> None:
            try:
                await self._carry_out(attempt, run, GOODBYE_S)
            except NetworkError:
                pass  # it is remembered
            except Exception:
                logger.exception("joining failed")

        self._trying = asyncio.create_task(carry_out(), name="onboarding-attempt")

    async def _carry_out(self, attempt: Attempt, run: Callable[[], Awaitable[None]], delay_s: float = 0.0) -> None:
        try:
            if delay_s:
                await self._sleep(delay_s)
            async with self.radio:
                await run()
            status = await self._network.status()
        except NetworkError as exc:
            self._failed(attempt, exc.code, str(exc), exc.field)
            logger.warning("not joined: %s", exc)
            raise
        except asyncio.CancelledError:
            self._failed(attempt, "timeout", "it was given up")
            raise
        except Exception:
            self._failed(attempt, "failed", "this failed inside the unit; its log says more")
            raise
        interface = status.connected(attempt.what)
        addresses = interface.addresses if interface is not None else ()
        self._remember(structs.replace(attempt, state="joined", addresses=addresses))
        logger.info("joined %s", attempt.ssid or attempt.what)

    def _failed(self, attempt: Attempt, code: str, message: str, field: str = "") -> None:
        error = AttemptError(code=code, message=message, field=field or None)
        self._remember(structs.replace(attempt, state="failed", error=error))

    def _remember(self, attempt: Attempt) -> None:
        self._memory.attempt = attempt, self._clock()
        self._on_change()
