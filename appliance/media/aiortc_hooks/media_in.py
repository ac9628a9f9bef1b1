"""RTP of one peer connection, from the buffer of the datagrams to its receivers, in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.rtp import RtpPacket
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]  # compiled

from appliance.media.aiortc_hooks.datagrams import buffer
from appliance.media.rtp_in import ExtensionIds, ReceivedPacket, RtpError, parse_rtp

MAX_STREAMS = 32  # that one peer connection is looked up for at once; there are four
_FIRST_RTCP_TYPE, _LAST_RTCP_TYPE = 192, 223  # RFC 5761 section 4
_view = memoryview(buffer)
_start = ffi.from_buffer(buffer)
_length = ffi.new("int *")
_unprotect = lib.srtp_unprotect

Take = Callable[[ReceivedPacket], None]


class MediaIn:
    """After `take_packets` and all that sees packets before them, before media. RTCP stays aiortc's."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.refused = 0  # packets that SRTP or the parser did not take: forged, replayed, malformed
        transceivers: list[Any] = pc.getTransceivers()
        self._dtls: Any = transceivers[0].receiver.transport
        self._connected = type(self._dtls._state).CONNECTED
        self._session: Any = None  # keeps alive what `_srtp` points to
        self._srtp: Any = None
        self._ids = ExtensionIds()
        self._takers: dict[tuple[int, int], Take | None] = {}
        self._dtls.transport._connection.media_in = self.take

    def take(self, size: int) -> bool:
        """The first `size` bytes of the buffer. False: they are aiortc's, now or once DTLS is through."""
        dtls = self._dtls
        if (
            _FIRST_RTCP_TYPE <= buffer[1] <= _LAST_RTCP_TYPE
            or dtls._state is not self._connected
            or dtls._rx_srtp is None
        ):
            return False
        if dtls._rx_srtp is not self._session:
            self._session = dtls._rx_srtp
            self._srtp = self._session._srtp[0]
            ids = dtls._rtp_header_extensions_map._HeaderExtensionsMap__ids
            self._ids = ExtensionIds(ids.abs_send_time or 0, ids.transport_sequence_number or 0)
        _length[0] = size
        if _unprotect(self._srtp, _start, _length):
            self.refused += 1
            return True
        try:
            packet = parse_rtp(_view[: _length[0]], self._ids)
        except RtpError:
            self.refused += 1
            return True
        stream = packet.ssrc, packet.payload_type
        take = self._takers[stream] if stream in self._takers else self._find(packet)
        if take is not None:
            take(packet)
        return True

    def _find(self, packet: ReceivedPacket) -> Take | None:
        if len(self._takers) >= MAX_STREAMS:
            self._takers.clear()
        found = self._dtls._rtp_router.route_rtp(RtpPacket(payload_type=packet.payload_type, ssrc=packet.ssrc))
        take: Take | None = getattr(found, "take_rtp", None)
        self._takers[packet.ssrc, packet.payload_type] = take
        return take


def take_packets(receiver: RTCRtpReceiver, take: Take) -> None:
    """`take` in place of all that aiortc does with a packet; what came before DTLS was through comes by its queue."""
    inner: Any = receiver
    inner.take_rtp = take

    async def handle_rtp_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
        extensions = packet.extensions
        inner.take_rtp(
            ReceivedPacket(
                packet.payload_type,
                bool(packet.marker),
                packet.sequence_number,
                packet.timestamp,
                packet.ssrc,
                packet.payload,
                len(packet.payload) + packet.padding_size,
                extensions.abs_send_time,
                extensions.transport_sequence_number,
            )
        )

    inner._handle_rtp_packet = handle_rtp_packet
