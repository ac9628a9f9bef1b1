"""Who the unit is in which room."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.media.e2ee import EncryptionMode
from appliance.media.uplink import UplinkSettings
from appliance.room.entry import Token
from appliance.room.options import RoomOptions
from appliance.room.signaling_base import Profile


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """`token` may be a function that gives a fresh one; an empty `user_id` lets the hub choose."""

    url: str
    room: str
    user_id: str = ""
    user_name: str = ""
    token: Token = ""
    profile: Profile = "rtc"
    encryption: EncryptionMode = "none"  # with it of each room that the unit joins, a call's too
    encryption_secret: str = field(default="", repr=False)
    auto_join: bool = True
    uplink: UplinkSettings = field(default_factory=UplinkSettings)
    options: RoomOptions = field(default_factory=lambda: RoomOptions(leave_timeout_s=1.0, video_on_demand=True))

    @property
    def push_to_talk(self) -> bool:
        """The microphone is muted while nobody holds a button."""
        return self.uplink.near_end.duplex == "push-to-talk"
