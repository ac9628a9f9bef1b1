"""What a call is on the wire: the content of an invitation, the words of its answers, and one message after it.

docs/calls.md is the whole story; the browser's room page speaks the same. Pure.
"""

from __future__ import annotations

import msgspec

from appliance.room.signaling_base import RoomId

# Why a call is refused (the response of a refusal).
DECLINED = "declined"  # by a person
BUSY = "busy"
DO_NOT_DISTURB = "do-not-disturb"
NO_ANSWER = "no-answer"
GLARE = "glare"  # I am calling you: answer that call

# Why a call is canceled (the content of a cancel); anything else: the caller gave up.
ANSWERED = "answered"  # by another one of those who were called


class Call(msgspec.Struct, frozen=True, kw_only=True, tag="call", tag_field="kind"):
    """Come into `room`. `token`: a room token for the callee and for this room, where the caller can make one."""

    room: RoomId
    token: str = ""


class CallEnded(msgspec.Struct, frozen=True, kw_only=True, tag="call-ended", tag_field="kind"):
    """A peer message: the call that began with the `invitation` is over. `reason`: "hang-up" or ANSWERED."""

    invitation: str
    reason: str = "hang-up"


_encoder = msgspec.json.Encoder()
_call = msgspec.json.Decoder(Call)
_call_ended = msgspec.json.Decoder(CallEnded)


def encode(content: Call | CallEnded) -> str:
    return _encoder.encode(content).decode()


def decode_call(text: str) -> Call | None:
    """None for an invitation that is no call, or not a good one."""
    try:
        return _call.decode(text.encode())
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def decode_call_ended(text: str) -> CallEnded | None:
    """None for any other message."""
    try:
        return _call_ended.decode(text.encode())
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def without_token(text: str) -> str:
    """The content of an invitation for those who may see it and may not enter the room."""
    call = decode_call(text)
    return encode(Call(room=call.room)) if call is not None else text
