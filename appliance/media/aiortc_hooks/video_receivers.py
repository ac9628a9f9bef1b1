"""Receivers of video: `VideoReceiver` in place of aiortc's NACKs, buffer and decoder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import aiortc.clock
import aiortc.codecs
import aiortc.rtcrtpreceiver
from aiortc import RTCRtpReceiver
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

from appliance.media.aiortc_hooks.media_in import take_packets
from appliance.media.aiortc_hooks.receivers import count
from appliance.media.frames import VIDEO_CLOCK_HZ
from appliance.media.parity import CODEC as PARITY
from appliance.media.rtp_in import ReceivedPacket
from appliance.media.video_receiver import VideoReceiver

_PARITY_PAYLOAD_TYPE = 111  # of our offers; aiortc's own begin with 96
_stock_decoder_worker: Any = aiortc.rtcrtpreceiver.decoder_worker


def install() -> None:
    """Decoder threads may be ours, and pictures may come with parities."""
    receivers: Any = aiortc.rtcrtpreceiver
    receivers.decoder_worker = _decoder_worker
    known = aiortc.codecs.CODECS["video"]
    if all(codec.name != PARITY for codec in known):
        known.append(RTCRtpCodecParameters(f"video/{PARITY}", VIDEO_CLOCK_HZ, payloadType=_PARITY_PAYLOAD_TYPE))


def receive_video(receiver: RTCRtpReceiver, target: VideoReceiver) -> None:
    """`target` in place of aiortc's NACKs, video buffer and decoder. Before the receiver starts.

    aiortc's hands a picture on with the first packet of the next one, asks for a lost packet once, and freezes for
    seconds when that is lost as well. RTCP reports and the estimate of the bandwidth stay aiortc's.
    """
    inner: Any = receiver
    codecs, streams = inner._RTCRtpReceiver__codecs, inner._RTCRtpReceiver__remote_streams
    retransmissions = inner._RTCRtpReceiver__rtx_ssrc
    port = _FeedbackPort(inner)
    target.attach(port)
    inner._RTCRtpReceiver__decoder_queue = _DecoderThread(target)

    names: dict[int, str] = {}  # of the codecs by payload type, "rtx" among them

    def take(packet: ReceivedPacket) -> None:
        if packet.abs_send_time is not None and packet.transport_number is None:
            _estimate_bandwidth(inner, port, packet)
        payload_type, ssrc, payload = packet.payload_type, packet.ssrc, packet.payload
        name = names.get(payload_type)
        if name is None:
            if payload_type not in codecs:
                return
            name = names[payload_type] = codecs[payload_type].name
        count(packet, codecs, streams)
        if name == PARITY:
            target.on_parity(packet.timestamp, payload)
            return
        number = packet.sequence_number
        retransmitted = name == "rtx"
        if retransmitted:  # RFC 4588 section 4
            ssrc, media = retransmissions.get(ssrc), codecs.get(codecs[payload_type].parameters.get("apt"))
            if ssrc is None or media is None or len(payload) < 2:
                return  # of nobody, or padding
            number, payload, name = int.from_bytes(payload[:2], "big"), payload[2:], media.name
        port.ssrc = ssrc
        target.on_packet(name, number, packet.timestamp, packet.marker, payload, retransmitted=retransmitted)

    take_packets(receiver, take)


def _estimate_bandwidth(inner: Any, port: _FeedbackPort, packet: ReceivedPacket) -> None:
    """For who does not number its packets: who does, estimates for itself (see ArrivalReports)."""
    remb = inner._RTCRtpReceiver__remote_bitrate_estimator.add(
        abs_send_time=packet.abs_send_time,
        arrival_time_ms=aiortc.clock.current_ms(),
        payload_size=packet.size,
        ssrc=packet.ssrc,
    )
    if remb is not None:
        port.send_remb(pack_remb_fci(*remb))


class _FeedbackPort:
    """NACK and PLI of one receiver; `ssrc` is the media stream's."""

    def __init__(self, inner: Any) -> None:
        self.ssrc: int | None = None
        self._inner = inner
        self._tasks: set[asyncio.Task[None]] = set()

    def send_nack(self, lost: list[int]) -> None:
        self._start(self._inner._send_rtcp_nack, lost)

    def send_pli(self) -> None:
        self._start(self._inner._send_rtcp_pli)

    def send_remb(self, fci: bytes) -> None:
        own_ssrc = self._inner._RTCRtpReceiver__rtcp_ssrc
        if own_ssrc is not None:
            packet = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=own_ssrc, media_ssrc=0, fci=fci)
            self._run(self._inner._send_rtcp(packet))

    def rtt_s(self) -> float | None:
        """Of the newest consent check."""
        rtt_s: float | None = getattr(self._inner.transport.transport._connection, "consent_rtt_s", None)
        return rtt_s

    def _start(self, send: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        if self.ssrc is not None:
            self._run(send(self.ssrc, *arguments))

    def _run(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(sending, name="leg-video-feedback")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _DecoderThread:
    """Where aiortc expects the queue of its decoder's thread."""

    def __init__(self, target: VideoReceiver) -> None:
        self.run = target.run_decoder
        self._target = target

    def put(self, item: None) -> None:
        self._target.decoder.end()


def _decoder_worker(loop: asyncio.AbstractEventLoop, input_q: Any, output_q: Any, decode_error: object) -> None:
    """aiortc's, or ours for a receiver that has one."""
    if not isinstance(input_q, _DecoderThread):
        _stock_decoder_worker(loop, input_q, output_q, decode_error)
        return
    input_q.run(loop)
    with suppress(RuntimeError):  # the loop is closed
        asyncio.run_coroutine_threadsafe(output_q.put(None), loop)  # the track has ended
