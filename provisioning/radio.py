"""What NetworkManager has no API for: the country whose radio rules hold, and who is in the own access point."""

from __future__ import annotations

import asyncio
import os
import re
import shutil

from dbus_fast import Variant

from provisioning.network import NetworkError
from provisioning.nm_api import Method
from provisioning.nm_bus import ServiceBus

IW_S = 3.0
_SUPPLICANT = "fi.w1.wpa_supplicant1"
_SUPPLICANT_PATH = "/fi/w1/wpa_supplicant1"
_STATION = re.compile(rb"^Station [0-9a-f:]{17} ", re.MULTILINE)


async def set_regulatory_country(interface: str, country: str, address: str | None = None) -> None:
    """Through wpa_supplicant, which may do it: members of the group netdev may ask it, without any privilege.

    It holds until the next start of the machine. `country`: ISO 3166, two capitals. Raises `NetworkError`.
    """
    if not re.fullmatch(r"[A-Z]{2}", country):
        raise NetworkError("invalid", f"{country!r} is no country; two capitals are, such as DE", "country")
    bus = ServiceBus(_SUPPLICANT, address)
    await bus.connect()
    try:
        (path,) = await bus.call(Method(_SUPPLICANT, "GetInterface", "s", "o"), _SUPPLICANT_PATH, interface)
        await bus.set(path, f"{_SUPPLICANT}.Interface", "Country", Variant("s", country))
    finally:
        bus.close()


async def count_stations(interface: str) -> int | None:
    """Devices that are joined to the access point on `interface`; None without `iw`, or where it does not know."""
    program = shutil.which("iw", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program,
        *("dev", interface, "station", "dump"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(IW_S):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return len(_STATION.findall(output)) if process.returncode == 0 else None
