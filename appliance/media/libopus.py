"""libopus by ctypes, for what PyAV hides: FEC, concealment and the expected loss while a stream runs.

PyAV's own extension modules are linked to libopus, in its wheels and in Debian's build, so the functions are taken from
there: no second copy of the codec, no file to look for.
"""

from __future__ import annotations

import ctypes
from functools import cache

import av._core

from appliance.errors import ApplianceError

_STATE = ctypes.c_void_p
_INT = ctypes.c_int
_FUNCTIONS: dict[str, tuple[type, list[type]]] = {  # opus.h: result, arguments
    "opus_strerror": (ctypes.c_char_p, [_INT]),
    "opus_packet_get_nb_samples": (_INT, [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]),
    "opus_decoder_create": (_STATE, [ctypes.c_int32, _INT, ctypes.POINTER(_INT)]),
    "opus_decoder_destroy": (type(None), [_STATE]),
    "opus_decode_float": (_INT, [_STATE, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, _INT, _INT]),
    "opus_encoder_create": (_STATE, [ctypes.c_int32, _INT, _INT, ctypes.POINTER(_INT)]),
    "opus_encoder_destroy": (type(None), [_STATE]),
    "opus_encode": (ctypes.c_int32, [_STATE, ctypes.c_void_p, _INT, ctypes.c_void_p, ctypes.c_int32]),
    "opus_encoder_ctl": (_INT, [_STATE, _INT]),  # and one int32, variadic
}


class OpusError(ApplianceError):
    """A payload that isn't Opus, a setting that libopus refuses, or no libopus at all."""


@cache
def library() -> ctypes.CDLL:
    """The functions of `_FUNCTIONS`. OpusError when PyAV has no libopus."""
    found = ctypes.CDLL(av._core.__file__)  # dlsym() on a handle searches what the library was linked to as well
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(found, name)
        except AttributeError:
            raise OpusError("PyAV is built without libopus: install the wheel of the package av") from None
        function.restype = None if result is type(None) else result
        function.argtypes = arguments
    return found


def checked(result: int) -> int:
    """`result` of a call; OpusError with libopus's own words when it is an error."""
    if result < 0:
        raise OpusError(f"libopus: {library().opus_strerror(result).decode()}")
    return result
