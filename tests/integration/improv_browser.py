"""The published Improv client (npm: improv-wifi-serial-sdk) in a page, with a serial port that is a pty.

`make peers` fetches the package; Web Serial is played by the page's own script, which carries bytes over a WebSocket.
"""

from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

PACKAGE = Path(__file__).parents[2] / ".venv" / "peers" / "improv-wifi-serial-sdk-2.8.1.tgz"

_PAGE = """<!doctype html><title>Improv</title><link rel="icon" href="data:,">
<script src="/serial.js"></script>
<script type="module" src="/sdk/web/serial-launch-button.js"></script>
<improv-wifi-serial-launch-button></improv-wifi-serial-launch-button>
"""

_SERIAL = """
class Port {
  async open({ baudRate }) {
    this.baudRate = baudRate;
    const socket = this.socket = new WebSocket(`ws://${location.host}/wire`);
    socket.binaryType = "arraybuffer";
    await new Promise((done, failed) => { socket.onopen = done; socket.onerror = failed; });
    this.readable = new ReadableStream({
      start: (out) => { socket.onmessage = ({ data }) => out.enqueue(new Uint8Array(data)); },
    });
    this.writable = new WritableStream({ write: (bytes) => socket.send(bytes) });
  }
  async close() { this.socket.close(); }
  getInfo() { return {}; }
}
Object.defineProperty(navigator, "serial", { value: { requestPort: async () => window.port = new Port() } });
"""


def require_client() -> None:
    """Skips or, under CI=true, fails, where the package was not fetched."""
    if not PACKAGE.exists():
        reason = f"{PACKAGE.name} is missing: make peers fetches it with npm"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@asynccontextmanager
async def improv_page(master: int) -> AsyncIterator[str]:
    """The address of a page with the client's button, whose serial port is the pty of `master`."""
    require_client()
    with tarfile.open(PACKAGE) as package:
        files = {
            member.name.removeprefix("package/dist/"): _read(package, member)
            for member in package.getmembers()
            if member.name.startswith("package/dist/") and member.name.endswith(".js")
        }

    def script(text: str | bytes) -> web.Response:
        body = text.encode() if isinstance(text, str) else text
        return web.Response(body=body, content_type="text/javascript")

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def client(request: web.Request) -> web.Response:
        return script(files[request.match_info["path"].removesuffix(".js") + ".js"])  # it imports some without ".js"

    async def serial(_request: web.Request) -> web.Response:
        return script(_SERIAL)

    async def wire(request: web.Request) -> web.StreamResponse:
        socket: web.WebSocketResponse[Any] = web.WebSocketResponse()
        await socket.prepare(request)
        loop = asyncio.get_running_loop()
        sending: list[asyncio.Task[None]] = []
        loop.add_reader(master, lambda: sending.append(asyncio.create_task(socket.send_bytes(os.read(master, 4096)))))
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    os.write(master, message.data)
        finally:
            loop.remove_reader(master)
            await asyncio.gather(*sending, return_exceptions=True)
        return socket

    application = web.Application()
    application.add_routes(
        [
            web.get("/", page),
            web.get("/sdk/{path:.+}", client),
            web.get("/serial.js", serial),
            web.get("/wire", wire),
        ]
    )
    runner = web.AppRunner(application, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


def _read(package: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = package.extractfile(member)
    assert file is not None
    return file.read()
