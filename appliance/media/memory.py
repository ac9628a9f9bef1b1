"""Memory of closed legs goes back to the system: a unit called a thousand times is as small as on its first day.

aiortc leaves a leg's packets, cryptography and codecs in reference cycles, some megabytes each, which the garbage
collector would find after many legs; glibc then keeps the freed pages of its arenas. Nothing of it is a leak, but a
small board has no room for it.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc

SETTLE_S = 1.0  # after the last of several legs that close together; late callbacks have run by then

_pending: asyncio.TimerHandle | None = None


def reclaim_soon() -> None:
    """Reclaim once `SETTLE_S` after the last call. On the event loop; about 2 ms then.

    Only in a process whose imports are frozen (`gc.freeze`): elsewhere a full collection takes a tenth of a second.
    """
    global _pending
    if not gc.get_freeze_count():
        return
    if _pending is not None:
        _pending.cancel()
    _pending = asyncio.get_running_loop().call_later(SETTLE_S, _reclaim)


def _reclaim() -> None:
    global _pending
    _pending = None
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
