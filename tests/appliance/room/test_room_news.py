"""Which event a hub's word is."""

from __future__ import annotations

import pytest

from appliance.errors import LeaveReason, RtcErrorCode
from appliance.room.events import ConnectionReason, Kicked, NetworkQuality, RoomNetworkQuality, RtcErrorInfo
from appliance.room.room_news import eviction, news, refusal
from appliance.room.signaling_room import Kicked as KickedMessage
from appliance.room.signaling_room import MemberQuality, RoomQuality
from appliance.room.signaling_room import RoomClosed as RoomClosedMessage


@pytest.mark.parametrize(
    ("reason", "state"), [("kick", "KICKED"), ("banned", "KICKED"), ("token_expired", "TOKEN_EXPIRED")]
)
def test_who_is_put_out_hears_why(reason: str, state: str) -> None:
    message = KickedMessage(reason=reason, message="enough", code=LeaveReason.KICKED)  # type: ignore[arg-type]
    event, why = eviction(message, "a")
    assert isinstance(event, Kicked)
    assert (event.user_id, event.reason, event.message, event.code) == ("a", reason, "enough", LeaveReason.KICKED)
    assert why is ConnectionReason(state)


def test_reasons_that_a_newer_hub_may_send_are_taken_for_the_usual_ones() -> None:
    kicked, _ = eviction(KickedMessage(reason="kick", code=4711), "a")
    closed, why = eviction(RoomClosedMessage(room="lobby", reason=4711), "a")
    assert isinstance(kicked, Kicked)
    assert kicked.code is LeaveReason.KICKED
    assert closed.reason is LeaveReason.ROOM_DISMISSED
    assert why is ConnectionReason.ROOM_CLOSED


@pytest.mark.parametrize(
    ("code", "reason"), [(RtcErrorCode.KICKED, "kick"), (RtcErrorCode.BANNED, "banned"), (RtcErrorCode.INTERNAL, None)]
)
def test_who_is_not_let_back_in_was_kicked_only_when_the_hub_says_so(code: RtcErrorCode, reason: str | None) -> None:
    event = refusal(RtcErrorInfo(code, code.name, "no"), "a")
    assert (event.reason if event is not None else None) == reason


def test_the_quality_of_everybody_is_one_event_and_an_eviction_is_none() -> None:
    event = news(RoomQuality(items=(MemberQuality(user_id="a", uplink=1, downlink=6),)))
    assert isinstance(event, RoomNetworkQuality)
    (item,) = event.items
    assert (item.user_id, item.uplink, item.downlink) == ("a", NetworkQuality(1), NetworkQuality(6))
    assert news(KickedMessage(reason="kick")) is None
