"""Small pictures that change and carry a frame code, made without any thread."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from appliance.media.rbsp import escape, exp_golomb, unescape
from hw.annexb import NAL_SPS, START_CODE, kind, nal_units
from hw.frame_code import draw_code, read_code


def picture(number: int, width: int = 320, height: int = 192) -> av.VideoFrame:
    """A yuv420p picture with `number` in its frame code and a texture that moves."""
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    x = np.arange(width)[np.newaxis, :]
    y = np.arange(height)[:, np.newaxis]
    planes[:height] = (128 + 60 * np.sin((x + 5 * number) / 17) * np.cos((y - 3 * number) / 13)).astype(np.uint8)
    draw_code(planes[:height], number)
    return av.VideoFrame.from_ndarray(planes, "yuv420p")


def code(frame: av.VideoFrame) -> int | None:
    """The number in a picture, whatever its size."""
    return read_code(np.asarray(frame.to_ndarray(format="gray"), np.uint8))


def coded_pictures(codec: str, count: int = 3, width: int = 320, height: int = 192) -> list[bytes]:
    """Access units ("h264", several slices each, Annex B) or frames ("vp8"), the first one a key frame."""
    context = av.CodecContext.create("libx264" if codec == "h264" else "libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 90_000), Fraction(30)
    context.bit_rate, context.gop_size = 800_000, 1 << 15
    if codec == "h264":
        context.profile = "Baseline"
        context.options = {"preset": "superfast", "tune": "zerolatency", "x264-params": "slices=4:annexb=1"}
    else:
        context.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}
    coded = []
    for number in range(count):
        frame = picture(number, width, height)
        frame.pts, frame.time_base = number * 3000, context.time_base
        coded.append(b"".join(bytes(packet) for packet in context.encode(frame)))
    return coded


def video_decoder(codec: str) -> VideoCodecContext:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    return context


def decoded(codec: str, data: bytes, context: VideoCodecContext | None = None) -> list[av.VideoFrame]:
    """The pictures that `data` gives, drained where there is no `context` to go on with."""
    decoder = context or video_decoder(codec)
    frames = decoder.decode(av.Packet(data))
    return frames if context is not None else [*frames, *decoder.decode(None)]


def without_vui(unit: bytes) -> bytes:
    """An access unit of x264 whose SPS says nothing about the order of pictures, as those of many cameras."""
    return b"".join(START_CODE + (_bare(nal) if kind(nal) == NAL_SPS else nal) for nal in nal_units(unit))


def _bare(sps: bytes) -> bytes:
    data = unescape(sps)
    bits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"
    assert data[1] == 66  # Baseline: no chroma format
    at = 32
    for skipped in (0, 0, 0, 0, 1, 0, 0, 2):  # ids, picture order (type 2), references, a flag, size, two flags
        at = at + skipped if skipped else exp_golomb(data, at)[1]
    if bits[at] == "1":
        for _ in range(4):
            at = exp_golomb(data, at + (1 if _ == 0 else 0))[1]
    else:
        at += 1
    said = bits[:at] + "01"
    return escape(int(said + "0" * (-len(said) % 8), 2).to_bytes(-(-len(said) // 8), "big"))
