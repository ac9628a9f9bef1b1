"""What another hub's certificate is worth, against real TLS servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from appliance import hub_trust, tls
from appliance.config_sections import Web
from appliance.hub_trust import SeenHub, look_at
from tests.integration.programs import free_port


@asynccontextmanager
async def listening(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    talking: set[asyncio.Task[object]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        with suppress(OSError):
            await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
    await asyncio.gather(*talking)


async def test_a_units_own_certificate_is_shown_by_its_fingerprint(tmp_path: Path) -> None:
    context = tls.of_unit(tmp_path, Web(host_names=("unit.local",))).server
    fingerprint = tls.fingerprint(tmp_path)
    async with listening(context) as port:
        url = f"wss://127.0.0.1:{port}"
        assert await look_at(url) == SeenHub("own", fingerprint)
        assert await look_at(url, fingerprint) == SeenHub("pinned", fingerprint)
        other = ":".join(["00"] * 32)
        assert await look_at(url, other) == SeenHub("other", other)


async def test_a_certificate_that_everybody_trusts_needs_no_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tls.of_unit(tmp_path, Web(host_names=("unit.local",))).server
    trusting = ssl.create_default_context(cafile=str(tmp_path / tls.FILE_NAME))
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    async with listening(context) as port:
        assert await look_at(f"wss://127.0.0.1:{port}") == SeenHub("trusted")


async def test_without_tls_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_trust, "TIMEOUT_S", 0.3)
    async with listening(None) as port:
        assert await look_at(f"ws://127.0.0.1:{port}") == SeenHub("none")
        assert await look_at(f"wss://127.0.0.1:{port}", "AB") == SeenHub("unreachable", "AB")


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_nobody_answers(scheme: str) -> None:
    assert (await look_at(f"{scheme}://127.0.0.1:{free_port()}")).certificate == "unreachable"


async def test_somebody_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_trust, "TIMEOUT_S", 0.2)
    async with listening(None) as port, asyncio.timeout(2):
        assert (await look_at(f"wss://127.0.0.1:{port}")).certificate == "unreachable"
