"""Of the receivers."""

from __future__ import annotations

import asyncio
from typing import Any

import av
import numpy as np
from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import HeaderExtensionsMap, RtcpPacket, RtcpSenderInfo, RtcpSrPacket, RtpPacket

from appliance.media import aiortc_hooks as hooks
from appliance.media import transport_cc
from appliance.media.aiortc_hooks.selftest.stand_ins import Far, Transport, check, uses
from appliance.media.parity import CODEC as PARITY
from appliance.media.parity import parity
from appliance.media.payload import packetize_vp8
from appliance.media.rtp_in import ReceivedPacket
from appliance.media.video_encoder import VideoEncoder
from appliance.media.video_in import RemoteVideo
from appliance.media.video_receiver import VideoReceiver

_SSRC = 1234


async def media() -> None:
    """From the socket to a receiver: early ones by aiortc's queue, then at once, and reported to the sender."""
    far = Far()
    try:
        dtls: Any = await far.connect()
        codec = CODECS["video"][0]
        payload_type = codec.payloadType or 0
        parameters = RTCRtpReceiveParameters(codecs=[codec], headerExtensions=HEADER_EXTENSIONS["video"])
        pc = _Answering(dtls)
        receiver = pc.getTransceivers()[0].receiver
        dtls._register_rtp_receiver(receiver, parameters)
        taken: asyncio.Queue[ReceivedPacket] = asyncio.Queue()
        hooks.take_packets(receiver, taken.put_nowait)
        reports = hooks.ArrivalReports(pc, interval_s=0.0)  # type: ignore[arg-type]
        media_in = hooks.MediaIn(pc)  # type: ignore[arg-type]
        extensions = HeaderExtensionsMap()
        extensions.configure(RTCRtpSendParameters(headerExtensions=HEADER_EXTENSIONS["video"]))
        packet = RtpPacket(payload_type=payload_type, ssrc=5, sequence_number=3, payload=b"picture")
        packet.extensions.transport_sequence_number = 77
        await dtls._handle_rtp_data(packet.serialize(extensions), arrival_time_ms=0)
        early = taken.get_nowait()
        uses(RTCDtlsTransport._recv_next, "_handle_rtp_data")
        packet.sequence_number, packet.extensions.transport_sequence_number = 4, 78
        far.send(packet.serialize(extensions))
        got = early, await taken.get()
        for number, each in enumerate(got):
            check(each[:5] == (payload_type, False, 3 + number, 0, 5), f"a packet comes as {each}")
            check((each.payload, each.transport_number) == (b"picture", 77 + number), f"a packet comes as {each}")
        check(media_in.refused == 0, "packets are refused")
        feedback: Any = RtcpPacket.parse(await far.receive())[0]
        reports.close()
        check((feedback.fmt, feedback.media_ssrc) == (transport_cc.FMT, 5), f"the sender hears {feedback}")
        statuses = transport_cc.parse(feedback.fci)
        check((statuses.base, len(statuses.ticks)) == (77, 2), f"the sender hears of {statuses}")
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


async def receiving_audio() -> None:
    receiver = RTCRtpReceiver("audio", Transport())  # type: ignore[arg-type]
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
            inner.take_rtp(ReceivedPacket(payload_type, False, number, 0, _SSRC, b"sound", 5))
    finally:
        hooks.stop_decoding(receiver)
        await receiver.stop()
    check([packet[:3] for packet in taken] == [(5, 0, b"sound"), (7, 0, b"sound")], f"packets came as {taken}")
    check(inbound.counts()[:2] == (2, 3) and inbound.bytes == 10 and first == [True], "packets are not counted")
    check((inbound.codec, inbound.repeated_bytes) == ("opus", 0), "codecs are not known")


async def receiving_video() -> None:
    transport = Transport()
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
    protection = next(known for known in CODECS["video"] if known.name == PARITY)
    await receiver.receive(RTCRtpReceiveParameters(codecs=[codec, protection]))
    encoder = VideoEncoder("vp8", 64, 64, 30)
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), "yuv420p")
    number = 0

    async def feed(*, keyframe: bool, skip: int = 0) -> None:
        nonlocal number
        number += skip
        picture = encoder.encode(frame, number * 3000, keyframe=keyframe, bitrate_bps=100_000, now_s=0.0)
        assert picture is not None
        for payload in packetize_vp8(picture.data, number):
            inner.take_rtp(ReceivedPacket(payload_type, True, number, number * 3000, _SSRC, payload, len(payload)))
            number += 1

    try:
        await feed(keyframe=True)
        with video.watch():
            pli = RtcpPacket.parse(await transport.rtcp.get())[0]
            check(getattr(pli, "media_ssrc", None) == _SSRC, f"a key frame is asked for with {pli}")
            await feed(keyframe=False)
            await feed(keyframe=True)
            await video.wait_frame()
            check(video.stats().frames_decoded == 1, "decoding does not begin with a key frame")
            await feed(keyframe=False, skip=1)
            nack = RtcpPacket.parse(await transport.rtcp.get())[0]
            check(getattr(nack, "lost", None) == [3], f"a lost packet is asked for with {nack}")
            data = parity(3, [b"x"], ends=True)
            inner.take_rtp(ReceivedPacket(protection.payloadType or 0, False, 1, 9000, _SSRC + 1, data, len(data)))
            check(video.stats().recovered == 1, "parities do not come")
            info = RtcpSenderInfo(ntp_timestamp=7 << 31, rtp_timestamp=9, packet_count=0, octet_count=0)
            await inner._handle_rtcp_packet(RtcpSrPacket(ssrc=_SSRC, sender_info=info))
            check(reports == [(3.5, 9)], f"a sender report says {reports}")
    finally:
        await target.close()
        await receiver.stop()
    check(track._queue.get_nowait() is None, "the decoder thread is not ours")
