"""One named thread that does something at even steps of the monotonic clock, without drift."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hw import HardwareError, OnLost

Tick = Callable[[int, float], None]

_CATCH_UP_S = 0.2  # a pause up to this long is made up for; after a longer one (a stopped process) steps are skipped


class Pacer:
    """From `start` to `close` it calls `tick(n, due_s)` at start + n * period_s; steps skipped after a long pause are
    missing from n.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        return self._thread is not None and not self._stop.is_set()

    def start(self, period_s: float, prepare: Callable[[], Tick], on_lost: OnLost) -> None:
        """`prepare` runs first, in the thread, and returns the tick: what is slow to make does not hold up the caller.

        A HardwareError out of either ends the thread and goes to `on_lost`. What ran before is closed.
        """
        self.close()
        stop = self._stop = threading.Event()

        def run() -> None:
            try:
                _pace(prepare(), period_s, stop)
            except HardwareError as error:
                on_lost(error)

        self._thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop and wait for the thread; from the thread itself it only asks to stop. Idempotent."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None


def _pace(tick: Tick, period_s: float, stop: threading.Event) -> None:
    start_s = time.monotonic()
    step = 0
    while True:
        due_s = start_s + step * period_s
        late_s = time.monotonic() - due_s
        if late_s > _CATCH_UP_S:
            step += int(late_s / period_s)
            due_s = start_s + step * period_s
        if stop.wait(max(0.0, due_s - time.monotonic())):
            return
        tick(step, due_s)
        step += 1
