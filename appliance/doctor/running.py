"""A unit that runs already: it is asked how its devices are, and none of them is touched."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from appliance import tls
from appliance.config import Config
from appliance.doctor.finding import Finding
from appliance.server import API_TOKEN_VARIABLE
from provisioning.api_tokens import ApiTokenError, ApiTokens

TIMEOUT_S = 3.0
LOGS = "journalctl -u room-appliance says why"


@dataclass(frozen=True, slots=True)
class RunningUnit:
    """`state`: its `GET /api/state`; empty when this user may not ask for it."""

    url: str
    is_healthy: bool
    state: dict[str, Any] = field(default_factory=dict)


def find(config: Config, state_dir: Path) -> RunningUnit | None:
    """The unit that serves the configured port, if one does."""
    if not config.web.port:
        return None
    return asyncio.run(_ask(config, state_dir))


def describe(unit: RunningUnit) -> Finding:
    if unit.is_healthy:
        return Finding("web", "ok", f"a unit runs at {unit.url}", facts={"url": unit.url})
    return Finding("web", "failed", f"the unit at {unit.url} says that it failed", LOGS, {"url": unit.url})


def check_devices(unit: RunningUnit, config: Config) -> Iterator[Finding]:
    """What the unit says of each device; opening one would take it from the call."""
    if not unit.state:
        message = "in use by the running unit; not touched"
        remedy = "run this as the unit's own user, or look at its page, or stop it: systemctl stop room-appliance"
        for name in ("camera", "microphone", "speaker", "front panel", "display"):
            yield Finding(name, "skipped", message, remedy)
        return
    device, health = unit.state.get("device", {}), unit.state.get("health", {})
    for name, driver in (("camera", config.video.driver), ("microphone", config.audio.driver)):
        if device.get(name):
            yield Finding(name, "ok", "the running unit uses it, and it delivers")
        elif driver == "none":
            yield Finding(name, "skipped", "none is configured")
        else:
            yield Finding(name, "failed", "the running unit has none that works", LOGS)
    yield Finding("speaker", "skipped", "in use by the running unit; not touched", "call the unit and listen")
    for name, key in (("front panel", "front-panel"), ("display", "display")):
        said = str(health.get(key, ""))
        if not said:
            yield Finding(name, "skipped", "the running unit has none")
        elif said == "ok":
            yield Finding(name, "ok", "the running unit uses it, and it works")
        elif said.startswith("ok"):
            yield Finding(name, "skipped", f"the running unit says: {said}")
        else:
            yield Finding(name, "failed", f"the running unit says: {said}", LOGS)


async def _ask(config: Config, state_dir: Path) -> RunningUnit | None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.web.host, config.web.host)
    scheme = "http" if config.web.tls == "off" else "https"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.web.port}"
    own = tls.pinned(await asyncio.to_thread(tls.fingerprint, state_dir))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        try:
            async with http.get(f"{url}/healthz", ssl=own or _unchecked()) as answer:
                if answer.headers.get("Server") != "room-appliance":
                    return None
                is_healthy = answer.status == 200
            if scheme == "https" and own is None:  # a token goes to the unit itself and to nobody else
                return RunningUnit(url, is_healthy)
            with _token(state_dir) as token:
                headers = {"Authorization": f"Bearer {token}"}
                async with http.get(f"{url}/api/state", headers=headers, ssl=own or True) as answer:
                    state = await answer.json() if answer.status == 200 else {}
            return RunningUnit(url, is_healthy, state if isinstance(state, dict) else {})
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None


@contextmanager
def _token(state_dir: Path) -> Iterator[str]:
    """The one of the environment, else one made for this question; "" for who is not the user of the unit.

    Root would leave a file behind that the unit cannot read.
    """
    if given := os.environ.get(API_TOKEN_VARIABLE, "").strip():
        yield given
        return
    tokens = ApiTokens(state_dir)
    try:
        made, token = tokens.create("doctor", "read") if state_dir.stat().st_uid == os.geteuid() else (None, "")
    except (ApiTokenError, OSError):
        made, token = None, ""
    try:
        yield token
    finally:
        if made is not None:
            with suppress(ApiTokenError):
                tokens.revoke(made.id)


def _unchecked() -> ssl.SSLContext:
    """For a question that holds no secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
