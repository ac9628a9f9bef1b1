"""What can be decoded although something before it was lost: VP8's temporal layers (RFC 7741 section 4.2). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.media.depacketize import Part

_ALL = 4  # one more than the highest temporal layer
_IDS = 128  # a picture id has 7 or 15 bits


class References:
    """Of one stream, told of each picture that is handed on."""

    def __init__(self) -> None:
        self._last: Part | None = None
        self._broken = _ALL  # the lowest layer of which something was left out

    def handed_on(self, first: Part, *, keyframe: bool) -> None:
        """`first`: of the picture's parts."""
        self._last = first
        if keyframe:
            self._broken = _ALL
        elif first.layer is not None and first.layer.sync:
            self._broken = max(self._broken, first.layer.tid + 1)

    def decodable(self, first: Part) -> bool:
        """Whether this next picture refers to none that was left out in its layer or below."""
        return first.layer is None or first.layer.tid < self._broken or first.layer.sync

    def pass_over(self, first: Part, damaged: Iterable[Part]) -> bool:
        """Whether a picture can follow the last one with nothing between: then nothing between is to come any more.

        `damaged`: what came of that.
        """
        broken = self._broken_by(first, damaged)
        if broken is None:
            return False
        self._broken = min(self._broken, broken)
        return True

    def _broken_by(self, first: Part, damaged: Iterable[Part]) -> int | None:
        last, layer = self._last, first.layer
        if last is None or last.picture_id is None or first.picture_id is None:
            return None
        between = (first.picture_id - last.picture_id - 1) % _IDS
        known = {part.picture_id: part for part in damaged if part.picture_id is not None}
        tid = layer.tid if layer is not None else 0
        if len(known) == between and all(part.disposable or _tid(part) > tid for part in known.values()):
            return min((_tid(part) for part in known.values() if not part.disposable), default=_ALL)
        if layer is None or last.layer is None:
            return None
        follows = (last.layer.tl0 + 1) % 256 == layer.tl0 if tid == 0 else layer.sync and last.layer.tl0 == layer.tl0
        return 1 if follows else None  # what is not known may be of any layer but 0


def _tid(part: Part) -> int:
    return part.layer.tid if part.layer is not None else 0
