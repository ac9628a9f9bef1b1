"""Pictures turned and mirrored in software, for a camera that is mounted on its side or whose driver cannot do it."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, cast

import av
from av.filter import Graph

from hw import AccessUnit, Camera, OnLost, Picture, PictureSink

Rotation = Literal[0, 90, 180, 270]  # degrees clockwise

_FILTERS: dict[Rotation, tuple[tuple[str, str], ...]] = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}


class Turn:
    """`turn(frame)` for one thread: rotated clockwise, then mirrored left to right, in yuv420p."""

    def __init__(self, rotation: Rotation, mirror: bool) -> None:
        self._filters = _FILTERS[rotation] + ((("hflip", ""),) if mirror else ())
        self._graph = Graph()
        self._source: tuple[int, int, str] | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        source = (frame.width, frame.height, frame.format.name)
        if source != self._source:
            self._graph, self._source = self._build(*source), source
        frame.pts = None
        self._graph.push(frame)
        return cast("av.VideoFrame", self._graph.pull())

    def _build(self, width: int, height: int, pixel_format: str) -> Graph:
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(
                width=width, height=height, format=av.VideoFormat(pixel_format), time_base=Fraction(1, 1000)
            ),
            *(graph.add(name, arguments) for name, arguments in self._filters),
            graph.add("format", "yuv420p"),
            graph.add("buffersink"),
        ).configure()
        return graph


class TurnedCamera:
    """Another camera, which must deliver pictures and not access units, rotated clockwise and then mirrored."""

    def __init__(self, source: Camera, rotation: Rotation, mirror: bool) -> None:
        self.device_id = source.device_id
        self.fps = source.fps
        self._source = source
        self._rotation: Rotation = rotation
        self._mirror = mirror
        upright = rotation in (0, 180)
        self.width, self.height = (source.width, source.height) if upright else (source.height, source.width)

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        turn = Turn(self._rotation, self._mirror)

        def deliver(picture: Picture | AccessUnit) -> None:
            if isinstance(picture, Picture):
                sink(Picture(turn(picture.frame), picture.captured_s))

        self._source.start(deliver, on_lost)
        self.device_id = self._source.device_id

    def request_keyframe(self) -> None:
        """It does not encode."""

    def set_bitrate(self, bps: int) -> None:
        """It does not encode."""

    def close(self) -> None:
        self._source.close()
