"""A relay's picture, put together from its members' newest ones: yuv420p planes in numpy, scaled by swscale.

Used from one thread. What did not change since the last picture is not scaled again, and a picture in which nothing
changed is the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from appliance.hub.relay_layout import Key, Placement, Rect, canvas_size, even, key_of, place
from appliance.room.signaling_tasks import LayoutImage, LayoutUser, TaskLayout

Plane = npt.NDArray[np.uint8]
PIXEL_FORMAT = "yuv420p"


@dataclass(slots=True)
class _Scaled:
    """`planes`: Y, U and V of `frame` as it goes to `target`."""

    frame: av.VideoFrame
    target: Rect
    planes: tuple[Plane, Plane, Plane]


class Compositor:
    """Of one canvas size."""

    def __init__(self, layout: TaskLayout, images: Sequence[av.VideoFrame | None]) -> None:
        """`images`: those of the layout, in its order; None: it cannot be shown."""
        self.scaled = 0  # pictures so far
        self._width, self._height = canvas_size(layout.canvas)
        self._reformatter = VideoReformatter()
        self._cache: dict[Key, _Scaled] = {}
        self._shown: list[tuple[Key, av.VideoFrame]] | None = None
        self.set_layout(layout, images)

    def set_layout(self, layout: TaskLayout, images: Sequence[av.VideoFrame | None]) -> None:
        """Like the constructor, of the same canvas size."""
        self._users = sorted((user for user in layout.users if user.push_video), key=lambda user: user.z_order)
        self._background = self._painted(layout.canvas.color)
        for image, frame in zip(layout.images, images, strict=True):
            if frame is not None and (scaled := self._scale(frame, image)) is not None:
                _paste(self._background, scaled)
        self._cache.clear()
        self._shown = None
        self._canvas = self._background.copy()

    def compose(self, pictures: Mapping[Key, av.VideoFrame]) -> Plane:
        """The canvas, (height * 3 / 2, width), with these pictures; who has none is absent. To be read until
        the next call.
        """
        shown = [(key_of(user), pictures[key_of(user)]) for user in self._users if key_of(user) in pictures]
        if self._shown is not None and _same(shown, self._shown):
            return self._canvas
        self._shown = shown
        np.copyto(self._canvas, self._background)
        for user in self._users:
            key = key_of(user)
            frame = pictures.get(key)
            if frame is None:
                self._cache.pop(key, None)
                continue
            scaled = self._cache.get(key)
            if scaled is None or scaled.frame is not frame:
                fresh = self._scale(frame, user)
                if fresh is None:
                    continue
                scaled = self._cache[key] = fresh
            _paste(self._canvas, scaled)
        return self._canvas

    def _painted(self, color: int) -> Plane:
        red, green, blue = color >> 16, color >> 8 & 0xFF, color & 0xFF
        luma = 16 + (66 * red + 129 * green + 25 * blue + 128 >> 8)  # BT.601, studio swing
        canvas = np.full((self._height * 3 // 2, self._width), luma, np.uint8)
        chroma = canvas[self._height :].reshape(2, -1)
        chroma[0] = 128 + (-38 * red - 74 * green + 112 * blue + 128 >> 8)
        chroma[1] = 128 + (112 * red - 94 * green - 18 * blue + 128 >> 8)
        return canvas

    def _scale(self, frame: av.VideoFrame, box: LayoutUser | LayoutImage) -> _Scaled | None:
        rect = Rect(even(box.x), even(box.y), even(box.width), even(box.height))
        placement = place(frame.width, frame.height, rect, box.adaption)
        if placement is None:
            return None
        self.scaled += 1
        target = placement.target
        small = self._reformatter.reformat(
            self._cropped(frame, placement), target.width, target.height, PIXEL_FORMAT, interpolation="BILINEAR"
        )
        return _Scaled(frame, target, _planes(np.asarray(small.to_ndarray(), np.uint8), target.height))

    def _cropped(self, frame: av.VideoFrame, placement: Placement) -> av.VideoFrame:
        source = placement.source
        if (source.width, source.height) == (even(frame.width), even(frame.height)):
            return frame
        whole = self._reformatter.reformat(frame, even(frame.width), even(frame.height), PIXEL_FORMAT)
        parts = _planes(np.asarray(whole.to_ndarray(), np.uint8), whole.height)
        cut = np.empty((source.height * 3 // 2, source.width), np.uint8)
        for number, (part, into) in enumerate(zip(parts, _planes(cut, source.height), strict=True)):
            by = 1 if number == 0 else 2
            y, x = source.y // by, source.x // by
            into[:] = part[y : y + into.shape[0], x : x + into.shape[1]]
        return av.VideoFrame.from_ndarray(cut, PIXEL_FORMAT)


def _same(a: list[tuple[Key, av.VideoFrame]], b: list[tuple[Key, av.VideoFrame]]) -> bool:
    return len(a) == len(b) and all(x[0] == y[0] and x[1] is y[1] for x, y in zip(a, b, strict=True))


def _planes(picture: Plane, height: int) -> tuple[Plane, Plane, Plane]:
    """Views of Y, U and V."""
    width = picture.shape[1]
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    return picture[:height], chroma[0], chroma[1]


def _paste(canvas: Plane, scaled: _Scaled) -> None:
    """What lies within the canvas."""
    height = canvas.shape[0] * 2 // 3
    target = scaled.target
    for number, (plane, part) in enumerate(zip(_planes(canvas, height), scaled.planes, strict=True)):
        by = 1 if number == 0 else 2
        y, x = target.y // by, target.x // by
        into = plane[y : y + part.shape[0], x : x + part.shape[1]]
        into[:] = part[: into.shape[0], : into.shape[1]]
