"""alsa-lib writes complaints of its own to stderr, a dozen lines for each device that is missing. Not here: every
failure is a `HardwareError` that says more.
"""

from __future__ import annotations

import ctypes
import functools


@functools.cache
def silence() -> None:
    """Once a process. In place of alsa-lib's error handler (snd_lib_error_set_handler) stands a C function that takes
    nothing and changes nothing, so that no thread of alsa-lib ever waits for Python."""
    try:
        library = ctypes.CDLL("libasound.so.2")
    except OSError:  # pyalsaaudio will say so
        return
    library.snd_lib_error_set_handler(ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p))
