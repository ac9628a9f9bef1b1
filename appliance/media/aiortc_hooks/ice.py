"""The ICE agent: what it offers, how it finds out that the peer is gone, and what it knows of the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aioice.ice
import aiortc.rtcicetransport
from aioice import stun
from aiortc import RTCPeerConnection

CONSENT_INTERVAL_S = 1.0
CONSENT_S = 4.5  # without an answer
STALLED_S = 1.0  # a timer that comes so late: this process did not run
GRACE_S = 2.0  # after that: for answers to new checks
CONSENT_RETRANSMISSIONS = 3  # 0.5, 1.5 and 3.5 s after the first
STUN_TIMEOUT_S = 2  # for a STUN or TURN server that does not answer; aioice waits 5 s

CHECK_PACE_S = 0.02  # aioice's
_stock_check_periodic = aioice.ice.Connection._check_periodic
host_addresses = aioice.ice.get_host_addresses  # every one of this machine, whichever may be offered


def install(addresses: Sequence[str], *, loopback: bool) -> None:
    def offered(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        found = list(addresses) or host_addresses(use_ipv4=use_ipv4, use_ipv6=use_ipv6)
        return [*found, "127.0.0.1"] if loopback and "127.0.0.1" not in found else found

    ice: Any = aioice.ice
    ice.get_host_addresses = offered
    ice.Connection.query_consent = query_consent
    ice.Connection._check_periodic = _check_periodic
    ice.Connection.get_component_candidates.__defaults__ = (STUN_TIMEOUT_S,)
    gatherer: Any = aiortc.rtcicetransport.RTCIceGatherer
    gatherer.getDefaultIceServers = classmethod(lambda cls: [])


def _check_periodic(connection: Any) -> bool:
    """The next check, and those after it at aioice's pace, while `connect` waits for an answer instead of the pace."""
    if not _stock_check_periodic(connection):
        return False
    if not connection._check_list:
        return True  # it would take that for a failure
    asyncio.get_running_loop().call_later(CHECK_PACE_S, _check_on, connection)
    return False


def _check_on(connection: Any) -> None:
    if _stock_check_periodic(connection):
        asyncio.get_running_loop().call_later(CHECK_PACE_S, _check_on, connection)


async def query_consent(connection: Any) -> None:
    """RFC 7675 with a deadline, and the round trip time of each check on the way.

    A check goes out every second, whether the one before was answered or not, and each is repeated: of the ten requests
    before the deadline one gets through also where a fifth of everything is lost, both ways.
    """
    loop = asyncio.get_running_loop()
    password = connection.remote_password.encode("utf8")
    answered_s = loop.time()

    async def check(pair: Any) -> None:
        nonlocal answered_s
        sent_s = loop.time()
        with suppress(stun.TransactionError):
            request = connection.build_request(pair, nominate=False)
            await pair.protocol.request(
                request, pair.remote_addr, integrity_key=password, retransmissions=CONSENT_RETRANSMISSIONS
            )
            answered_s = connection.consent_answered_s = loop.time()
            took_s = answered_s - sent_s
            if took_s < stun.RETRY_RTO or not hasattr(connection, "consent_rtt_s"):
                connection.consent_rtt_s = took_s  # later than that, it may answer the second request

    checks: set[asyncio.Task[None]] = set()
    try:
        while connection._nominated:
            task = asyncio.create_task(check(next(iter(connection._nominated.values()))), name="leg-consent-check")
            checks.add(task)
            task.add_done_callback(checks.discard)
            now_s = loop.time()
            look_s = min(now_s + CONSENT_INTERVAL_S * (0.8 + 0.4 * random.random()), answered_s + CONSENT_S)
            await asyncio.sleep(look_s - now_s)
            if loop.time() - look_s > STALLED_S:  # nobody was here to take an answer
                answered_s = max(answered_s, loop.time() - CONSENT_S + GRACE_S)
            if loop.time() - answered_s >= CONSENT_S:
                connection.consent_expired = True
                connection._query_consent_task = None
                break
    finally:
        for task in list(checks):
            task.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
    if connection._query_consent_task is None:
        await connection.close()


def ice_rtt_s(pc: RTCPeerConnection) -> float | None:
    """Round trip time of the newest consent check; None before the first answer."""
    rtt_s: float | None = getattr(ice_agent(pc), "consent_rtt_s", None)
    return rtt_s


def consent_answered_s(pc: RTCPeerConnection) -> float | None:
    """Monotonic time of the newest answer to a consent check; None before the first."""
    answered_s: float | None = getattr(ice_agent(pc), "consent_answered_s", None)
    return answered_s


def consent_expired(pc: RTCPeerConnection) -> bool:
    """Whether the connection was given up because the peer did not answer."""
    return bool(getattr(ice_agent(pc), "consent_expired", False))


def local_address(pc: RTCPeerConnection) -> str | None:
    """The own end of the pair that carries the media, a relay's for a relayed one; None while there is none."""
    nominated: dict[int, Any] = getattr(ice_agent(pc), "_nominated", {})
    candidate = next((pair.protocol.local_candidate for pair in nominated.values()), None)
    return candidate.host if candidate is not None else None


def ice_agent(pc: RTCPeerConnection) -> Any:
    """The aioice.Connection of a bundled peer connection; None before it has a transceiver."""
    transceivers = pc.getTransceivers()
    ice: Any = transceivers[0].receiver.transport.transport if transceivers else None
    return getattr(ice, "_connection", None)
