"""aioice's mDNS, with dnspython behind it, is loaded for the first peer that hides its address behind a name.

Few do, for browsers show the addresses of a page that may use the camera. It would be 25 ms of each start on a PC, a
fifth of a second on a small board, and 3 MB.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from types import ModuleType
from typing import Any

NAME = "aioice.mdns"
_HOSTNAME = re.compile(r"^[a-zA-Z0-9-]{1,63}\.local$")  # aioice's


class LateMdns(ModuleType):
    """What `aioice.ice` uses of `aioice.mdns`."""

    MDnsProtocol = asyncio.DatagramProtocol  # there it is an annotation

    @staticmethod
    def is_mdns_hostname(name: str) -> bool:
        return _HOSTNAME.match(name) is not None

    @staticmethod
    async def create_mdns_protocol() -> Any:
        module = await asyncio.to_thread(_load)
        return await module.create_mdns_protocol()


def install() -> None:
    """Before aioice is imported; afterwards it has its own already, and nothing changes."""
    if "aioice" not in sys.modules:
        sys.modules[NAME] = LateMdns(NAME)


def _load() -> Any:
    if isinstance(sys.modules.get(NAME), LateMdns):
        del sys.modules[NAME]
    return importlib.import_module(NAME)
