"""WebRTC's echo canceller (AEC3), noise suppressor and gain controller: the only file that imports pywebrtc-audio.

48 kHz mono int16 in blocks of 480. Each is used from one thread. Its `AudioProcessor`, all three in one, is not used:
it mis-scales noise suppression at 48 kHz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hw import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from pywebrtc_audio import EchoCanceller, GainController, NoiseSuppressor, VoiceDetector

ECHO_DELAY_S = 430 / SAMPLE_RATE_HZ  # what comes out was put in so long ago
NOISE_DELAY_S = 334 / SAMPLE_RATE_HZ
HEADROOM_DB = 12.0  # below full scale; with less of it, and more gain, a remnant of echo comes up again
MAX_GAIN_DB = 15.0
SUPPRESSED_DB = {0: 0.0, 1: 12.0, 2: 18.0, 3: 20.0}  # steady noise, by level


class WebrtcAudioError(Exception):
    """The library is not there, or does not work on this machine."""


def echo_canceller() -> EchoCanceller:
    try:
        from pywebrtc_audio import EchoCanceller

        return EchoCanceller(SAMPLE_RATE_HZ, 1)
    except Exception as exc:
        raise _failed(exc) from exc


def noise_suppressor(level: int) -> NoiseSuppressor:
    """`level` 1..3."""
    try:
        from pywebrtc_audio import NoiseSuppressor

        return NoiseSuppressor(SAMPLE_RATE_HZ, 1, level)
    except Exception as exc:
        raise _failed(exc) from exc


def voice_detector() -> VoiceDetector:
    try:
        from pywebrtc_audio import VoiceDetector

        return VoiceDetector(SAMPLE_RATE_HZ, 1)
    except Exception as exc:
        raise _failed(exc) from exc


def gain_controller() -> GainController:
    try:
        from pywebrtc_audio import GainController

        return GainController(SAMPLE_RATE_HZ, 1, max_gain_db=MAX_GAIN_DB, headroom_db=HEADROOM_DB)
    except Exception as exc:
        raise _failed(exc) from exc


def _failed(error: Exception) -> WebrtcAudioError:
    return WebrtcAudioError(f"pywebrtc-audio: {type(error).__name__}: {error}; pip install pywebrtc-audio")
