"""What a hub may be told, with the unit in each name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.room.signaling_base import VideoCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    secure: bool = True  # nobody logs in without a room token
    room_capacity: int = 8  # members a room, held seats included
    duplicate_login: Literal["evict_old", "reject_new"] = "evict_old"
    max_rooms: int = 256
    video_codecs: tuple[VideoCodec, ...] = ("h264", "vp8")  # what is sent in this hub's rooms

    seat_grace_s: float = 30.0  # TM04: how long a lost link keeps its seat
    token_grace_s: float = 30.0  # X37: to renew a token after its end
    login_timeout_s: float = 10.0  # TM09
    heartbeat_s: float = 2.0  # a ping after so much silence
    lost_after_s: float = 5.0  # silence that means a lost link: found within 6 s
    close_timeout_s: float = 1.0  # for the closing handshake, before the socket is cut

    max_connections: int = 512
    max_connections_per_address: int = 64  # a whole office may stand behind one address
    messages_per_s: float = 100.0
    message_burst: int = 200
    bytes_per_s: float = 256 * 1024
    byte_burst: int = 2 * 1024 * 1024  # an SDP offer is 3 to 8 KB: a full room's legs at once
    early_messages_per_s: float = 5.0  # before the login: nobody has a reason for more than one or two
    early_message_burst: int = 32
    early_bytes_per_s: float = 16 * 1024
    early_byte_burst: int = 768 * 1024  # one message that is too big is still refused in words
    arrivals_per_s: float = 20.0  # new connections from one address: a handshake costs a millisecond of the call's loop
    arrival_burst: int = 100
    send_queue_messages: int = 512  # what waits for a reader that is slow; a fuller queue is a lost link
    send_queue_bytes: int = 2 * 1024 * 1024

    relay: Literal["off", "moderators", "hosts"] = "moderators"  # of a live room: who may push and record it
    relay_hosts: tuple[str, ...] = ()  # where to; empty: public addresses
    relay_tasks: int = 3  # of all rooms together
    recordings_bytes: int = 0  # of all of them; 0: none are kept
    recordings_age_s: float = 30 * 86_400.0

    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str = ""
    turn_ttl_s: float = 86_400.0
    demo_tokens: bool = False  # GET /hub/token, for pages of this very machine
    token_ttl_s: float = 86_400.0
