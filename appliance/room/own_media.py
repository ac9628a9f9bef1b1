"""What we have to show and say: the Uplink where there is one, else only the wishes about it."""

from __future__ import annotations

from dataclasses import replace

from appliance.media.uplink import Uplink
from appliance.room.signaling_base import Kind
from appliance.room.signaling_room import StreamInfo, TrackInfo
from appliance.room.streams import LocalStream


class OwnMedia:
    def __init__(self, uplink: Uplink | None) -> None:
        self.uplink = uplink
        self._muted: dict[Kind, bool] = {"audio": False, "video": False}

    @property
    def level(self) -> int:
        """Volume 0..100 behind the gate."""
        return self.uplink.level if self.uplink is not None else 0

    def is_muted(self, kind: Kind) -> bool:
        """The gate itself; without an uplink the last wish."""
        return self.uplink.is_muted(kind) if self.uplink is not None else self._muted[kind]

    def set_muted(self, kind: Kind, muted: bool) -> None:
        self._muted[kind] = muted
        if self.uplink is not None:
            self.uplink.set_muted(kind, muted)

    def available(self, stream: LocalStream) -> LocalStream:
        """`stream` without the kinds that the uplink has no device for."""
        if self.uplink is None or stream.name != "main":
            return stream
        return replace(
            stream, audio=stream.audio and self.uplink.has("audio"), video=stream.video and self.uplink.has("video")
        )

    def describe(self, stream: LocalStream) -> StreamInfo:
        """`stream` as the hub is told, with the gate as it is now."""
        audio = TrackInfo(muted=self.is_muted("audio")) if stream.audio else None
        video = None
        if stream.video:
            video = TrackInfo(muted=self.is_muted("video"), width=stream.width, height=stream.height)
        return StreamInfo(name=stream.name, audio=audio, video=video)
