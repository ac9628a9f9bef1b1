"""Senders: RTP is packed and sent by `rtp_out`, what the receiver says comes to who feeds it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)

from appliance.media import transport_cc
from appliance.media.aiortc_hooks.clock import NTP_AT_ZERO_S
from appliance.media.aiortc_hooks.transport_feedback import TRANSPORT_FEEDBACK
from appliance.media.feedback import BitrateEstimate, Feedback, ReceiverReport
from appliance.media.parity import CODEC as PARITY
from appliance.media.rtp_out import RtpStream, SentCounts, StreamParameters
from appliance.media.rtp_port import Route, RtpPort


class SenderCalls(Protocol):
    """What a sender tells whoever feeds it."""

    def on_start(self, rtp: RtpStream) -> None:
        """The connection is there: frames go to `rtp` from now on."""

    def on_keyframe_request(self) -> None:
        """PLI or FIR."""

    def on_nack(self, lost: Sequence[int]) -> None: ...
    def on_feedback(self, feedback: Feedback) -> None: ...


def take_over_sender(
    sender: RTCRtpSender, port: RtpPort, calls: SenderCalls, numbers: transport_cc.SentPackets | None = None
) -> None:
    """RTP is ours, packed and sent without aiortc; RTCP, BYE and statistics stay aiortc's. Before the sender starts.

    `numbers` are the peer connection's: with them, packets are numbered where the receiver gives feedback for it.
    """
    inner: Any = sender
    handle, send_rtcp, start = inner._handle_rtcp_packet, inner._send_rtcp, inner.send
    rtp: RtpStream | None = None
    parity_payload_type: int | None = None

    async def send(parameters: RTCRtpSendParameters) -> None:
        nonlocal parity_payload_type
        parity_payload_type = next((codec.payloadType for codec in parameters.codecs if codec.name == PARITY), None)
        await start(parameters)

    async def started(codec: Any) -> None:
        nonlocal rtp
        _open(port, inner.transport)
        numbered = numbers is not None and TRANSPORT_FEEDBACK in codec.rtcpFeedback
        rtp = RtpStream(_stream_parameters(inner, codec, parity_payload_type, numbered=numbered), port, numbers)
        inner.transport._rtp_router.register_sender(inner, ssrc=inner._rtx_ssrc)  # feedback may name this one
        calls.on_start(rtp)
        await asyncio.get_running_loop().create_future()  # until the sender is stopped

    async def handle_rtcp_packet(packet: Any) -> None:
        if isinstance(packet, RtcpRtpfbPacket):
            if packet.fmt == RTCP_RTPFB_NACK:
                calls.on_nack(packet.lost)
            elif packet.fmt == transport_cc.FMT and numbers is not None:
                numbers.take(packet.fci, time.monotonic())  # type: ignore[attr-defined]
            return
        await handle(packet)
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == inner._ssrc:
                    rtt_s = inner._RTCRtpSender__rtt
                    loss = report.fraction_lost / 256
                    calls.on_feedback(ReceiverReport(loss, report.packets_lost, report.jitter, rtt_s, time.monotonic()))
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate_bps, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                return
            if inner._ssrc in ssrcs:
                calls.on_feedback(BitrateEstimate(bitrate_bps, time.monotonic()))

    async def send_reports(packets: list[Any]) -> None:
        if isinstance(packets[0], RtcpSrPacket):
            if rtp is None or (timestamp := rtp.timestamp_at(now_s := time.monotonic())) is None:
                return  # nothing has been sent that it could speak of
            _fill_in(packets[0], inner, now_s, timestamp, rtp.counts())
        await send_rtcp(packets)

    inner.send = send
    inner._next_encoded_frame = started
    inner._handle_rtcp_packet = handle_rtcp_packet
    inner._send_keyframe = calls.on_keyframe_request
    inner._send_rtcp = send_reports


def _open(port: RtpPort, dtls: Any) -> None:
    agent = dtls.transport._connection
    connected = type(dtls._state).CONNECTED

    known: Any = None
    way: Route | None = None

    def route() -> Route | None:
        nonlocal known, way
        pair = agent._nominated.get(1)
        if pair is None or dtls._state is not connected:
            return None
        if pair is not known:
            known, way = pair, (pair.protocol.transport, pair.remote_addr)
        return way

    port.open(dtls._tx_srtp, route)


def _stream_parameters(inner: Any, codec: Any, parity_payload_type: int | None, *, numbered: bool) -> StreamParameters:
    ids = inner._RTCRtpSender__rtp_header_extensions_map._HeaderExtensionsMap__ids
    return StreamParameters(
        ssrc=inner._ssrc,
        payload_type=codec.payloadType,
        rtx_ssrc=inner._rtx_ssrc,
        rtx_payload_type=inner._RTCRtpSender__rtx_payload_type,
        parity_payload_type=parity_payload_type,
        mid=inner._RTCRtpSender__mid,
        mid_id=ids.mid or 0,
        abs_send_time_id=ids.abs_send_time or 0,
        audio_level_id=ids.audio_level or 0,
        transport_number_id=(ids.transport_sequence_number or 0) if numbered else 0,
        clock_hz=codec.clockRate,
    )


def _fill_in(report: RtcpSrPacket, inner: Any, now_s: float, timestamp: int, counts: SentCounts) -> None:
    ntp = int((NTP_AT_ZERO_S + now_s) * (1 << 32))
    report.sender_info = RtcpSenderInfo(ntp, timestamp, counts.packets & 0xFFFFFFFF, counts.bytes & 0xFFFFFFFF)
    inner._RTCRtpSender__lsr = ntp >> 16 & 0xFFFFFFFF
    inner._RTCRtpSender__packet_count, inner._RTCRtpSender__octet_count = counts.packets, counts.bytes
