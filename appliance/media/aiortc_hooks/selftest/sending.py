"""Of the senders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import aioice.ice
from aiortc import RTCDtlsTransport, RTCRtpSender
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
)

from appliance.media import aiortc_hooks as hooks
from appliance.media import transport_cc
from appliance.media.aiortc_hooks.selftest.stand_ins import Far, check, receiver_info, uses
from appliance.media.feedback import BitrateEstimate, Feedback, ReceiverReport, TransportReport
from appliance.media.frames import EncodedFrame
from appliance.media.rtp_out import RtpStream
from appliance.media.rtp_port import RtpPort


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


async def sending() -> None:
    dtls: Any = RTCDtlsTransport
    ice: Any = aioice.ice.Connection
    uses(dtls._setup_srtp, "_tx_srtp")
    uses(dtls._send_rtp, "_state", "_tx_srtp")
    uses(ice.sendto, "_nominated", "protocol", "remote_addr")
    uses(aioice.ice.StunProtocol.send_data, "transport", "sendto")
    far = Far()
    try:
        await _send_to(far)
    finally:
        await far.close()


async def _send_to(far: Far) -> None:
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
        check([packet.payload for packet in packets] == [b"one", b"two", b"3"], "payloads are changed")
        check([packet.marker for packet in packets] == [0, 0, 1], "the marker is not on the last packet")
        first = packets[0]
        check(first.ssrc == inner._ssrc and first.payload_type == 96, "the stream is another one")
        check(first.extensions.audio_level == (False, 33), "the audio level is not sent")
        check(first.extensions.mid == "mid", "the medium's id is not sent")
        numbers = [packet.extensions.transport_sequence_number for packet in packets]
        check(numbers == [0, 1, 2], f"the packets are numbered {numbers}")
        told = transport_cc.build(transport_cc.Statuses(0, 0, (4, None)), 0)
        feedback = RtcpPacket.parse(transport_cc.rtcp(told, 1, inner._rtx_ssrc))[0]
        for recipient in transport._rtp_router.route_rtcp(feedback):
            await recipient._handle_rtcp_packet(feedback)
        fates = [fate.arrived_s for fate in reports[0].packets] if reports else []
        check(fates == [0.001, None], f"transport-wide feedback came as {fates}")
        uses(inner._run_rtcp, "_send_rtcp")
        await inner._send_rtcp([RtcpSrPacket(inner._ssrc, RtcpSenderInfo(0, 0, 0, 0))])
        report = RtcpPacket.parse(await far.receive())[0]
        about: Any = getattr(report, "sender_info", None)
        check((about.packet_count, about.octet_count) == (3, 7), f"the sender report says {about}")
        check(inner._RTCRtpSender__lsr == about.ntp_timestamp >> 16 & 0xFFFFFFFF, "its answer is not known")
        remb = pack_remb_fci(200_000, [inner._ssrc])
        for packet in (
            RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=inner._ssrc),
            RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=remb),
            RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=inner._ssrc, lost=[5, 6]),
            RtcpRrPacket(ssrc=1, reports=[receiver_info(inner._ssrc)]),
        ):
            await inner._handle_rtcp_packet(packet)
        estimate = calls.heard[1]
        check(isinstance(estimate, BitrateEstimate) and estimate.bitrate_bps == 200_000, f"REMB came as {estimate}")
        check(calls.heard[::2] == ["key", [5, 6]] and calls.heard[3] == 0.25, f"feedback came as {calls.heard}")
    finally:
        await sender.stop()
    goodbye = RtcpPacket.parse(await far.receive())[0]
    check(isinstance(goodbye, RtcpByePacket), "the receiver is not told of the end")
