"""Push to talk: the microphone's gate is open while somebody holds a button, and shut when the last one lets go.

With `[audio] duplex = "push-to-talk"` it is shut at the start; in every mode a hold opens a gate that is shut. Who
holds by HTTP holds for some seconds, and says it again: a client that is gone lets go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress


class Talk:
    """Used on the event loop. `move` shuts (True) or opens the gate, at once, and then tells the room."""

    def __init__(
        self, move: Callable[[bool], Awaitable[None]], is_shut: Callable[[], bool], *, rests_shut: bool = False
    ) -> None:
        self._move = move
        self._is_shut = is_shut
        self._until_s: dict[str, float] = {}  # who holds, and how long
        self._changed = asyncio.Event()
        self._rests_shut = self._rested_shut = rests_shut  # as wanted, as told

    @property
    def is_held(self) -> bool:
        return bool(self._until_s)

    async def hold(self, who: str, seconds: float = float("inf")) -> None:
        """Opens the gate, or holds it open for longer. Where it is open anyway, nothing changes now or later."""
        if not self.is_held and not self._is_shut():
            return
        is_first = not self.is_held
        self._until_s[who] = time.monotonic() + seconds
        self._changed.set()
        if is_first:
            await self._move(False)

    async def release(self, who: str) -> None:
        """Shuts the gate, unless somebody else holds it open, or nobody did."""
        if self._until_s.pop(who, None) is not None and not self.is_held:
            await self._move(True)

    def rest(self, *, shut: bool) -> None:
        """How the gate is to be while nobody holds it: push to talk begins, or ends."""
        self._rests_shut = shut
        self._changed.set()

    def forget(self) -> bool:
        """Nobody holds any more; whether somebody did."""
        was_held = self.is_held
        self._until_s.clear()
        return was_held

    async def run(self) -> None:
        """Until cancelled: lets go for those whose time is over."""
        while True:
            self._changed.clear()
            await self._rest()
            next_s = min(self._until_s.values(), default=float("inf"))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, next_s - time.monotonic()) if next_s < float("inf") else None):
                    await self._changed.wait()
            now_s = time.monotonic()
            for who in [who for who, until_s in self._until_s.items() if until_s <= now_s]:
                await self.release(who)

    async def _rest(self) -> None:
        if self._rests_shut != self._rested_shut:
            self._rested_shut = self._rests_shut
            if not self.is_held:
                await self._move(self._rests_shut)
