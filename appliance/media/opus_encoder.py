"""48 kHz mono sound to Opus with in-band FEC and DTX (RFC 6716, RFC 7587 sections 3.1.3 and 3.3)."""

from __future__ import annotations

import ctypes

import numpy as np

from appliance.media.libopus import checked, library
from hw import SAMPLE_RATE_HZ, Samples

SHORT_FRAMES, LONG_FRAMES = 480, 960  # 10 ms are heard 10 ms sooner, for 25 kbit/s more of headers; and 20 ms
BITRATE_BPS = 32_000  # until somebody says what the links carry
MIN_BITRATE_BPS, MAX_BITRATE_BPS = 24_000, 48_000
COMPLEXITY = 5  # of 0..10: libwebrtc's choice on ARM
MIN_LOSS = 0.10  # FEC must be there before the first loss is reported; under 8 % libopus sends none at 32 kbit/s
MAX_LOSS = 0.25  # libopus trades no more quality for FEC above this

_VOIP = 2048
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_DTX = 4016
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001
_MAX_BYTES = 1275  # the longest Opus frame, RFC 6716 section 3.2.1
_SILENT_BYTES = 2  # opus.h: a packet of no more need not be sent


def is_silence(payload: bytes) -> bool:
    """Whether this packet only says that nothing is said (DTX): the first of a pause is worth sending, no more."""
    return len(payload) <= _SILENT_BYTES


class OpusEncoder:
    """One stream, used from one thread."""

    def __init__(self, bitrate_bps: int = BITRATE_BPS) -> None:
        self._library = library()
        error = ctypes.c_int()
        self._state = self._library.opus_encoder_create(SAMPLE_RATE_HZ, 1, _VOIP, ctypes.byref(error))
        checked(error.value)
        self._loss_percent = self._bitrate_bps = 0
        self._may_pause = False
        self._payload = ctypes.create_string_buffer(_MAX_BYTES)
        self.aim(bitrate_bps)
        self._set(_SET_COMPLEXITY, COMPLEXITY)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)
        self._set(_SET_INBAND_FEC, 1)
        self.expect_loss(0.0)

    def expect_loss(self, fraction: float) -> None:
        """How much of what is sent gets lost, 0..1: the more, the more FEC."""
        percent = round(100 * max(MIN_LOSS, min(MAX_LOSS, fraction)))
        if percent != self._loss_percent:
            self._loss_percent = percent
            self._set(_SET_PACKET_LOSS_PERC, percent)

    def aim(self, bitrate_bps: int) -> None:
        """The bit rate of what comes, on average of what is said."""
        if bitrate_bps != self._bitrate_bps:
            self._bitrate_bps = bitrate_bps
            self._set(_SET_BITRATE, bitrate_bps)

    def may_pause(self, quiet: bool) -> None:
        """Whether what comes next is so quiet that libopus, which takes a steady tone for noise, may pause in it."""
        if quiet != self._may_pause:
            self._may_pause = quiet
            self._set(_SET_DTX, int(quiet))

    def encode(self, samples: Samples) -> bytes:
        """The Opus packet of 480 or 960 samples; see `is_silence`. In a pause a whole one comes every 400 ms."""
        if samples.ndim != 1 or samples.size not in (SHORT_FRAMES, LONG_FRAMES) or samples.dtype != np.int16:
            raise ValueError(f"480 or 960 int16 samples are one frame, not {samples.shape} {samples.dtype}")
        pcm = np.ascontiguousarray(samples)
        size = self._library.opus_encode(self._state, pcm.ctypes.data, pcm.size, self._payload, _MAX_BYTES)
        return ctypes.string_at(self._payload, checked(size))

    def _set(self, request: int, value: int) -> None:
        checked(self._library.opus_encoder_ctl(self._state, request, ctypes.c_int32(value)))

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_encoder_destroy(self._state)
            self._state = None
