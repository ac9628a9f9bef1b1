"""Each hook of `aiortc_hooks` run once on real aiortc and aioice objects, without any network beyond this machine.

A hook may fail in silence: an override of a name that nobody calls any more. So each test drives aiortc and looks at
what came out at the other end of the hook.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aioice.ice
import aiortc.clock
import av
import numpy as np
from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, StreamStatistics
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    is_rtcp,
    pack_remb_fci,
)
from pylibsrtp import Policy, Session

from appliance.errors import HookError
from appliance.media import aiortc_hooks as hooks
from appliance.media import transport_cc
from appliance.media.feedback import BitrateEstimate, Feedback, ReceiverReport, TransportReport
from appliance.media.frames import EncodedFrame
from appliance.media.payload import packetize_vp8
from appliance.media.rtp_out import RtpStream
from appliance.media.rtp_port import RtpPort
from appliance.media.video_encoder import VideoEncoder
from appliance.media.video_in import RemoteVideo
from appliance.media.video_receiver import VideoReceiver

TIMEOUT_S = 2.0
_SSRC = 1234


async def run() -> None:
    """Raises HookError that names the first hook that does not work. Needs `aiortc_hooks.install` before."""
    for test in _TESTS:
        name = test.__name__.removeprefix("_").replace("_", " ")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await test()
        except Exception as exc:
            raise HookError(f"aiortc hook '{name}' does not work with the installed aiortc or aioice: {exc!r}") from exc


class _IceTransport:
    _connection = None


class _Transport:
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


def _check(fact: bool, what: str) -> None:
    if not fact:
        raise AssertionError(what)


def _uses(function: Any, *names: str) -> None:
    missing = set(names) - set(function.__code__.co_names)
    _check(not missing, f"{function.__qualname__} does not use {missing} any more")


async def _monotonic_clock() -> None:
    statistics: Any = StreamStatistics(1000)
    statistics.add(RtpPacket(sequence_number=1))
    _check(abs(statistics._last_arrival / 1000 - time.monotonic()) < 1, "jitter is not measured in monotonic time")
    sender: Any = RTCRtpSender("audio", _Transport())  # type: ignore[arg-type]
    sender._RTCRtpSender__lsr, sender._RTCRtpSender__lsr_time = 7, time.monotonic()
    await sender._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[_report(sender._ssrc)]))
    _check(abs(sender._RTCRtpSender__rtt) < 1, "the round trip time is not measured in monotonic time")
    before_s = aiortc.clock.current_ntp_time() / (1 << 32)
    wall: Any = aiortc.clock.current_datetime()
    _check(abs(aiortc.clock.datetime_to_ntp(wall) / (1 << 32) - before_s) < 1, "the NTP clock is another one")
    _check(aiortc.clock.current_datetime is hooks.monotonic_datetime, "the NTP clock is not monotonic")


async def _ice_agent() -> None:
    ice: Any = aioice.ice
    connection = ice.Connection(ice_controlling=True)
    await connection.gather_candidates()
    hosts = {candidate.host for candidate in connection.local_candidates}
    await connection.close()
    allowed = set(ice.get_host_addresses(use_ipv4=True, use_ipv6=True))
    _check(hosts <= allowed, f"candidates {hosts} are not the configured ones {allowed}")
    default = inspect.signature(ice.Connection.get_component_candidates).parameters["timeout"].default
    _check(default == hooks.STUN_TIMEOUT_S, f"a dead STUN server stalls for {default} s")
    _check(RTCIceGatherer.getDefaultIceServers() == [], "a public STUN server is asked")
    gatherer: Any = RTCIceGatherer()
    _check(gatherer._connection.stun_server is None, "a public STUN server is asked")


async def _datagrams() -> None:
    ice: Any = aioice.ice
    connection = ice.Connection(ice_controlling=True)
    protocol = ice.StunProtocol(connection)
    protocol.local_candidate = aioice.Candidate("1", 1, "udp", 1, "127.0.0.1", 9, "host")
    connection._nominated[1] = None
    protocol.datagram_received(b"\x80media", ("127.0.0.1", 9))
    _check(await connection.recv() == b"\x80media", "media are taken for STUN")
    asked: list[Any] = []
    connection.request_received = lambda message, address, protocol: asked.append(message)
    request = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    protocol.datagram_received(bytes(request), ("127.0.0.1", 9))
    _check(len(asked) == 1, "STUN is taken for media")


async def _consent_checks() -> None:
    _uses(aioice.ice.Connection.connect, "query_consent")
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
    _check(connection.consent_rtt_s < 1, "the round trip time is not kept")
    _check(connection._query_consent_task.done(), "consent checks go on after close")


async def _peer_connection() -> None:
    offering, answering = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    connecting = [hooks.Connecting(pc, lambda exc: None) for pc in (offering, answering)]
    try:
        offering.addTransceiver("audio", direction="sendonly")
        offer = await offering.createOffer()
        _check("useinbandfec=1" in offer.sdp, "Opus is offered without FEC")
        _check("transport-cc" in offer.sdp and transport_cc.URI in offer.sdp, "packets are offered without numbers")
        await offering.setLocalDescription(offer)
        await answering.setRemoteDescription(RTCSessionDescription(hooks.passive_offer(offer.sdp), "offer"))
        answer = await answering.createAnswer()
        _check("a=setup:passive" in answer.sdp, "aiortc answers as DTLS client")
        await asyncio.sleep(0)
        _check(all(each.attempts for each in connecting), "connecting is not watched")
        codec = hooks.negotiated_codec(answering.getTransceivers()[0])
        _check(codec == "opus", f"the codec is {codec}")
        hooks.ice_agent(offering).consent_rtt_s = 0.5
        _check(hooks.ice_rtt_s(offering) == 0.5, "the ICE agent is not found")
    finally:
        for each in connecting:
            await each.close()


def _report(ssrc: int) -> RtcpReceiverInfo:
    return RtcpReceiverInfo(
        ssrc=ssrc, fraction_lost=64, packets_lost=3, highest_sequence=9, jitter=5, lsr=7, dlsr=1 << 10
    )


class _Calls:
    """Hears what a sender tells."""

    def __init__(self) -> None:
        self.rtp: asyncio.Future[RtpStream] = asyncio.get_running_loop().create_future()
        self.heard: list[object] = []

    def on_start(self, rtp: RtpStream) -> None:
        self.rtp.set_result(rtp)

    def on_keyframe_request(self) -> None:
        self.heard.append("key")

    def on_nack(self, lost: Sequence[int]) -> None:
        self.heard.append(list(lost))

    def on_feedback(self, feedback: Feedback) -> None:
        self.heard.append(feedback.loss if isinstance(feedback, ReceiverReport) else feedback)


class _Far:
    """A socket that decrypts what an RTCDtlsTransport sends to it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self._agent: Any = None
        self._session = Session(Policy(key=bytes(30), ssrc_type=Policy.SSRC_ANY_INBOUND))

    async def connect(self) -> RTCDtlsTransport:
        """With keys and a nominated pair, as after a handshake."""
        dtls: Any = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer()), [RTCCertificate.generateCertificate()])
        dtls._state = type(dtls._state).CONNECTED
        dtls._tx_srtp = Session(Policy(key=bytes(30), ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        ice: Any = aioice.ice
        agent = self._agent = dtls.transport._connection
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: ice.StunProtocol(agent), local_addr=("127.0.0.1", 0)
        )
        protocol.local_candidate = aioice.Candidate("1", 1, "udp", 1, "127.0.0.1", self.port, "host")
        agent._protocols.append(protocol)
        agent._nominated[1] = ice.CandidatePair(protocol, protocol.local_candidate)
        transport: RTCDtlsTransport = dtls
        return transport

    async def close(self) -> None:
        if self._agent is not None:
            await self._agent.close()
        self.socket.close()

    async def receive(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self.socket, 2048)
        return self._session.unprotect_rtcp(data) if is_rtcp(data) else self._session.unprotect(data)


async def _sending() -> None:
    dtls: Any = RTCDtlsTransport
    ice: Any = aioice.ice.Connection
    _uses(dtls._setup_srtp, "_tx_srtp")
    _uses(dtls._send_rtp, "_state", "_tx_srtp")
    _uses(ice.sendto, "_nominated", "protocol", "remote_addr")
    _uses(aioice.ice.StunProtocol.send_data, "transport", "sendto")
    far = _Far()
    try:
        await _send_to(far)
    finally:
        await far.close()


async def _send_to(far: _Far) -> None:
    transport = await far.connect()
    sender = RTCRtpSender("audio", transport)
    sender.replaceTrack(RemoteStreamTrack("audio"))
    port, calls = RtpPort(), _Calls()
    reports: list[TransportReport] = []
    hooks.take_over_sender(sender, port, calls, transport_cc.SentPackets(reports.append))
    parameters = RTCRtpSendParameters(
        codecs=CODECS["audio"][:1], headerExtensions=HEADER_EXTENSIONS["audio"], muxId="mid"
    )
    extensions = HeaderExtensionsMap()
    extensions.configure(parameters)
    await sender.send(parameters)
    inner: Any = sender
    try:
        rtp = await calls.rtp
        now_s = time.monotonic()
        rtp.send(EncodedFrame((b"one", b"two", b"3"), 960, True, 33, now_s), 0, 3, now_s)
        packets = [RtpPacket.parse(await far.receive(), extensions) for _ in range(3)]
        _check([packet.payload for packet in packets] == [b"one", b"two", b"3"], "payloads are changed")
        _check([packet.marker for packet in packets] == [0, 0, 1], "the marker is not on the last packet")
        first = packets[0]
        _check(first.ssrc == inner._ssrc and first.payload_type == 96, "the stream is another one")
        _check(first.extensions.audio_level == (False, 33), "the audio level is not sent")
        _check(first.extensions.mid == "mid", "the medium's id is not sent")
        numbers = [packet.extensions.transport_sequence_number for packet in packets]
        _check(numbers == [0, 1, 2], f"the packets are numbered {numbers}")
        told = transport_cc.build(transport_cc.Statuses(0, 0, (4, None)), 0)
        feedback = RtcpPacket.parse(transport_cc.rtcp(told, 1, inner._rtx_ssrc))[0]
        for recipient in transport._rtp_router.route_rtcp(feedback):
            await recipient._handle_rtcp_packet(feedback)
        fates = [fate.arrived_s for fate in reports[0].packets] if reports else []
        _check(fates == [0.001, None], f"transport-wide feedback came as {fates}")
        _uses(inner._run_rtcp, "_send_rtcp")
        await inner._send_rtcp([RtcpSrPacket(inner._ssrc, RtcpSenderInfo(0, 0, 0, 0))])
        report = RtcpPacket.parse(await far.receive())[0]
        about: Any = getattr(report, "sender_info", None)
        _check((about.packet_count, about.octet_count) == (3, 7), f"the sender report says {about}")
        _check(inner._RTCRtpSender__lsr == about.ntp_timestamp >> 16 & 0xFFFFFFFF, "its answer is not known")
        remb = pack_remb_fci(200_000, [inner._ssrc])
        for packet in (
            RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=inner._ssrc),
            RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=remb),
            RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=inner._ssrc, lost=[5, 6]),
            RtcpRrPacket(ssrc=1, reports=[_report(inner._ssrc)]),
        ):
            await inner._handle_rtcp_packet(packet)
        estimate = calls.heard[1]
        _check(isinstance(estimate, BitrateEstimate) and estimate.bitrate_bps == 200_000, f"REMB came as {estimate}")
        _check(calls.heard[::2] == ["key", [5, 6]] and calls.heard[3] == 0.25, f"feedback came as {calls.heard}")
    finally:
        await sender.stop()
    goodbye = RtcpPacket.parse(await far.receive())[0]
    _check(isinstance(goodbye, RtcpByePacket), "the receiver is not told of the end")


async def _transport_feedback() -> None:
    far = _Far()
    try:
        dtls: Any = await far.connect()
        pc = _Answering(dtls)
        reports = hooks.ArrivalReports(pc, interval_s=0.0)  # type: ignore[arg-type]
        extensions = HeaderExtensionsMap()
        extensions.configure(RTCRtpSendParameters(headerExtensions=HEADER_EXTENSIONS["video"]))
        dtls._rtp_header_extensions_map = extensions
        packet = RtpPacket(payload_type=96, ssrc=5, sequence_number=3)
        packet.extensions.transport_sequence_number = 77
        await dtls._handle_rtp_data(packet.serialize(extensions), arrival_time_ms=0)
        _uses(RTCDtlsTransport._recv_next, "_handle_rtp_data")
        feedback: Any = RtcpPacket.parse(await far.receive())[0]
        reports.close()
        _check((feedback.fmt, feedback.media_ssrc) == (transport_cc.FMT, 5), f"the sender hears {feedback}")
        statuses = transport_cc.parse(feedback.fci)
        _check((statuses.base, len(statuses.ticks)) == (77, 1), f"the sender hears of {statuses}")
    finally:
        await far.close()


class _Answering:
    """A peer connection with one transceiver that receives."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        transceiver = RTCRtpTransceiver("video", RTCRtpReceiver("video", dtls), RTCRtpSender("video", dtls))
        inner: Any = transceiver
        inner._codecs = CODECS["video"][:1]
        self._transceivers = [transceiver]

    def getTransceivers(self) -> list[RTCRtpTransceiver]:
        return self._transceivers


async def _receiving_audio() -> None:
    receiver = RTCRtpReceiver("audio", _Transport())  # type: ignore[arg-type]
    inner: Any = receiver
    inner._track = RemoteStreamTrack("audio")
    taken: list[tuple[int, int, bytes, float]] = []
    hooks.take_audio_packets(receiver, lambda *packet: taken.append(packet))
    first: list[bool] = []
    inbound = hooks.Inbound(receiver, lambda: first.append(True))
    codec = CODECS["audio"][0]
    payload_type = codec.payloadType or 0
    await receiver.receive(RTCRtpReceiveParameters(codecs=[codec]))
    try:
        for number in (5, 7):
            packet = RtpPacket(payload_type=payload_type, sequence_number=number, payload=b"sound")
            await inner._handle_rtp_packet(packet, arrival_time_ms=0)
    finally:
        hooks.stop_decoding(receiver)
        await receiver.stop()
    _check([packet[:3] for packet in taken] == [(5, 0, b"sound"), (7, 0, b"sound")], f"packets came as {taken}")
    _check(inbound.counts()[:2] == (2, 3) and inbound.bytes == 10 and first == [True], "packets are not counted")
    _check((inbound.codec, inbound.repeated_bytes) == ("opus", 0), "codecs are not known")


async def _receiving_video() -> None:
    transport = _Transport()
    receiver = RTCRtpReceiver("video", transport)  # type: ignore[arg-type]
    inner: Any = receiver
    inner._track = track = RemoteStreamTrack("video")
    inner._set_rtcp_ssrc(1)
    video = RemoteVideo()
    target = VideoReceiver(video)
    hooks.receive_video(receiver, target)
    reports: list[tuple[float, int]] = []
    hooks.on_sender_report(receiver, lambda ntp_s, timestamp: reports.append((ntp_s, timestamp)))
    codec = CODECS["video"][0]
    payload_type = codec.payloadType or 0
    await receiver.receive(RTCRtpReceiveParameters(codecs=[codec]))
    encoder = VideoEncoder("vp8", 64, 64, 30)
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), "yuv420p")
    number = 0

    async def feed(*, keyframe: bool, skip: int = 0) -> None:
        nonlocal number
        number += skip
        picture = encoder.encode(frame, number * 3000, keyframe=keyframe, bitrate_bps=100_000, now_s=0.0)
        assert picture is not None
        for payload in packetize_vp8(picture.data, number):
            packet = RtpPacket(payload_type=payload_type, sequence_number=number, timestamp=number * 3000)
            packet.ssrc, packet.payload, packet.marker = _SSRC, payload, 1
            number += 1
            await inner._handle_rtp_packet(packet, arrival_time_ms=0)

    try:
        await feed(keyframe=True)
        with video.watch():
            pli = RtcpPacket.parse(await transport.rtcp.get())[0]
            _check(getattr(pli, "media_ssrc", None) == _SSRC, f"a key frame is asked for with {pli}")
            await feed(keyframe=False)
            await feed(keyframe=True)
            await video.wait_frame()
            _check(video.stats().frames_decoded == 1, "decoding does not begin with a key frame")
            await feed(keyframe=False, skip=1)
            nack = RtcpPacket.parse(await transport.rtcp.get())[0]
            _check(getattr(nack, "lost", None) == [3], f"a lost packet is asked for with {nack}")
            info = RtcpSenderInfo(ntp_timestamp=7 << 31, rtp_timestamp=9, packet_count=0, octet_count=0)
            await inner._handle_rtcp_packet(RtcpSrPacket(ssrc=_SSRC, sender_info=info))
            _check(reports == [(3.5, 9)], f"a sender report says {reports}")
    finally:
        await target.close()
        await receiver.stop()
    _check(track._queue.get_nowait() is None, "the decoder thread is not ours")


_TESTS: tuple[Callable[[], Awaitable[None]], ...] = (
    _monotonic_clock,
    _ice_agent,
    _datagrams,
    _consent_checks,
    _peer_connection,
    _sending,
    _transport_feedback,
    _receiving_audio,
    _receiving_video,
)
