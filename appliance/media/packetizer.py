"""The one seam between an encoder and the wire: coded frames in, RTP payloads out, once for every leg."""

from __future__ import annotations

import random

from appliance.media.frames import Codec, CodedFrame, EncodedFrame
from appliance.media.payload import packetize_h264, packetize_vp8


class Packetizer:
    """One encoding of one stream, whichever encoder or camera it comes from. Used in the thread that codes."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._picture_id = random.randrange(1 << 15)

    def __call__(self, coded: CodedFrame) -> EncodedFrame:
        data = coded.data
        return EncodedFrame(
            self._payloads(data), coded.timestamp & 0xFFFFFFFF, coded.keyframe, coded.audio_level, coded.captured_s
        )

    def _payloads(self, data: bytes) -> tuple[bytes, ...]:
        if self.codec == "h264":
            return packetize_h264(data)
        if self.codec == "vp8":
            self._picture_id = (self._picture_id + 1) % (1 << 15)
            return packetize_vp8(data, self._picture_id)
        return (data,)
