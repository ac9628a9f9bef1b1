"""What the hub says of a room, as the client's events tell it. Pure."""

from __future__ import annotations

from appliance.errors import LeaveReason, RtcErrorCode
from appliance.events import Event
from appliance.room.events import (
    ConnectionReason,
    Kicked,
    MediaPriorityChanged,
    MemberQuality,
    MuteForced,
    NetworkQuality,
    RoomClosed,
    RoomNetworkQuality,
    RtcErrorInfo,
    RtmpState,
    WarningRaised,
)
from appliance.room.signaling import HubMessage
from appliance.room.signaling_room import Kicked as KickedMessage
from appliance.room.signaling_room import MuteForced as ForcedMute
from appliance.room.signaling_room import PriorityChanged, RoomQuality
from appliance.room.signaling_room import RoomClosed as RoomClosedMessage
from appliance.room.signaling_room import Warning as WarningMessage
from appliance.room.signaling_tasks import TaskChanged
from appliance.room.streams import MediaPriority


def news(message: HubMessage) -> Event | None:
    """None for what is no news of itself: the roster's events are comparisons, an eviction is `eviction`'s."""
    match message:
        case RoomQuality():
            items = (
                MemberQuality(item.user_id, NetworkQuality(item.uplink), NetworkQuality(item.downlink))
                for item in message.items
            )
            return RoomNetworkQuality(items=tuple(items))
        case TaskChanged():
            return RtmpState(
                task_id=message.task_id,
                url=message.url,
                host_user_id=message.host_user_id,
                code=message.code,
                message=message.message,
            )
        case ForcedMute():
            return MuteForced(kind=message.kind, muted=message.muted, by=message.by, message=message.message)
        case PriorityChanged():
            return MediaPriorityChanged(priority=MediaPriority(message.priority), by=message.by)
        case WarningMessage():
            return WarningRaised(code=message.code, reason=message.reason)
    return None


def eviction(message: KickedMessage | RoomClosedMessage, user_id: str) -> tuple[Kicked | RoomClosed, ConnectionReason]:
    """The event for `user_id` who is put out, and why the connection ends."""
    if isinstance(message, RoomClosedMessage):
        closed = LeaveReason(message.reason) if message.reason in set(LeaveReason) else LeaveReason.ROOM_DISMISSED
        event = RoomClosed(room_id=message.room, reason=closed, message=message.message)
        return event, ConnectionReason.ROOM_CLOSED
    code = LeaveReason(message.code) if message.code in set(LeaveReason) else LeaveReason.KICKED
    kicked = Kicked(user_id=user_id, reason=message.reason, message=message.message, code=code)
    expired = message.reason == "token_expired"
    return kicked, ConnectionReason.TOKEN_EXPIRED if expired else ConnectionReason.KICKED


def refusal(error: RtcErrorInfo, user_id: str) -> Kicked | None:
    """The event for `user_id` whom the hub does not let back in."""
    match error.code:
        case RtcErrorCode.KICKED:
            return Kicked(user_id=user_id, reason="kick", message=error.message)
        case RtcErrorCode.BANNED:
            return Kicked(user_id=user_id, reason="banned", message=error.message)
    return None
