"""What stands in for aiortc's video buffer: it keeps a packet, and assembles pictures of its codec."""

from __future__ import annotations

import time

from aiortc.rtp import RtpPacket

from appliance.media.assembler import Assembled, VideoAssembler, VideoPacket
from appliance.media.payload import KEYFRAME_TESTS


class VideoBuffer:
    """Of one receiver."""

    def __init__(self) -> None:
        self._taken: RtpPacket | None = None
        self._assemblers = {codec: VideoAssembler(is_keyframe) for codec, is_keyframe in KEYFRAME_TESTS.items()}

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """By aiortc, with retransmissions unwrapped: neither a PLI nor a picture comes of it."""
        self._taken = packet
        return False, None

    def take(self) -> RtpPacket | None:
        """The packet that was added, once."""
        taken, self._taken = self._taken, None
        return taken

    def assemble(self, codec: str, packet: RtpPacket, data: bytes) -> Assembled:
        """`data` is the payload without its descriptor. KeyError for a codec that is not known here."""
        video = VideoPacket(packet.sequence_number, packet.timestamp, bool(packet.marker), data)
        return self._assemblers[codec].add(video, time.monotonic())
