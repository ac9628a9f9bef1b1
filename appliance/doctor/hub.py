"""The hub of another unit: whether its address answers, with which certificate, and what time it is there."""

from __future__ import annotations

import asyncio
import ssl
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp

from appliance.doctor.finding import Fact, Finding
from appliance.tls import fingerprint_of, pinned

TIMEOUT_S = 5.0
CLOCKS_APART_S = 60.0


async def check_hub(url: str, fingerprint: str, timeout_s: float = TIMEOUT_S) -> list[Finding]:
    """Opens its WebSocket and closes it again without a word; then asks for the time."""
    start_s = time.monotonic()
    total = aiohttp.ClientTimeout(total=timeout_s)
    tls = pinned(fingerprint)
    async with aiohttp.ClientSession(timeout=total) as http:
        try:
            async with asyncio.timeout(timeout_s):
                async with http.ws_connect(url, ssl=tls or True):
                    took_ms = round(1000 * (time.monotonic() - start_s))
                skew_s = await _skew_s(http, url, tls or True)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            message, remedy = words(exc, url)
            if isinstance(exc, aiohttp.ClientConnectorCertificateError):
                remedy = await asyncio.to_thread(_trust_it, url, timeout_s)
            return [Finding("hub", "failed", f"{url}: {message}", remedy, {"url": url})]
    safety = "" if not url.startswith("wss:") else ", its certificate is the trusted one"
    facts: dict[str, Fact] = {"url": url, "took_ms": took_ms, "clock_skew_s": skew_s}
    findings = [Finding("hub", "ok", f"{url} answers in {took_ms} ms{safety}", facts=facts)]
    if skew_s is not None and abs(skew_s) > CLOCKS_APART_S:
        remedy = "room tokens fail when clocks disagree: let both be set from the network"
        late = f"the hub's clock is {abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}"
        findings.append(Finding("clock of the hub", "warning", late, remedy, {"clock_skew_s": skew_s}))
    return findings


def words(error: Exception, url: str) -> tuple[str, str]:
    """What failed and what to do about it."""
    match error:
        case aiohttp.ServerFingerprintMismatch():
            got = error.got.hex(":").upper()
            return (
                f"it has another certificate, SHA-256 {got}",
                "somebody is in between, or its certificate is new: compare with what the hub says at its start, "
                "then change [room] fingerprint",
            )
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is of no authority", "set [room] fingerprint"
        case aiohttp.ClientConnectorDNSError():
            return "the name is not known", "is the name right? An IP address works without a name server"
        case aiohttp.ClientConnectorSSLError():
            return "no TLS there", "is it ws:// instead of wss://, and is the port right?"
        case aiohttp.WSServerHandshakeError():
            return (
                f"answers {error.status} {error.message}",
                "the address of a hub ends in /hub/ws; is [hub] enabled there?",
            )
        case aiohttp.ClientConnectorError():
            return (
                error.strerror or "no connection",
                "does the hub run, are address and port right, are both on one network?",
            )
        case TimeoutError():
            return "no answer in time", "is it switched on and on this network? A firewall may drop what is sent there"
    return str(error) or type(error).__name__, f"is {url} the address of a hub?"


async def _skew_s(http: aiohttp.ClientSession, url: str, tls: aiohttp.Fingerprint | bool) -> float | None:
    """Seconds that the hub's clock is ahead; None when it does not say."""
    async with http.get(url.replace("ws", "http", 1), ssl=tls) as answer:
        try:
            there = parsedate_to_datetime(answer.headers.get("Date", ""))
        except (ValueError, TypeError):
            return None
    return round(there.timestamp() - time.time(), 1)


def _trust_it(url: str, timeout_s: float) -> str:
    """What the hub shows, for somebody who compares it with what the hub itself says."""
    parts = urlsplit(url)
    try:
        text = ssl.get_server_certificate((parts.hostname or "", parts.port or 443), timeout=timeout_s)
        shown = fingerprint_of(text.encode())
    except (OSError, ValueError):
        return "set [room] fingerprint to what the hub says at its start"
    return f'if the hub says this fingerprint at its start, trust it: [room] fingerprint = "{shown}"'
