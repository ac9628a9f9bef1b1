"""Whether a device that was started delivers: the first that comes of it, its loss, or nothing in time."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from hw import HardwareError


class Delivery:
    """Its thread calls `come` at the first thing that it delivers, and `lose`."""

    def __init__(self) -> None:
        self._first: queue.SimpleQueue[HardwareError | None] = queue.SimpleQueue()
        self._lost: HardwareError | None = None

    def come(self) -> None:
        self._first.put(None)

    def lose(self, error: HardwareError) -> None:
        self._lost = error
        self._first.put(error)

    def trouble(self, start: Callable[[], None], timeout_s: float, look_s: float, silence: str) -> HardwareError | None:
        """Blocks: starts the device, waits for the first of it and watches it for `look_s` more. None: it works.
        `silence` says that nothing came. Raises what a broken driver raises.
        """
        try:
            start()
            if (error := self._first.get(timeout=timeout_s)) is not None:
                return error
        except HardwareError as exc:
            return exc
        except queue.Empty:
            return HardwareError(f"{silence} within {timeout_s:g} s")
        time.sleep(look_s)
        return self._lost
