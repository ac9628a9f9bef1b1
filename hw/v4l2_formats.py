"""Which of a V4L2 device's formats, sizes and rates is taken. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

EncoderUse = Literal["auto", "hardware", "software"]

H264 = "H264"
FFMPEG_NAMES = {  # of the V4L2 formats that are taken, and what each costs here, in the measure of `_misfit`
    "YUYV": ("yuyv422", 0.0),
    "UYVY": ("uyvy422", 0.0),
    "NV12": ("nv12", 0.0),
    "YU12": ("yuv420p", 0.0),
    "RGB3": ("rgb24", 0.01),
    "BGR3": ("bgr24", 0.01),
    "MJPG": ("mjpeg", 0.02),
    "JPEG": ("mjpeg", 0.02),
    H264: ("h264", 0.05),
    "GREY": ("gray", 1.0),  # an infrared camera beside the real one
}
SHORT_GOP_S = 2.0
_RATE_TOLERANCE = 0.9  # 29.97 and 27 are as good as 30
_SMALLER = 2.0  # a picture made larger loses more than one made smaller
_RATE_WEIGHT = 2.0
_WORTH = 0.3  # so much more misfit the device's own encoder may have


@dataclass(frozen=True, slots=True)
class Offer:
    """A format in one size, at the rate that is nearest to the one wanted."""

    fourcc: str
    width: int
    height: int
    fps: float


@dataclass(frozen=True, slots=True)
class EncoderControls:
    """What can be asked of a device that encodes. `gop`: pictures from key frame to key frame, None: unknown."""

    force_keyframe: bool = False
    bitrate: bool = False
    gop: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """`pass_through`: the device's access units go out as they are."""

    offer: Offer
    pass_through: bool


def nearest_rate(rates: Iterable[float], fps: float) -> float:
    """The lowest rate that is enough, else the highest; `fps` when none is named."""
    known = sorted(rates)
    enough = [rate for rate in known if rate >= _RATE_TOLERANCE * fps]
    return enough[0] if enough else known[-1] if known else fps


def choose(
    offers: Sequence[Offer], controls: EncoderControls, width: int, height: int, fps: float, use: EncoderUse
) -> Choice | None:
    """The offer nearest to width x height at `fps`; None: there is none that can be taken.

    H.264 is passed through where the device makes key frames when asked, or often enough by itself: whoever joins, or
    loses a packet, sees nothing before the next one. A UVC camera with neither would leave viewers with a still for as
    long as its group of pictures is, so its raw pictures or its MJPEG are taken, and encoded here. "hardware" takes its
    H.264 all the same, "software" never.
    """
    known = [offer for offer in offers if offer.fourcc in FFMPEG_NAMES]
    if not known:
        return None

    def misfit(offer: Offer) -> float:
        return _misfit(offer, width, height, fps)

    best = min(known, key=lambda offer: misfit(offer) + FFMPEG_NAMES[offer.fourcc][1])
    encoded = [offer for offer in known if offer.fourcc == H264]
    if encoded and use != "software":
        own = min(encoded, key=misfit)
        answers = controls.force_keyframe or (
            controls.gop is not None and 0 < controls.gop <= SHORT_GOP_S * min(fps, own.fps)
        )
        if use == "hardware" or (answers and misfit(own) <= misfit(best) + _WORTH):
            return Choice(own, True)
    return Choice(best, False)


def _misfit(offer: Offer, width: int, height: int, fps: float) -> float:
    missing = max(0.0, 1 - offer.fps / fps)
    rate = 0.0 if offer.fps >= _RATE_TOLERANCE * fps else missing * _RATE_WEIGHT
    return rate + _side(offer.width, width) + _side(offer.height, height)


def _side(offered: int, wanted: int) -> float:
    return (wanted - offered) / wanted * _SMALLER if offered < wanted else (offered - wanted) / wanted
