"""One named thread that does something at even steps of the monotonic clock, without drift."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hw import HardwareError

Tick = Callable[[int, float], None]

_CATCH_UP_S = 0.2  # a pause up to this long is made up for; after a longer one (a stopped process) steps are skipped


class Pacer:
    """Calls `tick(n, due_s)` at start + n * period_s until closed; steps skipped after a long pause are missing from n.

    `prepare` runs first, in the thread, and returns the tick: what is slow to make does not hold up the caller.
    A HardwareError out of either ends the thread and goes to `on_lost`.
    """

    def __init__(
        self, name: str, period_s: float, prepare: Callable[[], Tick], on_lost: Callable[[HardwareError], None]
    ) -> None:
        self._period_s = period_s
        self._prepare = prepare
        self._on_lost = on_lost
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop and wait for the thread; from the thread itself it only asks to stop."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._pace(self._prepare())
        except HardwareError as error:
            self._on_lost(error)

    def _pace(self, tick: Tick) -> None:
        start_s = time.monotonic()
        step = 0
        while True:
            due_s = start_s + step * self._period_s
            late_s = time.monotonic() - due_s
            if late_s > _CATCH_UP_S:
                step += int(late_s / self._period_s)
                due_s = start_s + step * self._period_s
            if self._stop.wait(max(0.0, due_s - time.monotonic())):
                return
            tick(step, due_s)
            step += 1
