"""Of the clocks, the ICE agent and the peer connection."""

from __future__ import annotations

import asyncio
import inspect
import socket
import time
from typing import Any

import aioice.ice
import aiortc.clock
from aiortc import RTCConfiguration, RTCIceGatherer, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtcpRrPacket, RtpPacket

from appliance.media import aiortc_hooks as hooks
from appliance.media import transport_cc
from appliance.media.aiortc_hooks import clock
from appliance.media.aiortc_hooks import datagrams as datagram_hooks
from appliance.media.aiortc_hooks import ice as ice_hooks
from appliance.media.aiortc_hooks.selftest.stand_ins import Transport, check, receiver_info, uses


async def monotonic_clock() -> None:
    statistics: Any = StreamStatistics(1000)
    statistics.add(RtpPacket(sequence_number=1))
    check(abs(statistics._last_arrival / 1000 - time.monotonic()) < 1, "jitter is not measured in monotonic time")
    sender: Any = RTCRtpSender("audio", Transport())  # type: ignore[arg-type]
    sender._RTCRtpSender__lsr, sender._RTCRtpSender__lsr_time = 7, time.monotonic()
    await sender._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[receiver_info(sender._ssrc)]))
    check(abs(sender._RTCRtpSender__rtt) < 1, "the round trip time is not measured in monotonic time")
    before_s = aiortc.clock.current_ntp_time() / (1 << 32)
    wall: Any = aiortc.clock.current_datetime()
    check(abs(aiortc.clock.datetime_to_ntp(wall) / (1 << 32) - before_s) < 1, "the NTP clock is another one")
    check(abs(aiortc.clock.current_ms() / 1000 - before_s) < 1, "arrival times are of another clock")
    check(aiortc.clock.current_datetime is clock.monotonic_datetime, "the NTP clock is not monotonic")


async def ice_agent() -> None:
    ice: Any = aioice.ice
    connection = ice.Connection(ice_controlling=True)
    await connection.gather_candidates()
    hosts = {candidate.host for candidate in connection.local_candidates}
    await connection.close()
    allowed = set(ice.get_host_addresses(use_ipv4=True, use_ipv6=True))
    check(hosts <= allowed, f"candidates {hosts} are not the configured ones {allowed}")
    default = inspect.signature(ice.Connection.get_component_candidates).parameters["timeout"].default
    check(default == ice_hooks.STUN_TIMEOUT_S, f"a dead STUN server stalls for {default} s")
    check(RTCIceGatherer.getDefaultIceServers() == [], "a public STUN server is asked")
    gatherer: Any = RTCIceGatherer()
    check(gatherer._connection.stun_server is None, "a public STUN server is asked")


async def datagrams() -> None:
    ice: Any = aioice.ice
    connection = ice.Connection(ice_controlling=True)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: ice.StunProtocol(connection), local_addr=("127.0.0.1", 0)
    )
    protocol.local_candidate = aioice.Candidate("1", 1, "udp", 1, "127.0.0.1", 9, "host")
    connection._protocols.append(protocol)
    connection._nominated[1] = None
    late: list[bytes] = []  # what asyncio reads
    take = protocol.datagram_received

    def take_late(data: bytes, address: tuple[str, int]) -> None:
        late.append(data)
        take(data, address)

    protocol.datagram_received = take_late
    asked: list[Any] = []
    connection.request_received = lambda message, address, protocol: asked.append(message)
    request = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.connect(transport.get_extra_info("sockname"))
            for data in (bytes(request), b"\x16handshake", b"\x80media", b""):
                far.send(data)
            came = [await connection.recv() for _ in range(2)]
            check(came == [b"\x16handshake", b"\x80media"], f"datagrams come as {came}")
            taken: list[bytes] = []

            def take_media(size: int) -> bool:
                taken.append(bytes(datagram_hooks.buffer[:size]))
                return True

            connection.media_in = take_media
            far.send(b"\x80more")
            far.send(b"\x16end")
            check(await connection.recv() == b"\x16end", "media are not taken")
        check(not late, "asyncio reads them one by one")
        take(b"\x80relayed", ("127.0.0.1", 9))
        check(taken == [b"\x80more", b"\x80relayed"], f"media are taken as {taken}")
        check(len(asked) == 1, "STUN is taken for media")
    finally:
        transport.close()
        await connection.close()


async def connectivity_checks() -> None:
    uses(aioice.ice.Connection.connect, "_check_periodic")
    ice: Any = aioice.ice
    connection = ice.Connection(ice_controlling=True)
    started: list[Any] = []
    both = asyncio.Event()

    def start(pair: Any) -> None:
        pair.state = ice.CandidatePair.State.IN_PROGRESS
        started.append(pair)
        if len(started) == 2:
            both.set()

    connection.check_start_task = start
    here = aioice.Candidate("1", 1, "udp", 1, "127.0.0.1", 9, "host")
    connection._check_list = pairs = [ice.CandidatePair(None, here) for _ in range(2)]
    check(not connection._check_periodic(), "connecting waits for the pace of its checks")
    check(started == pairs[:1], "checks are not started one by one")
    await both.wait()


async def consent_checks() -> None:
    uses(aioice.ice.Connection.connect, "query_consent")
    asked = asyncio.Event()

    class Protocol:
        local_candidate = None

        async def request(self, *args: object, **kwargs: object) -> None:
            asked.set()

    ice: Any = aioice.ice
    connection = ice.Connection(ice_controlling=True)
    connection.remote_username, connection.remote_password = "user", "password"
    pair = ice.CandidatePair(Protocol(), aioice.Candidate("1", 1, "udp", 1, "127.0.0.1", 9, "host"))
    pair.protocol.local_candidate = pair.remote_candidate
    connection._nominated[1] = pair
    connection._query_consent_task = asyncio.create_task(connection.query_consent(), name="selftest-consent")
    await asked.wait()
    await connection.close()
    check(connection.consent_rtt_s < 1, "the round trip time is not kept")
    check(connection._query_consent_task.done(), "consent checks go on after close")


async def peer_connection() -> None:
    offering, answering = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    connecting = [hooks.Connecting(pc, lambda exc: None) for pc in (offering, answering)]
    try:
        offering.addTransceiver("audio", direction="sendonly")
        offer = await offering.createOffer()
        check("useinbandfec=1" in offer.sdp, "Opus is offered without FEC")
        check("transport-cc" in offer.sdp and transport_cc.URI in offer.sdp, "packets are offered without numbers")
        await offering.setLocalDescription(offer)
        await answering.setRemoteDescription(RTCSessionDescription(hooks.passive_offer(offer.sdp), "offer"))
        answer = await answering.createAnswer()
        check("a=setup:passive" in answer.sdp, "aiortc answers as DTLS client")
        await asyncio.sleep(0)
        check(all(each.attempts for each in connecting), "connecting is not watched")
        codec = hooks.negotiated_codec(answering.getTransceivers()[0])
        check(codec == "opus", f"the codec is {codec}")
        hooks.ice_agent(offering).consent_rtt_s = 0.5
        check(hooks.ice_rtt_s(offering) == 0.5, "the ICE agent is not found")
    finally:
        for each in connecting:
            await each.close()
