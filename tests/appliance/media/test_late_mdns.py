"""dnspython is loaded for the first peer that hides its address, and not before: in programs of their own, as other
tests have it loaded already."""

from __future__ import annotations

import subprocess
import sys

import pytest
from aioice import mdns
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.media.late_mdns import LateMdns


def printed(program: str) -> str:
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.strip()


@pytest.mark.parametrize("module", ["appliance.app", "appliance.room.client", "appliance.media.aiortc_hooks"])
def test_a_start_does_without(module: str) -> None:
    assert printed(f"import sys, {module}; print('aioice' in sys.modules, 'dns' in sys.modules)") == "True False"


def test_a_name_brings_it() -> None:
    program = """
import asyncio, sys
import appliance.media.aiortc_hooks
import aioice.ice
from appliance.media import late_mdns

async def main():
    real = await asyncio.to_thread(late_mdns._load)
    real.MDNS_PORT = 0  # another program may have the real one
    protocol = await aioice.ice.get_or_create_mdns_protocol("somebody")
    print(type(protocol) is real.MDnsProtocol, real is sys.modules["aioice.mdns"])
    await aioice.ice.unref_mdns_protocol("somebody")

asyncio.run(main())
"""
    assert printed(program) == "True True"


def test_who_has_it_keeps_it() -> None:
    program = "import aioice.mdns, appliance.media, sys; print(sys.modules['aioice.mdns'].__file__[-7:])"
    assert printed(program) == "mdns.py"


@given(st.text() | st.from_regex(r"[a-zA-Z0-9-]{0,70}\.local\n?"))
@example("4c1b3bb6-9e7b-4c0f-8f6c-5b1a6d2b8a3e.local")
@example("192.0.2.1")
def test_it_tells_the_same_names(name: str) -> None:
    assert LateMdns.is_mdns_hostname(name) == mdns.is_mdns_hostname(name)
