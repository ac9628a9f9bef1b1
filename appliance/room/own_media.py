"""What we have to show and say: the Uplink where there is one, else only the wishes about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from appliance.media.uplink import Uplink
from appliance.room.signaling_base import MediaKind, StreamName
from appliance.room.signaling_room import StreamInfo, TrackInfo
from appliance.room.streams import LocalStream


class OwnMedia:
    def __init__(self, uplink: Uplink | None) -> None:
        self.uplink = uplink
        self._muted: dict[MediaKind, bool] = {"audio": False, "video": False, "screen": False}

    @property
    def level(self) -> int:
        """Volume 0..100 behind the gate."""
        return self.uplink.level if self.uplink is not None else 0

    def is_muted(self, kind: MediaKind) -> bool:
        """The gate itself; without an uplink the last wish."""
        return self.uplink.is_muted(kind) if self.uplink is not None else self._muted[kind]

    def set_muted(self, kind: MediaKind, muted: bool) -> None:
        self._muted[kind] = muted
        if self.uplink is not None:
            self.uplink.set_muted(kind, muted)

    def available(self, stream: LocalStream) -> LocalStream:
        """`stream` without the kinds that the uplink has no device for."""
        if self.uplink is None:
            return stream
        return replace(
            stream,
            audio=stream.audio and stream.name == "main" and self.uplink.has("audio"),
            video=stream.video and self.uplink.has(_picture(stream.name)),
        )

    def describe(self, stream: LocalStream) -> StreamInfo:
        """`stream` as the hub is told, with the gate as it is now."""
        audio = video = None
        if stream.audio:
            audio = TrackInfo(muted=stream.name == "main" and self.is_muted("audio"), track=stream.audio_track)
        if stream.video:
            video = TrackInfo(
                muted=self.is_muted(_picture(stream.name)),
                track=stream.video_track,
                low=self._has_low(stream.name),
                width=stream.width,
                height=stream.height,
            )
        return StreamInfo(name=stream.name, audio=audio, video=video)

    def _has_low(self, name: StreamName) -> bool:
        if self.uplink is None:
            return False
        settings = self.uplink.settings
        return (settings.screen if name == "screen" else settings.video).low_layer


def _picture(name: StreamName) -> Literal["video", "screen"]:
    return "screen" if name == "screen" else "video"
