"""Who the unit is in which room, and what the configuration says of it."""

from __future__ import annotations

import re
import ssl
import time
from dataclasses import dataclass, field

from appliance.config import Config
from appliance.hub.tokens import TokenSigner
from appliance.media.e2ee import EncryptionMode
from appliance.media.echo import NearEndSettings
from appliance.media.uplink import UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room.entry import Token
from appliance.room.options import RoomOptions
from appliance.room.signaling_base import Profile
from appliance.tls import pinned

LEAVE_S = 0.8


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


def session_settings(
    config: Config, signer: TokenSigner, own_hub_url: str, own_tls: ssl.SSLContext | None
) -> SessionSettings:
    """`signer`, `own_hub_url` and `own_tls`: those of this unit's hub, for where that is the one of its room."""
    room, audio, video, screen = config.room, config.audio, config.video, config.screen
    name = config.device.name
    user_id = room.user or (_slug(name) if room.is_own else "")

    def mint() -> str:
        """No moderator's: nothing on the unit puts others out; its owner does that over /admin."""
        return signer.sign(user_id, room.room, "host", name, config.hub.token_ttl, time.time())

    return SessionSettings(
        url=own_hub_url if room.is_own else room.url,
        room=room.room,
        user_id=user_id,
        user_name=name,
        token=room.token or mint if room.is_own else room.token,
        profile=room.profile,
        encryption=room.encryption,
        encryption_secret=room.encryption_secret,
        auto_join=room.auto_join,
        uplink=UplinkSettings(
            VideoSettings(*video.picture_size, fps=video.fps, codec=video.codec, low_layer=video.low_layer),
            VideoSettings(screen.width, screen.height, fps=screen.fps, codec=video.codec),
            near_end=NearEndSettings(
                audio.duplex, audio.echo_cancellation, audio.noise_suppression, audio.gain_control
            ),
            low_delay=audio.low_delay,
        ),
        options=RoomOptions(
            leave_timeout_s=LEAVE_S,
            video_on_demand=True,
            ssl=own_tls if room.is_own else pinned(room.fingerprint),
        ),
    )


def _slug(name: str) -> str:
    """A user id out of a device's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "appliance"
