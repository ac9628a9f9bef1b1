"""A look at another hub's certificate before the unit is sent there: a unit's own one is trusted by its fingerprint."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from appliance.tls import fingerprints_of_der

TIMEOUT_S = 4.0

HubCertificate = Literal["none", "trusted", "own", "pinned", "other", "unreachable"]


@dataclass(frozen=True, slots=True)
class SeenHub:
    """`fingerprint`: SHA-256 "AB:CD:..." to pin; empty where there is nothing to pin."""

    certificate: HubCertificate
    fingerprint: str = ""


async def look_at(url: str, pinned: str = "") -> SeenHub:
    """What the hub at `url` (ws:// or wss://) shows, within `TIMEOUT_S`. `pinned`: the fingerprint that it should have;
    that one is kept where the hub cannot be reached."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "wss"
    host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
    if not is_tls:
        return SeenHub("none" if await _connect(host, port, None) is not None else "unreachable")
    context = await asyncio.to_thread(_any_certificate)
    der = await _connect(host, port, context)
    if not der:
        return SeenHub("unreachable", pinned)
    try:
        fingerprints = fingerprints_of_der(der)
    except ValueError:
        return SeenHub("unreachable", pinned)
    if pinned:
        return SeenHub("pinned" if pinned.upper() in fingerprints else "other", pinned)
    if await _connect(host, port, await asyncio.to_thread(ssl.create_default_context)) is not None:
        return SeenHub("trusted")
    return SeenHub("own", fingerprints[0])


async def _connect(host: str, port: int, context: ssl.SSLContext | None) -> bytes | None:
    """The certificate (DER; b"" without TLS) of whoever answers there; None when nobody does, or not as `context`
    wants it."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _reader, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=host if context is not None else None
            )
    except (OSError, ValueError):  # also TimeoutError, ssl.SSLError and names that are none
        return None
    seen = writer.get_extra_info("ssl_object")
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    return seen.getpeercert(binary_form=True) or b"" if seen is not None else b""


def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
