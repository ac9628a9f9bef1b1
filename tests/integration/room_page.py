"""A hub with its room page, and what the people in front of it sound and look like."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web

from appliance.hub.server import Hub
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import TokenSigner
from hw.frame_code import draw_code
from provisioning.http_routes import add_routes
from tests.integration import browser

SECRET = b"a secret of the tests, 32 bytes or more"
API_TOKEN = "api-token"
ANNA_HZ, BORIS_HZ = 440, 1500
ANNA_CODE, BORIS_CODE = 1000, 5000  # the first of thirty


class Served:
    """A hub that can be killed and started again at the same address."""

    def __init__(self, settings: HubSettings) -> None:
        self.settings = settings
        self.port = 0
        self.hub: Hub | None = None
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application()
        self.hub = Hub(self.settings, TokenSigner(SECRET), is_api_token=lambda token: token == API_TOKEN)
        application.add_routes(self.hub.routes())
        add_routes(application, self.hub.api_routes())
        await self.hub.start()
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        hub, runner, self.hub, self._runner = self.hub, self._runner, None, None
        if hub is not None and runner is not None:
            await hub.close()
            await runner.cleanup()

    def url(self, room: str = "lobby") -> str:
        return f"http://127.0.0.1:{self.port}/join/{room}"

    def link(self, user: str, *, room: str = "lobby", ttl_s: float = 600, secret: bytes = SECRET) -> str:
        token = TokenSigner(secret).sign(user, room, "host", user.capitalize(), ttl_s, time.time())
        return f"{self.url()}#token={token}"

    async def admin(self, method: str, path: str, **body: str) -> None:
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"http://127.0.0.1:{self.port}/admin/rooms/{path}", json=body) as answer,
        ):
            assert answer.status == 204, await answer.text()


def code_clip(path: Path, first: int) -> Path:
    """Pictures with frame codes first, first + 1, ... first + 29."""

    def pictures() -> Any:
        for number in range(30):
            luma = np.full((360, 640), 96, np.uint8)
            draw_code(luma, first + number)
            yield luma

    return browser.write_clip(path, pictures())
