"""Events and other values of the program as JSON, for the API and the pages."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec

from appliance.events import Event
from appliance.room.call_content import without_token
from appliance.room.invitations import LocalInvitation, RemoteInvitation
from appliance.room.streams import RemoteStream


def _plain(value: Any) -> Any:
    if isinstance(value, RemoteStream):
        return {
            "user_id": value.user_id,
            "name": value.name,
            "kinds": value.kinds,
            "audio_muted": value.is_muted("audio"),
            "video_muted": value.is_muted("video"),
        }
    if isinstance(value, LocalInvitation | RemoteInvitation):
        outgoing = isinstance(value, LocalInvitation)
        return {
            "invitation_id": value.invitation_id,
            "peer_id": value.callee_id if isinstance(value, LocalInvitation) else value.caller_id,
            "outgoing": outgoing,
            "state": value.state,
            "content": without_token(value.content),
        }
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def encode(value: Any) -> bytes:
    """JSON of structs, dataclasses, enums, remote streams and plain values. TypeError for anything else."""
    return _encoder.encode(value)


def event_fields(event: Event) -> dict[str, Any]:
    """The fields of an event by name."""
    return {field.name: getattr(event, field.name) for field in fields(event)}


def encode_event(event: Event) -> bytes:
    return encode(event_fields(event))
