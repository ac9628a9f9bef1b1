"""A real hub, with and without TLS, seen by the doctor of another unit."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from appliance import tls
from appliance.config_sections import Web
from appliance.doctor import hub as hub_check
from appliance.doctor.finding import Finding
from appliance.hub.server import Hub
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import TokenSigner


@asynccontextmanager
async def a_hub(context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address behind the scheme."""
    hub = Hub(HubSettings(), TokenSigner(b"x" * 32))
    application = web.Application()
    application.add_routes(hub.routes())
    runner = web.AppRunner(application)
    await runner.setup()
    await hub.start()
    listening = socket.create_server(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listening, ssl_context=context).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}/hub/ws"
    finally:
        await hub.close()
        await runner.cleanup()


async def seen(url: str, fingerprint: str = "") -> Finding:
    [finding] = await hub_check.check_hub(url, fingerprint)
    return finding


async def test_a_hub_that_answers() -> None:
    async with a_hub() as address:
        finding = await seen(f"ws://{address}")
    assert finding.status == "ok", finding
    assert isinstance(finding.facts["took_ms"], int)
    skew_s = finding.facts["clock_skew_s"]
    assert isinstance(skew_s, float)
    assert abs(skew_s) < 5


async def test_clocks_that_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_check, "CLOCKS_APART_S", -1.0)
    async with a_hub() as address:
        _, finding = await hub_check.check_hub(f"ws://{address}", "")
    assert (finding.check, finding.status) == ("clock of the hub", "warning")


async def test_certificates(tmp_path: Path) -> None:
    server = (await asyncio.to_thread(tls.of_unit, tmp_path, Web())).server
    own, other = tls.fingerprint(tmp_path), ":".join(["AB"] * 32)
    async with a_hub(server) as address:
        trusted = await seen(f"wss://{address}", own)
        foreign = await seen(f"wss://{address}", other)
        unknown = await seen(f"wss://{address}")
        plain = await seen(f"ws://{address}")
    assert trusted.status == "ok", trusted
    assert foreign.status == unknown.status == plain.status == "failed"
    assert own in foreign.message
    assert f'[room] fingerprint = "{own}"' in unknown.remedy


async def test_plain_hub_asked_for_tls() -> None:
    async with a_hub() as address:
        finding = await seen(f"wss://{address}")
    assert (finding.status, "ws://" in finding.remedy) == ("failed", True)


async def test_what_is_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_hub() as address:
        finding = await seen(f"ws://{address.replace('/hub/ws', '/elsewhere')}")
    assert (finding.status, "404" in finding.message, "/hub/ws" in finding.remedy) == ("failed", True, True)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        finding = await seen(f"ws://127.0.0.1:{closed.getsockname()[1]}/hub/ws")
    assert "does the hub run" in finding.remedy
    finding = await seen("ws://nobody.invalid/hub/ws")
    assert "name" in finding.message
    with socket.create_server(("127.0.0.1", 0)) as silent:
        [finding] = await hub_check.check_hub(f"ws://127.0.0.1:{silent.getsockname()[1]}/", "", timeout_s=0.2)
    assert finding.message.endswith("no answer in time")
