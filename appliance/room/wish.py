"""What is wanted of one remote stream, and what of that can come (capabilities U30, U36, U40)."""

from __future__ import annotations

from appliance.room.signaling_base import Kind, Selection
from appliance.room.streams import RemoteStream


class Wish:
    """`kinds` and `layer` are changed by who wants them; the stream itself changes with its sender."""

    def __init__(self, stream: RemoteStream, kinds: frozenset[Kind], layer: Selection) -> None:
        self.stream = stream
        self.kinds = kinds
        self.layer = layer
        self._unfit: str | None = None  # the video track that comes in no codec of ours

    def mark_unfit(self) -> None:
        """The video as it is published now comes in no codec of ours."""
        video = self.stream.info.video
        self._unfit = video.track if video is not None else None

    @property
    def is_unfit(self) -> bool:
        """Whether it is still that video."""
        video = self.stream.info.video
        return self._unfit is not None and video is not None and video.track == self._unfit

    def receivable(self) -> frozenset[Kind]:
        """What a leg can be asked for now."""
        kinds = self.kinds & frozenset(self.stream.track_kinds)
        return kinds - {"video"} if self.is_unfit else kinds

    def rests(self, kind: Kind) -> bool:
        """Whether nothing of it comes, and that is well."""
        return self.stream.is_muted(kind) or (kind == "video" and self.layer == "none")
