"""What every wire message is made of: the base struct, and the names and ids with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

UserId = Annotated[str, msgspec.Meta(max_length=64)]
RoomId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._~-]+\Z")]
UserName = Annotated[str, msgspec.Meta(max_length=256)]
UserData = Annotated[str, msgspec.Meta(max_length=1024)]  # of the application, as it likes
LegId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
RequestId = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Sdp = Annotated[str, msgspec.Meta(max_length=48 * 1024)]
Fingerprint = Annotated[str, msgspec.Meta(max_length=64)]  # of a room's key (X43)
Token = Annotated[str, msgspec.Meta(max_length=4096)]
TrackId = Annotated[str, msgspec.Meta(max_length=64)]
Kind = Literal["audio", "video"]
MediaKind = Literal["audio", "video", "screen"]  # as people name them: screen is the picture of the stream "screen"
StreamName = Literal["main", "screen"]
VideoCodec = Literal["h264", "vp8"]
Layer = Literal["high", "low"]
Selection = Literal["high", "low", "none"]  # of a video's layers
Priority = Literal[50, 100]  # HIGH, NORMAL (D13)
Role = Literal["host", "audience"]
Profile = Literal["rtc", "live"]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=None, kw_only=True):
    pass
