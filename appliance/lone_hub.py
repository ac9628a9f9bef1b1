"""A hub and nothing else: rooms for others, without devices, a session or pages."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from appliance.config import Config
from appliance.process import say
from appliance.sdnotify import Notifier
from appliance.server import Server
from appliance.serving import Listener
from appliance.supervisor import ChildSpec, Supervisor
from appliance.web import MAX_BODY_BYTES
from appliance.web_access import guard, set_headers
from provisioning.http_json import answer
from provisioning.http_routes import add_routes


async def run_hub(config: Config, *, state_dir: Path) -> None:
    """Be a hub, and nothing else, until cancelled. Raises like `run`."""
    listener, notifier = Listener(config.web.host, config.web.port), Notifier()
    try:
        await _LoneHub(config, listener, state_dir).run(notifier)
    finally:
        notifier.stopping()
        notifier.close()
        listener.close()


class _LoneHub(Server):
    has_pages = False

    def __init__(self, config: Config, listener: Listener, state_dir: Path) -> None:
        super().__init__(config, listener, state_dir)

    async def run(self, notifier: Notifier) -> None:
        await self.prepare()
        supervisor = Supervisor("hub", [ChildSpec("web", self._serve)])
        await self.supervise(supervisor, self._announce, notifier)

    def prepare_media(self) -> None:
        from appliance.media import aiortc_hooks  # a hub that relays nothing has no media, and need not load it

        aiortc_hooks.install(self.config.network.ice_addresses)

    def _announce(self) -> None:
        say(f"hub {self.url.replace('http', 'ws', 1)}/hub/ws")
        if self.fingerprint:
            say(f"  fingerprint          SHA-256 {self.fingerprint}")
        say("  invite with          room-appliance token --room ROOM")

    async def _serve(self) -> None:
        hub = self.new_hub()
        application = web.Application(middlewares=[guard(self.access)], client_max_size=MAX_BODY_BYTES)
        application.add_routes([*hub.routes(), web.get("/", _home), web.get("/healthz", _healthy)])
        add_routes(application, hub.api_routes())
        application.on_response_prepare.append(set_headers)
        await self.serve(hub, application)


async def _home(_request: web.Request) -> web.Response:
    """For who types the hub's address into a browser."""
    return web.Response(text="This is a room hub. To enter a room, open the link that you were given.\n")


async def _healthy(_request: web.Request) -> web.Response:
    return answer({"status": "ok"})
