"""What a video source is to make, as configured, and what that means for each of its layers. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.media.frames import Layer, VideoCodec
from appliance.media.ladder import Rung, rungs

LOW_PIXELS = 320 * 180  # what 150 kbit/s carries sharply, in the camera's aspect ratio; at most a quarter of HIGH
LOW_FPS = 15
LOW_MIN_BPS, LOW_MAX_BPS = 50_000, 150_000
SOUND_BPS = 40_000  # of what a leg may send: Opus and its headers
VIDEO_SHARE = 0.93  # of the rest: RTP headers and retransmissions take some


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """`width` and `height` are the most that is encoded: a larger picture is made smaller in its own aspect ratio."""

    width: int = 1280
    height: int = 720
    fps: int = 30
    codec: VideoCodec = "h264"  # the one that legs offer first
    min_bitrate_bps: int = 100_000
    start_bitrate_bps: int = 1_500_000  # until a receiver reports what its link carries
    max_bitrate_bps: int = 2_500_000
    low_layer: bool = True  # who asks for the low layer gets it; else the high one
    detail: bool = False  # text: under a narrow link rather fewer pictures than smaller ones


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """`rungs`: what an encoder may make, the best first; bit rates are its own, without headers and sound."""

    rungs: tuple[Rung, ...]
    min_bps: int
    start_bps: int
    max_bps: int


def layer_settings(settings: VideoSettings, layer: Layer) -> LayerSettings:
    width, height = settings.width, settings.height
    if layer == "high":
        return LayerSettings(
            rungs(width, height, settings.fps, detail=settings.detail),
            settings.min_bitrate_bps,
            settings.start_bitrate_bps,
            settings.max_bitrate_bps,
        )
    scale = min(0.5, (LOW_PIXELS / (width * height)) ** 0.5)
    rung = Rung(round(width * scale / 2) * 2, round(height * scale / 2) * 2, min(LOW_FPS, settings.fps))
    return LayerSettings((rung,), LOW_MIN_BPS, LOW_MAX_BPS, LOW_MAX_BPS)


def video_bps(leg_bps: float) -> float:
    """What an encoder may make of a leg's target."""
    return (leg_bps - SOUND_BPS) * VIDEO_SHARE


def leg_bps(video_bps: float) -> int:
    """The target at which a leg takes an encoder's `video_bps`."""
    return round(video_bps / VIDEO_SHARE + SOUND_BPS)
