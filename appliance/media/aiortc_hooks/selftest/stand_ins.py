"""What the tests of the hooks put at the other end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aioice.ice
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.rtp import RtcpReceiverInfo, is_rtcp
from pylibsrtp import Policy, Session


class _IceTransport:
    _connection = None


class Transport:
    """Stands for an RTCDtlsTransport: keeps what is sent."""

    state = "connected"
    _stats_id = "transport"

    def __init__(self) -> None:
        self.transport = _IceTransport()
        self.rtp: asyncio.Queue[bytes] = asyncio.Queue()
        self.rtcp: asyncio.Queue[bytes] = asyncio.Queue()

    async def _send_rtp(self, data: bytes) -> None:
        (self.rtcp if is_rtcp(data) else self.rtp).put_nowait(data)

    def _ignore(self, *args: object) -> None:
        pass

    _register_rtp_sender = _unregister_rtp_sender = _register_rtp_receiver = _unregister_rtp_receiver = _ignore


class Far:
    """A socket that decrypts what an RTCDtlsTransport sends to it, and encrypts what it sends to that."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self._agent: Any = None
        self._address: tuple[str, int] | None = None
        self._inbound = Session(Policy(key=bytes(30), ssrc_type=Policy.SSRC_ANY_INBOUND))
        self._outbound = Session(Policy(key=bytes(30), ssrc_type=Policy.SSRC_ANY_OUTBOUND))

    async def connect(self) -> RTCDtlsTransport:
        """With keys and a nominated pair, as after a handshake."""
        dtls: Any = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer()), [RTCCertificate.generateCertificate()])
        dtls._state = type(dtls._state).CONNECTED
        dtls._tx_srtp = Session(Policy(key=bytes(30), ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        dtls._rx_srtp = Session(Policy(key=bytes(30), ssrc_type=Policy.SSRC_ANY_INBOUND))
        ice: Any = aioice.ice
        agent = self._agent = dtls.transport._connection
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: ice.StunProtocol(agent), local_addr=("127.0.0.1", 0)
        )
        protocol.local_candidate = aioice.Candidate("1", 1, "udp", 1, "127.0.0.1", self.port, "host")
        agent._protocols.append(protocol)
        agent._nominated[1] = ice.CandidatePair(protocol, protocol.local_candidate)
        self._address = transport.get_extra_info("sockname")
        connected: RTCDtlsTransport = dtls
        return connected

    async def close(self) -> None:
        if self._agent is not None:
            await self._agent.close()
        self.socket.close()

    async def receive(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self.socket, 2048)
        return self._inbound.unprotect_rtcp(data) if is_rtcp(data) else self._inbound.unprotect(data)

    def send(self, rtp: bytes) -> None:
        assert self._address is not None
        self.socket.sendto(self._outbound.protect(rtp), self._address)


def receiver_info(ssrc: int) -> RtcpReceiverInfo:
    return RtcpReceiverInfo(
        ssrc=ssrc, fraction_lost=64, packets_lost=3, highest_sequence=9, jitter=5, lsr=7, dlsr=1 << 10
    )


def check(fact: bool, what: str) -> None:
    if not fact:
        raise AssertionError(what)


def uses(function: Any, *names: str) -> None:
    missing = set(names) - set(function.__code__.co_names)
    check(not missing, f"{function.__qualname__} does not use {missing} any more")
