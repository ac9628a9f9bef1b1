from __future__ import annotations

from appliance.event_json import encode_event
from appliance.events import Event
from appliance.room.call_content import Call, encode
from appliance.room.events import InvitationReceived
from appliance.room.invitations import Invitations
from appliance.room.login import Login
from appliance.room.options import RoomOptions


def test_who_may_read_events_gets_no_room_token() -> None:
    told: list[Event] = []
    invitations = Invitations(Login("ws://127.0.0.1:9", RoomOptions(), told.append), told.append)
    invitation = invitations.create("desk", encode(Call(room="porch", token="secret")))
    text = encode_event(InvitationReceived(invitation=invitation)).decode()  # type: ignore[arg-type]
    assert "porch" in text
    assert "secret" not in text
