"""What is published in a room: one's own streams and everybody else's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from appliance.room.signaling_base import Kind, MediaKind, Priority, Role, StreamName
from appliance.room.signaling_room import StreamInfo, TrackInfo

if TYPE_CHECKING:
    from appliance.media.playout import RemoteAudio
    from appliance.media.video_in import RemoteVideo

KINDS: tuple[Kind, ...] = ("audio", "video")
MEDIA_KINDS: tuple[MediaKind, ...] = ("audio", "video", "screen")


class StreamType(StrEnum):
    """Which layer of a remote video is received (X25)."""

    HIGH = "high"
    LOW = "low"


class MediaPriority(IntEnum):
    """X27, D13."""

    HIGH = 50
    NORMAL = 100


def media_kinds(name: StreamName, kinds: Iterable[Kind]) -> tuple[MediaKind, ...]:
    """As people name the tracks of this stream: the picture of `screen` is the screen."""
    return tuple("screen" if name == "screen" and kind == "video" else kind for kind in kinds)


def track_kinds(name: StreamName, kinds: Iterable[MediaKind]) -> frozenset[Kind]:
    """The tracks of this stream that are meant; a kind that it cannot have is left out."""
    picture: MediaKind = "screen" if name == "screen" else "video"
    found = frozenset(kinds)
    return frozenset(kind for kind in KINDS if (picture if kind == "video" else kind) in found)


@dataclass(frozen=True, slots=True)
class LocalStream:
    """What `RoomClient.publish` announces; the media itself comes from the client's Uplink.

    `video` of the stream `screen` is the screen, `width` and `height` its pixels. `audio_track` and `video_track` name
    what is sent: with another name the others hear that a track was replaced.
    """

    audio: bool = True
    video: bool = True
    name: StreamName = "main"
    width: int = 0
    height: int = 0
    audio_track: str = ""
    video_track: str = ""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in KINDS if (self.audio if kind == "audio" else self.video))


class RemoteStream:
    """One stream of one remote user, the same object from stream_added to stream_removed.

    `audio` and `video` are there while that kind is subscribed and its leg carries media.
    """

    def __init__(self, user_id: str, info: StreamInfo) -> None:
        self.user_id = user_id
        self.info = info
        self.audio: RemoteAudio | None = None
        self.video: RemoteVideo | None = None
        self.is_undecryptable = False  # what comes of it is encrypted with another key, or not at all

    @property
    def name(self) -> StreamName:
        return self.info.name

    @property
    def kinds(self) -> tuple[MediaKind, ...]:
        """The kinds that its user publishes, subscribed or not; of a screen "screen"."""
        return media_kinds(self.name, self.track_kinds)

    @property
    def track_kinds(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in KINDS if self.track(kind) is not None)

    @property
    def has_low(self) -> bool:
        """Whether its video has two layers."""
        return self.info.video is not None and self.info.video.low

    @property
    def has_audio(self) -> bool:
        return self.info.audio is not None

    @property
    def has_video(self) -> bool:
        return self.info.video is not None

    def track(self, kind: Kind) -> TrackInfo | None:
        return self.info.audio if kind == "audio" else self.info.video

    def is_muted(self, kind: Kind) -> bool:
        """Whether the track is muted; a track that isn't published counts as muted."""
        track = self.track(kind)
        return track is None or track.muted

    def __repr__(self) -> str:
        return f"RemoteStream({self.user_id!r}, {self.name!r}, kinds={self.kinds})"


class RemoteUser:
    """One other user in the room, the same object from peer_joined to peer_left; `streams` by name."""

    def __init__(self, user_id: str, user_name: str = "", role: Role = "host", data: str = "") -> None:
        self.user_id = user_id
        self.user_name = user_name
        self.role = role
        self.data = data  # what it gave to its join
        self.priority: Priority = 100
        self.streams: dict[StreamName, RemoteStream] = {}

    def __repr__(self) -> str:
        return f"RemoteUser({self.user_id!r}, {self.role}, streams={list(self.streams)})"
