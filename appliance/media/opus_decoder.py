"""Opus to 48 kHz mono float32, with the concealment and in-band FEC of libopus (RFC 6716 section 4.4, RFC 7587).

PyAV's decoder hides both: an empty packet ends its stream and no flag asks for FEC. PyAV's own extension modules are
linked to libopus, in its wheels and in Debian's build, so the four functions needed are taken from there by ctypes:
no second copy of the codec, no file to look for.
"""

from __future__ import annotations

import ctypes
from functools import cache

import av._core
import numpy as np
import numpy.typing as npt

from appliance.errors import ApplianceError

SAMPLE_RATE_HZ = 48_000
MAX_FRAMES = 5_760  # 120 ms, the longest packet there is
CONCEALED_FRAMES = 480  # SILK conceals 10 ms at a time; libopus hands out less, but the next call doesn't go on from it

Sound = npt.NDArray[np.float32]  # mono, -1..1


class OpusError(ApplianceError):
    """A payload that isn't Opus, or no libopus to decode it with."""


@cache
def _library() -> ctypes.CDLL:
    # dlsym() on a handle searches what the library was linked to as well.
    library = ctypes.CDLL(av._core.__file__)
    try:
        create, destroy, decode = library.opus_decoder_create, library.opus_decoder_destroy, library.opus_decode_float
        samples, strerror = library.opus_packet_get_nb_samples, library.opus_strerror
    except AttributeError:
        raise OpusError("PyAV is built without libopus: install the wheel of the package av") from None
    create.argtypes, create.restype = [ctypes.c_int32, ctypes.c_int, ctypes.POINTER(ctypes.c_int)], ctypes.c_void_p
    destroy.argtypes, destroy.restype = [ctypes.c_void_p], None
    decode.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    decode.restype = ctypes.c_int
    samples.argtypes, samples.restype = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32], ctypes.c_int
    strerror.argtypes, strerror.restype = [ctypes.c_int], ctypes.c_char_p
    return library


def packet_frames(payload: bytes) -> int:
    """Samples a channel at 48 kHz that `payload` holds. OpusError if it isn't Opus."""
    return _checked(int(_library().opus_packet_get_nb_samples(payload, len(payload), SAMPLE_RATE_HZ)))


def _checked(result: int) -> int:
    if result < 0:
        raise OpusError(f"libopus: {_library().opus_strerror(result).decode()}")
    return result


class OpusDecoder:
    """One stream. Not thread-safe; each call hands back new samples that follow the last call's without a step."""

    def __init__(self) -> None:
        self._library = _library()
        error = ctypes.c_int()
        self._state = self._library.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error))
        _checked(error.value)

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
        return pcm[: _checked(result)]
