"""A film for senders that need not encode, and its raw pictures: the same for every contender."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

import av

from hw import AccessUnit, Picture
from tests.bench.sources import FPS, HEIGHT, WIDTH, MovingPictures, PacedCamera

PICTURES = 120
GROUP = 60  # pictures from key frame to key frame, as hardware encoders make them by themselves
BITRATE_BPS = 1_500_000
FILM_S = 120  # longer than any measurement


def pictures() -> Iterator[av.VideoFrame]:
    source = MovingPictures()
    for number in range(PICTURES):
        yield source.next(number / FPS)


@cache
def access_units(bitrate_bps: int = BITRATE_BPS) -> tuple[bytes, ...]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    encoder.bit_rate, encoder.gop_size, encoder.profile = bitrate_bps, GROUP, "Baseline"
    vbv = f"vbv-maxrate={bitrate_bps // 1000}:vbv-bufsize={bitrate_bps // 2000}:scenecut=0:keyint={GROUP}"
    encoder.options = {"preset": "superfast", "tune": "zerolatency", "x264-params": f"repeat-headers=1:{vbv}"}
    units = []
    for number, picture in enumerate(pictures()):
        picture.pts = number
        units += [bytes(packet) for packet in encoder.encode(picture)]
    return (*units, *(bytes(packet) for packet in encoder.encode(None)))


def write(kind: str, directory: Path) -> Path:
    """For who reads files: "h264", a film of two minutes in an MP4 file; "raw", the pictures, 00000, 00001, ..."""
    if kind == "raw":
        for number, picture in enumerate(pictures()):
            (directory / f"{number:05d}").write_bytes(picture.to_ndarray().tobytes())
        return directory / "%05d"
    path = directory / "film.mp4"
    with av.open(BytesIO(b"".join(access_units())), format="h264") as film, av.open(path, "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0])
        for number in range(FILM_S * FPS):
            packet = av.Packet(access_units()[number % PICTURES])
            packet.stream, packet.time_base = stream, Fraction(1, FPS)
            packet.pts = packet.dts = number
            packet.is_keyframe = number % GROUP == 0
            out.mux(packet)
    return path


class FilmCamera(PacedCamera):
    """Delivers the film's pictures in a loop."""

    def __init__(self) -> None:
        super().__init__("bench-film-camera")
        self._arrays = itertools.cycle([picture.to_ndarray() for picture in pictures()])

    def next_picture(self, due_s: float) -> Picture:
        return Picture(av.VideoFrame.from_ndarray(next(self._arrays), format="yuv420p"), due_s)


class UnitsCamera(PacedCamera):
    """Delivers access units in a loop, as a camera that encodes by itself does."""

    def __init__(self, units: Sequence[bytes]) -> None:
        super().__init__("bench-units-camera")
        self._units = itertools.cycle(enumerate(units))

    def next_picture(self, due_s: float) -> AccessUnit:
        at, unit = next(self._units)
        return AccessUnit(unit, at % GROUP == 0, due_s)
