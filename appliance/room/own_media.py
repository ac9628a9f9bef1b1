"""What we have to show and say: the Uplink where there is one, else only the wishes about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast, get_args

from appliance.media.uplink import Uplink
from appliance.room.signaling_base import Layer, MediaKind, StreamName, VideoCodec
from appliance.room.signaling_room import StreamInfo, TrackInfo
from appliance.room.streams import LocalStream
from hw.level import SILENCE_DBOV


class OwnMedia:
    def __init__(self, uplink: Uplink | None) -> None:
        self.uplink = uplink
        self._muted: dict[MediaKind, bool] = {"audio": False, "video": False, "screen": False}

    @property
    def level(self) -> int:
        """Volume 0..100 behind the gate."""
        return self.uplink.level if self.uplink is not None else 0

    @property
    def dbov(self) -> float:
        """The same, -127 to 0 dBov."""
        return self.uplink.dbov if self.uplink is not None else SILENCE_DBOV

    def captured(self, name: StreamName) -> int:
        """Pictures that came of this stream's camera so far."""
        return self.uplink.captured(name) if self.uplink is not None else 0

    def sent_size(self, name: StreamName, codec: str, layer: Layer) -> tuple[int, int]:
        """Width and height of what is sent; 0 and 0 of what is not."""
        if self.uplink is None or codec not in get_args(VideoCodec):
            return (0, 0)
        return self.uplink.sent_size(cast(VideoCodec, codec), stream=name, layer=layer)

    def target_bps(self, name: StreamName, codec: str, layer: Layer) -> int | None:
        """What the encoder aims at; None while it does not run."""
        if self.uplink is None or codec not in get_args(VideoCodec):
            return None
        return self.uplink.target_bitrate_bps(cast(VideoCodec, codec), stream=name, layer=layer)

    def max_bps(self, name: StreamName) -> int:
        """What the encoder of its HIGH layer aims at where nothing limits it."""
        return self.uplink.max_bitrate_bps(stream=name) if self.uplink is not None else 0

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
