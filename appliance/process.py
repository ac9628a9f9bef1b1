"""A process that runs one coroutine until it ends or a signal says stop."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from appliance.memory import keep_pages_small, keep_pictures_apart

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 1.8  # from the signal to the end of the process: "within 2 s" is promised
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main()`; SIGINT or SIGTERM cancels it and returns. Raises what `main` raises.

    After the first signal both have their default effect again, so that a second one ends the process at once, and a
    process still there after `STOP_TIMEOUT_S`, by a thread or a blocked loop, ends with status 1.

    When it hangs, systemd's watchdog sends SIGABRT, and where each thread stands goes to stderr before the end.

    What was imported by now is here to stay, and the garbage collector looks at it no more: a full collection of the
    media libraries' 70 000 objects takes a tenth of a second, and no thread plays a sound meanwhile. What a leg leaves
    in cycles, megabytes of packets and cryptography, is so collected after each leg or two instead of after many.
    """
    faulthandler.enable(file=2)  # stderr itself, whatever stands in for it in Python
    gc.freeze()
    gc.enable()  # off since the start: see starting.py
    keep_pictures_apart()
    keep_pages_small()
    asyncio.run(_until_signal(main))


async def _until_signal(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(main(), name="main")
    stopped = False

    def stop(number: signal.Signals) -> None:
        nonlocal stopped
        stopped = True
        for each in SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        deadline = threading.Timer(STOP_TIMEOUT_S, _end)
        deadline.daemon = True
        deadline.start()
        logger.info("%s: stopping", number.name)
        task.cancel()

    for each in SIGNALS:
        loop.add_signal_handler(each, stop, each)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise
    finally:
        if not stopped:
            for each in SIGNALS:
                loop.remove_signal_handler(each)


def _end() -> None:
    sys.stderr.write(f"room-appliance: not stopped within {STOP_TIMEOUT_S} s, ended by force\n")
    sys.stderr.flush()
    os._exit(1)


def say(line: str) -> None:
    """To whoever started the program."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
