"""Transport-wide feedback: offered, told of what arrives, and told apart from NACK (`transport_cc` has its format)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import aiortc.codecs
from aiortc import RTCPeerConnection
from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters
from aiortc.rtp import RtcpRtpfbPacket

from appliance.media import transport_cc
from appliance.media.aiortc_hooks.media_in import Take
from appliance.media.rtp_in import ReceivedPacket

TRANSPORT_FEEDBACK = RTCRtcpFeedback("transport-cc")
FEEDBACK_S = 0.07  # from the first packet to the feedback about it and those after it

_NUMBER_ID = 4  # of the header extension; aiortc's own are 1 to 3
_stock_parse_rtpfb = RtcpRtpfbPacket.parse


def install() -> None:
    """Offered and answered, and not taken for a NACK when it comes."""
    for kind, codecs in aiortc.codecs.CODECS.items():
        extensions = aiortc.codecs.HEADER_EXTENSIONS[kind]
        if all(extension.uri != transport_cc.URI for extension in extensions):
            extensions.append(RTCRtpHeaderExtensionParameters(id=_NUMBER_ID, uri=transport_cc.URI))
        for codec in codecs:
            if not is_rtx(codec) and TRANSPORT_FEEDBACK not in codec.rtcpFeedback:
                codec.rtcpFeedback.append(TRANSPORT_FEEDBACK)
    feedback: Any = RtcpRtpfbPacket
    feedback.parse = _parse_rtpfb


def _parse_rtpfb(data: bytes, fmt: int) -> RtcpRtpfbPacket:
    if fmt != transport_cc.FMT:
        return _stock_parse_rtpfb(data, fmt)
    if len(data) < 8:
        raise ValueError("RTCP RTP feedback length is invalid")
    packet: Any = RtcpRtpfbPacket(fmt, int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big"))
    packet.fci = data[8:]
    feedback: RtcpRtpfbPacket = packet
    return feedback


class ArrivalReports:
    """Tells who sends numbered packets when each arrived. After `take_packets`, before `MediaIn`; then `close`."""

    def __init__(self, pc: RTCPeerConnection, interval_s: float = FEEDBACK_S) -> None:
        self._interval_s = interval_s
        transceivers: list[Any] = pc.getTransceivers()
        self._dtls: Any = transceivers[0].receiver.transport
        self._ssrc: int = transceivers[0].sender._ssrc
        self._media_ssrc = 0
        self._log = transport_cc.ArrivalLog()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        if any(TRANSPORT_FEEDBACK in codec.rtcpFeedback for each in transceivers for codec in each._codecs):
            for each in transceivers:
                take = getattr(each.receiver, "take_rtp", None)
                if take is not None:
                    each.receiver.take_rtp = self._noting(take)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _noting(self, take: Take) -> Take:
        def note(packet: ReceivedPacket) -> None:
            if packet.transport_number is not None:
                self._media_ssrc = packet.ssrc
                self._log.arrived(packet.transport_number, time.monotonic())
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._start)
            take(packet)

        return note

    def _start(self) -> None:
        self._timer = None
        self._sending = asyncio.create_task(self._send(), name="leg-transport-feedback")

    async def _send(self) -> None:
        with suppress(ConnectionError):
            for fci in self._log.feedback(time.monotonic()):
                await self._dtls._send_rtp(transport_cc.rtcp(fci, self._ssrc, self._media_ssrc))
