"""The room page and its files."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from provisioning.assets import SHARED, Assets

STATIC = Path(__file__).parent / "static"
PAGE = "room.html"


class Pages(Assets):
    """The files below /hub/static. Reads them: make it in a thread."""

    def __init__(self) -> None:
        super().__init__(STATIC, *SHARED)

    async def room(self, request: web.Request) -> web.Response:
        """`GET /join/{room}`: the same page for every room; it reads the name from its address itself."""
        return self.page(request, PAGE)
