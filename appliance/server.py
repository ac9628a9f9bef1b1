"""What the unit and the lone hub have in common: the port, the hub behind it, the secrets of both, and systemd."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from appliance import tls
from appliance.config import Config
from appliance.connections import MAX_CONNECTIONS, MAX_PER_ADDRESS, Places, allow_files
from appliance.errors import ConfigError
from appliance.hub import token_secret
from appliance.hub.log_store import DIRECTORY as HUB_LOGS
from appliance.hub.recordings import DIRECTORY as RECORDINGS
from appliance.hub.relay_layout import IMAGES
from appliance.hub.server import Hub
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import TokenSigner
from appliance.redact import hide
from appliance.sdnotify import Notifier, feed_watchdog
from appliance.serving import Listener
from appliance.state_dir import HUB_STORE_FILE, TOKEN_SECRET_FILE
from appliance.supervisor import Supervisor, is_healthy
from appliance.web_access import Access
from provisioning import auth
from provisioning.api_tokens import new_token
from provisioning.auth import Auth
from provisioning.claim import ClaimError
from provisioning.password import PasswordError

API_TOKEN_VARIABLE = "ROOM_APPLIANCE_API_TOKEN"
CLOSE_S = 0.25  # for the closing handshake of a WebSocket: everything ends within 2 s


class DemoOwner:
    """Of a demo: a claim code of its own each time, nobody's password yet, and an API token to try. In memory only."""

    def __init__(self, state_dir: Path) -> None:
        self.api_token = given_token() or new_token()
        self._state_dir = state_dir
        self.forget()

    def forget(self) -> None:
        """As at start. Blocks."""
        self.auth = auth.load(self._state_dir, extra_tokens=(self.api_token,), in_memory=True)


class Server:
    """Base of both programs: call `prepare`, then `supervise` children of which one is `serve`."""

    has_pages = True

    def __init__(
        self, config: Config, listener: Listener, state_dir: Path, *, demo_owner: DemoOwner | None = None
    ) -> None:
        self.config = config
        self.listener = listener
        self.demo_owner = demo_owner
        self.auth: Auth
        self.access: Access
        self.signer: TokenSigner
        self.tls: tls.Tls | None = None
        self._state_dir = state_dir
        self._secret_file = state_dir / TOKEN_SECRET_FILE

    async def prepare(self) -> None:
        """Secrets from the state directory. Raises `ConfigError` when it cannot be used."""
        if self.demo_owner is not None:
            self.auth = self.demo_owner.auth
        else:
            token = given_token()
            try:
                self.auth = await asyncio.to_thread(auth.load, self._state_dir, extra_tokens=(token,) if token else ())
            except (ClaimError, PasswordError) as exc:
                raise ConfigError(str(exc)) from exc
        claim = self.auth.claim
        hide(claim.code, claim.code.replace("-", ""), claim.key)
        self.hide_secrets()
        self.access = Access(
            self.auth,
            lambda: tls.host_names() | {name.lower() for name in self.config.web.host_names},
            loopback_only=self.is_demo,
            open_pages=self.is_demo,
            has_pages=self.has_pages,
        )
        self.signer = TokenSigner(await asyncio.to_thread(token_secret.load_or_create_keys, self._secret_file))
        if self.config.web.tls != "off":
            self.tls = await asyncio.to_thread(tls.of_unit, self._state_dir, self.config.web)

    def hide_secrets(self) -> None:
        """Of the settings that are in effect now: from the log."""
        room = self.config.room
        hide(room.token, room.encryption_secret, quote(room.encryption_secret, safe=""), self.config.hub.turn_secret)

    def new_hub(self) -> Hub:
        hub = self.config.hub
        settings = HubSettings(
            secure=hub.secure,
            room_capacity=hub.room_capacity,
            video_codecs=("h264", "vp8") if hub.video_codec == "any" else (hub.video_codec,),
            max_connections=hub.max_connections,
            max_connections_per_address=hub.max_connections_per_address,
            duplicate_login=hub.duplicate_login,
            close_timeout_s=CLOSE_S,
            stun_urls=hub.ice_servers,
            turn_urls=hub.turn_urls,
            turn_secret=hub.turn_secret,
            demo_tokens=self.is_demo,
            token_ttl_s=hub.token_ttl,
            relay=hub.relay,
            relay_hosts=hub.relay_hosts,
            relay_tasks=hub.relay_tasks,
            recordings_bytes=hub.recordings_mb * 1_000_000,
            recordings_age_s=hub.recordings_days * 86_400.0,
        )
        return Hub(
            settings,
            self.signer,
            is_api_token=self._is_admin if hub.admin else None,
            store_path=self._state_dir / HUB_STORE_FILE,
            logs_path=self._state_dir / HUB_LOGS,
            recordings_path=self._state_dir / RECORDINGS,
            images_path=self._state_dir / IMAGES,
            prepare_media=self.prepare_media,
        )

    def prepare_media(self) -> None:
        """Called in a thread when the hub is about to have its first media leg; the unit is ready for it anyhow."""

    def _is_admin(self, token: str) -> bool:
        known = self.auth.tokens.find(token)
        return known is not None and known.scope == "admin"

    async def serve(self, hub: Hub | None, application: web.Application, plain: socket.socket | None = None) -> None:
        try:
            if hub is not None:
                await hub.start()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(token_secret.follow(self._secret_file, self.signer), name="token-secret")
                if self.tls is not None:
                    tasks.create_task(self.tls.keep(), name="certificate")
                server_tls = self.tls.server if self.tls is not None else None
                await self.listener.serve(application, server_tls, plain, self._places())
        finally:
            if hub is not None:
                await hub.close()

    def _places(self) -> Places:
        """As many connections as pages and API need, and those of the hub."""
        hub = self.config.hub
        most = MAX_CONNECTIONS + max(0, hub.max_connections - HubSettings().max_connections)
        allow_files(2 * most)
        beyond = max(0, hub.max_connections_per_address - HubSettings().max_connections_per_address)
        return Places(most, MAX_PER_ADDRESS + beyond)

    @property
    def client_tls(self) -> ssl.SSLContext | None:
        """For this unit as a guest of its own hub."""
        return self.tls.client if self.tls is not None else None

    @property
    def fingerprint(self) -> str:
        """What others pin; empty without TLS."""
        return self.tls.fingerprint if self.tls is not None else ""

    @property
    def is_demo(self) -> bool:
        return self.demo_owner is not None

    @property
    def url(self) -> str:
        scheme = "http" if self.config.web.tls == "off" else "https"
        return f"{scheme}://{self._host}:{self.listener.port}"

    @property
    def own_hub_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/hub/ws"

    @property
    def _host(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.config.web.host, self.config.web.host)
        return f"[{host}]" if ":" in host else host

    async def supervise(self, supervisor: Supervisor, announce: Callable[[], None], notifier: Notifier) -> None:
        """Run `supervisor`; `announce` once the port is served."""

        async def tell() -> None:
            await self.listener.serving.wait()
            announce()
            notifier.ready(self.url)
            await feed_watchdog(notifier, lambda: is_healthy(supervisor.health()))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tell(), name="watchdog")
            tasks.create_task(supervisor.run(), name=supervisor.name)


def given_token() -> str:
    """The API token that the environment gives; empty: none."""
    return os.environ.get(API_TOKEN_VARIABLE, "").strip()
