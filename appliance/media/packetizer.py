"""The one seam between an encoder and the wire: coded frames in, RTP payloads out, once for every leg."""

from __future__ import annotations

import random
from collections import deque

from appliance.media.e2ee import FrameEncryptor, FrameKey, make_encryptor, sealed_nal_units
from appliance.media.frames import Codec, CodedFrame, EncodedFrame
from appliance.media.payload import packetize_h264, packetize_nal_units, packetize_vp8
from appliance.media.sei import SeiPayload, splice

MAX_SEI = 30  # messages that wait for a picture: the oldest go


class Packetizer:
    """One encoding of one stream, whichever encoder or camera it comes from. Used in the thread that codes."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._picture_id = random.randrange(1 << 15)
        self._protection = _protection(None)
        self._sei: deque[SeiPayload] = deque(maxlen=MAX_SEI)

    def add_sei(self, payload: SeiPayload) -> None:
        """Goes out with the next picture: in it, or beside it. Any thread."""
        self._sei.append(payload)

    def clear_sei(self) -> None:
        """Nobody takes pictures any more."""
        self._sei.clear()

    def protect(self, key: FrameKey | None) -> None:
        """From the next frame on: each says in its `key` what it was encrypted with. Any thread."""
        self._protection = _protection(key)

    def __call__(self, coded: CodedFrame) -> EncodedFrame:
        key, encryptor = self._protection
        sei = tuple(self._sei.popleft() for _ in range(len(self._sei)))
        data = splice(coded.data, sei) if sei and self.codec == "h264" else coded.data
        if encryptor is not None:
            data = encryptor.seal(self.codec, data)
        return EncodedFrame(
            self._payloads(data, is_sealed=key is not None),
            coded.timestamp & 0xFFFFFFFF,
            coded.keyframe,
            coded.audio_level,
            coded.captured_s,
            key,
            sei if self.codec != "h264" else (),
        )

    def _payloads(self, data: bytes, *, is_sealed: bool) -> tuple[bytes, ...]:
        if self.codec == "h264":
            return packetize_nal_units(sealed_nal_units(data)) if is_sealed else packetize_h264(data)
        if self.codec == "vp8":
            self._picture_id = (self._picture_id + 1) % (1 << 15)
            return packetize_vp8(data, self._picture_id)
        return (data,)


def _protection(key: FrameKey | None) -> tuple[FrameKey | None, FrameEncryptor | None]:
    return key, None if key is None else make_encryptor(key)
