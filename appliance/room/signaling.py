"""The wire messages between a client and the hub: JSON objects with a `type`, one WebSocket text message each.

A request carries an `id` that its `Ok`, its own reply or its `Error` repeats. The roster travels as state, not as
events: the hub sends the whole `Member` whenever something of it changed, the client compares and raises the events
(`room/roster.py`), so that a change and a resync after a lost link are one path.

    client                                   hub
      Login(id) ------------------------------> LoggedIn(id) | Error(id)       login scope: `signaling_login`
      Join(id)  ------------------------------> Joined(id)   | Error(id)       room scope: `signaling_room`
      Publish, Unpublish, SetMute (id) -------> Ok(id)       | Error(id)       -> MemberChanged to the others
      Signal(to, leg message) ----------------> Signal(sender, leg message)    to that member only
      AddTasks, UpdateTasks, DeleteTasks (id) -> Ok(id)      | Error(id)       relay: `signaling_tasks`
      Leave(id) ------------------------------> Ok(id)                         -> MemberLeft to the others
      Ping -----------------------------------> Pong
              MemberChanged, MemberLeft, Kicked, RoomClosed, MuteForced,
              PriorityChanged, Warning, RoomQuality, Error           <----     pushed

Media legs run one way. The receiving side asks with `LegRequest`, the sending side answers with `LegOffer`, the
receiving side with `LegAnswer`, and later with `LegSelect` when it wants another layer of the video; either ends it
with `LegClose`. A sender with HIGH media priority says with `LegShort` that its video goes out with too little. The
receiving side owns recovery: it asks again.
Peers exchange SDP with all its candidates inside: no trickle.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from appliance.errors import RtcError, RtcErrorCode
from appliance.room.signaling_login import ClientLoginMessage, HubLoginMessage
from appliance.room.signaling_room import ClientRoomMessage, HubRoomMessage
from appliance.room.signaling_tasks import ClientTaskMessage, HubTaskMessage

MAX_MESSAGE_BYTES = 256 * 1024  # 32 KiB of control characters, each escaped in six bytes, and the rest of the message

T = TypeVar("T")

ClientMessage = ClientLoginMessage | ClientRoomMessage | ClientTaskMessage
HubMessage = HubLoginMessage | HubRoomMessage | HubTaskMessage

_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_hub_decoder: msgspec.json.Decoder[HubMessage] = msgspec.json.Decoder(HubMessage)


def encode(message: ClientMessage | HubMessage) -> str:
    """One JSON text message."""
    return _encoder.encode(message).decode()


def decode_client(text: str) -> ClientMessage:
    """What a client sent. Raises `RtcError` with code message-* that names the field; never anything else."""
    return _decode(text, _client_decoder)


def decode_hub(text: str) -> HubMessage:
    """What a hub sent. Raises like `decode_client`."""
    return _decode(text, _hub_decoder)


def _decode(text: str, decoder: msgspec.json.Decoder[T]) -> T:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_MESSAGE_BYTES:
        raise RtcError(
            f"message of {size} bytes; at most {MAX_MESSAGE_BYTES} are allowed", code=RtcErrorCode.MESSAGE_TOO_LARGE
        )
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as exc:
        code = RtcErrorCode.MESSAGE_UNKNOWN if "$.type" in str(exc) else RtcErrorCode.MESSAGE_MALFORMED
        raise RtcError(str(exc), code=code) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise RtcError(f"not a JSON message: {exc}", code=RtcErrorCode.MESSAGE_MALFORMED) from exc
