"""The V4L2 devices that are cameras, and what one of them offers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from hw.v4l2_formats import FFMPEG_NAMES, EncoderControls, Offer, nearest_rate
from hw.v4l2_ioctl import CID_BITRATE, CID_FORCE_KEY_FRAME, CID_GOP_SIZE, CID_H264_I_PERIOD, Node

# What a Raspberry Pi's own camera port and codecs show under /dev: libcamera's business.
_PI_DRIVERS = frozenset({"unicam", "rp1-cfe", "bcm2835-isp", "bcm2835-codec", "pispbe", "rpivid", "rpi-hevc-dec"})
_MAX_SIZES = 64  # of one format


def cameras(folder: Path = Path("/dev"), *, open_node: Callable[[str], Node] = Node) -> Iterator[str]:
    """The paths of devices that deliver pictures in a format that is known here, in the order of their numbers.

    Those that cannot be opened are left out.
    """
    for path in sorted(folder.glob("video*"), key=_number):
        try:
            with closing(open_node(str(path))) as node:
                capability = node.capability()
                if (
                    capability.captures
                    and capability.driver not in _PI_DRIVERS
                    and not FFMPEG_NAMES.keys().isdisjoint(node.formats())
                ):
                    yield str(path)
        except OSError:
            continue


def offers(node: Node, width: int, height: int, fps: float) -> list[Offer]:
    """What the device offers; of ranges the size nearest to the one wanted."""
    found = []
    for fourcc in dict.fromkeys(node.formats()):
        if fourcc not in FFMPEG_NAMES:
            continue
        for _, size in zip(range(_MAX_SIZES), node.sizes(fourcc), strict=False):
            side = size.nearest(width, height)
            if min(side) > 0:
                found.append(Offer(fourcc, *side, nearest_rate(node.rates(fourcc, *side), fps)))
        if not any(offer.fourcc == fourcc for offer in found):  # it does not say: the driver takes the nearest
            found.append(Offer(fourcc, width, height, fps))
    return found


def encoder_controls(node: Node) -> EncoderControls:
    gop = node.get(CID_H264_I_PERIOD)
    return EncoderControls(
        force_keyframe=node.control(CID_FORCE_KEY_FRAME) is not None,
        bitrate=node.control(CID_BITRATE) is not None,
        gop=node.get(CID_GOP_SIZE) if gop is None else gop,
    )


def _number(path: Path) -> tuple[int, str]:
    digits = re.fullmatch(r"video(\d+)", path.name)
    return (int(digits[1]) if digits else 1 << 30, path.name)
