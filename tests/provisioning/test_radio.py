"""Counting who is in the access point, with an `iw` of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning import radio
from provisioning.radio import count_stations

DUMP = """Station 02:00:00:00:00:01 (on wlan0)
\tinactive time:\t304 ms
Station 02:00:00:00:00:02 (on wlan0)
\tinactive time:\t12 ms
"""


@pytest.fixture
def iw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "iw"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


async def test_stations_are_counted(iw: Path) -> None:
    write(iw, f"""[ "$*" = "dev wlan0 station dump" ] && printf '%s' '{DUMP}'""")
    assert await count_stations("wlan0") == 2
    assert await count_stations("wlan9") is None


async def test_nobody(iw: Path) -> None:
    write(iw, "exit 0")
    assert await count_stations("wlan0") == 0


async def test_one_that_hangs_is_ended(iw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(iw, "exec sleep 30")
    monkeypatch.setattr(radio, "IW_S", 0.1)
    assert await count_stations("wlan0") is None
