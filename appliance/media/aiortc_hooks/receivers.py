"""Receivers: what comes is counted, sound goes to its jitter buffer, sender reports are heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtcpSrPacket

from appliance.media.aiortc_hooks.media_in import Take, take_packets
from appliance.media.rtp_in import ReceivedPacket


class Inbound:
    """Counts what a receiver gets, from the moment it is made; `on_first` is called at the first packet.

    `bytes` are payload, `repeated_bytes` that of packets which were sent again. `codec` is the last packet's, in lower
    case.
    """

    def __init__(self, receiver: RTCRtpReceiver, on_first: Callable[[], None]) -> None:
        self.bytes = self.repeated_bytes = 0
        self.codec = ""
        self.last_packet_s: float | None = None
        inner: Any = receiver
        self._receiver = inner
        take: Take = inner.take_rtp

        def counted(packet: ReceivedPacket) -> None:
            first = self.last_packet_s is None
            if packet.ssrc in inner._RTCRtpReceiver__rtx_ssrc:
                self.repeated_bytes += len(packet.payload)
            else:
                self.bytes += len(packet.payload)
                codec = inner._RTCRtpReceiver__codecs.get(packet.payload_type)
                self.codec = codec.name.lower() if codec is not None else self.codec
            self.last_packet_s = time.monotonic()
            take(packet)
            if first:
                on_first()

        inner.take_rtp = counted

    def counts(self) -> tuple[int, int, float | None]:
        """Packets received and expected of the media stream, and its jitter in seconds."""
        streams = self._receiver._RTCRtpReceiver__remote_streams
        retransmissions = self._receiver._RTCRtpReceiver__rtx_ssrc
        received = expected = 0
        jitter_s = None
        for ssrc, stream in streams.items():
            if ssrc not in retransmissions and stream.max_seq is not None:
                received += stream.packets_received
                expected += stream.packets_expected
                jitter_s = stream.jitter / stream._clockrate
        return received, expected, jitter_s


def count(packet: ReceivedPacket, codecs: dict[int, Any], streams: dict[int, StreamStatistics]) -> bool:
    """For aiortc's receiver reports, in which `codecs` and `streams` are its own; False: of no codec that it knows."""
    stream: Any = streams.get(packet.ssrc)
    if stream is None:
        if packet.payload_type not in codecs:
            return False
        stream = streams[packet.ssrc] = StreamStatistics(codecs[packet.payload_type].clockRate)
    stream.add(packet)
    return True


def take_audio_packets(receiver: RTCRtpReceiver, sink: Callable[[int, int, bytes, float], None]) -> None:
    """`sink(sequence_number, timestamp, payload, arrival_s)` in place of aiortc's audio buffer and decoder.

    RTCP and statistics stay aiortc's.
    """
    inner: Any = receiver
    codecs, streams = inner._RTCRtpReceiver__codecs, inner._RTCRtpReceiver__remote_streams

    def take(packet: ReceivedPacket) -> None:
        if count(packet, codecs, streams):
            sink(packet.sequence_number, packet.timestamp, packet.payload, time.monotonic())

    take_packets(receiver, take)


def on_sender_report(receiver: RTCRtpReceiver, heard: Callable[[float, int], None]) -> None:
    """`heard(ntp_s, rtp_timestamp)` of each report about the stream that this receiver gets."""
    inner: Any = receiver
    handle = inner._handle_rtcp_packet

    async def handle_rtcp_packet(packet: Any) -> None:
        await handle(packet)
        if isinstance(packet, RtcpSrPacket) and packet.ssrc not in inner._RTCRtpReceiver__rtx_ssrc:
            info = packet.sender_info
            heard(info.ntp_timestamp / (1 << 32), info.rtp_timestamp)

    inner._handle_rtcp_packet = handle_rtcp_packet


def stop_decoding(receiver: RTCRtpReceiver) -> bool:
    """Lets the decoder thread of a receiver of sound end, and the track with it. False if it isn't running."""
    inner: Any = receiver
    inner._RTCRtpReceiver__decoder_queue.put(None)
    return inner._RTCRtpReceiver__decoder_thread is not None
