"""Each hook of `aiortc_hooks` run once on real aiortc and aioice objects, without any network beyond this machine.

A hook may fail in silence: an override of a name that nobody calls any more. So each test drives aiortc and looks at
what came out at the other end of the hook.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aioice.ice
import aiortc.clock
import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCSessionDescription
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcicetransport import RTCIceGatherer
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, StreamStatistics
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    HeaderExtensionsMap,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtpPacket,
    is_rtcp,
    pack_remb_fci,
)

from appliance.errors import HookError
from appliance.media import aiortc_hooks as hooks
from appliance.media.feedback import BitrateEstimate, ReceiverReport
from appliance.media.frames import EncodedFrame
from appliance.media.payload import packetize_vp8
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


async def _consent_checks() -> None:
    connect: Any = aioice.ice.Connection.connect
    _check("query_consent" in connect.__code__.co_names, "connections do not start consent checks")
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


def _figure(feedback: ReceiverReport | BitrateEstimate) -> float:
    return feedback.loss if isinstance(feedback, ReceiverReport) else feedback.bitrate_bps


async def _sending() -> None:
    frames: asyncio.Queue[EncodedFrame] = asyncio.Queue()
    frames.put_nowait(EncodedFrame((b"one", b"two"), 960, True, 33, 0.0))
    transport = _Transport()
    sender = RTCRtpSender("audio", transport)  # type: ignore[arg-type]
    sender.replaceTrack(RemoteStreamTrack("audio"))
    heard: list[object] = []
    hooks.send_encoded(sender, frames.get)
    hooks.on_sender_feedback(sender, lambda: heard.append("key"), lambda feedback: heard.append(_figure(feedback)))
    parameters = RTCRtpSendParameters(codecs=CODECS["audio"][:1], headerExtensions=HEADER_EXTENSIONS["audio"])
    extensions = HeaderExtensionsMap()
    extensions.configure(parameters)
    await sender.send(parameters)
    try:
        packets = [RtpPacket.parse(await transport.rtp.get(), extensions) for _ in range(2)]
        _check([packet.payload for packet in packets] == [b"one", b"two"], "payloads are changed")
        _check([packet.marker for packet in packets] == [0, 1], "the marker is not on the last packet")
        _check(packets[0].extensions.audio_level == (False, 33), "the audio level is not sent")
        await asyncio.sleep(0)
        _check(hooks.outbound_counts(sender) == (2, 6), f"counts are {hooks.outbound_counts(sender)}")
        inner: Any = sender
        remb = pack_remb_fci(200_000, [inner._ssrc])
        for packet in (
            RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=inner._ssrc),
            RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=remb),
            RtcpRrPacket(ssrc=1, reports=[_report(inner._ssrc)]),
        ):
            await inner._handle_rtcp_packet(packet)
        _check(heard == ["key", 200_000, 0.25], f"feedback came as {heard}")
    finally:
        await sender.stop()


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


async def _receiving_video() -> None:
    transport = _Transport()
    receiver = RTCRtpReceiver("video", transport)  # type: ignore[arg-type]
    inner: Any = receiver
    inner._track = track = RemoteStreamTrack("video")
    inner._set_rtcp_ssrc(1)
    video = RemoteVideo()
    target = VideoReceiver(video)
    hooks.receive_video(receiver, target)
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
    finally:
        await target.close()
        await receiver.stop()
    _check(track._queue.get_nowait() is None, "the decoder thread is not ours")


_TESTS: tuple[Callable[[], Awaitable[None]], ...] = (
    _monotonic_clock,
    _ice_agent,
    _consent_checks,
    _peer_connection,
    _sending,
    _receiving_audio,
    _receiving_video,
)
