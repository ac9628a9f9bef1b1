"""Any decoded picture as yuv420p of a wanted size, its proportions kept, black bars where it does not fill."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
from av.filter import Graph


class Fit:
    """`fit(frame)` for one thread. A frame that fits already is handed through."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._graph = Graph()
        self._source: tuple[int, int, str] | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        source = (frame.width, frame.height, frame.format.name)
        if source == (self._width, self._height, "yuv420p"):
            return frame
        if source != self._source:
            self._graph, self._source = self._build(*source), source
        frame.pts = None
        self._graph.push(frame)
        return cast("av.VideoFrame", self._graph.pull())

    def _build(self, width: int, height: int, pixel_format: str) -> Graph:
        size = f"{self._width}:{self._height}"
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(
                width=width, height=height, format=av.VideoFormat(pixel_format), time_base=Fraction(1, 1000)
            ),
            graph.add("scale", f"{size}:force_original_aspect_ratio=decrease:force_divisible_by=2"),
            graph.add("format", "yuv420p"),
            graph.add("pad", f"{size}:(ow-iw)/2:(oh-ih)/2"),
            graph.add("buffersink"),
        ).configure()
        return graph
