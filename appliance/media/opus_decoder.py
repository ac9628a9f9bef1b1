"""Opus to 48 kHz mono float32, with the concealment and in-band FEC of libopus (RFC 6716 section 4.4, RFC 7587)."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from appliance.media.libopus import OpusError, checked, library

SAMPLE_RATE_HZ = 48_000
MAX_FRAMES = 5_760  # 120 ms, the longest packet there is
CONCEALED_FRAMES = 480  # SILK conceals 10 ms at a time; libopus hands out less, but the next call doesn't go on from it

Sound = npt.NDArray[np.float32]  # mono, -1..1


def packet_frames(payload: bytes) -> int:
    """Samples a channel at 48 kHz that `payload` holds. OpusError if it isn't Opus."""
    return checked(int(library().opus_packet_get_nb_samples(payload, len(payload), SAMPLE_RATE_HZ)))


class OpusDecoder:
    """One stream. Not thread-safe; each call hands back new samples that follow the last call's without a step."""

    def __init__(self) -> None:
        self._library = library()
        error = ctypes.c_int()
        self._state = self._library.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error))
        checked(error.value)

    def decode(self, payload: bytes) -> Sound:
        """The sound of one packet. OpusError if it isn't Opus; the stream may go on after it."""
        if not payload:
            raise OpusError("libopus: empty payload")
        return self._decode(payload, MAX_FRAMES, fec=False)

    def recover(self, following: bytes, frames: int) -> Sound:
        """The lost packet of `frames` out of the FEC in the packet after it; concealed where that carries none."""
        return self._decode(following, frames, fec=True)

    def conceal(self) -> Sound:
        """10 ms of sound made up from what came before; it fades as it goes on."""
        return self._decode(b"", CONCEALED_FRAMES, fec=False)

    def close(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            self._library.opus_decoder_destroy(state)

    def __del__(self) -> None:
        if getattr(self, "_state", None) is not None:
            self.close()

    def _decode(self, payload: bytes, frames: int, *, fec: bool) -> Sound:
        if self._state is None:
            raise OpusError("the decoder is closed")
        pcm = np.empty(frames, np.float32)
        data = payload if payload else None
        result = self._library.opus_decode_float(self._state, data, len(payload), pcm.ctypes.data, frames, int(fec))
        return pcm[: checked(result)]
