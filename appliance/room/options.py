"""The timers of a room client (capabilities T3-D) and what else its caller may set."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import aiohttp

from appliance.room.backoff import RECONNECT_DELAYS_S
from appliance.room.exceptions import HOLD_S, QUIET_S
from appliance.room.layers import BETTER_S, WORSE_S
from appliance.room.signaling_base import VideoCodec


@dataclass(frozen=True, slots=True)
class RoomOptions:
    join_timeout_s: float = 10.0  # TM09
    request_timeout_s: float = 5.0  # any other request to the hub
    leave_timeout_s: float = 2.0  # TR13: the cap of a teardown
    heartbeat_s: float = 2.0  # a ping after so much silence
    lost_after_s: float = 5.0  # silence that means a lost link: found within 6 s
    reconnect_deadline_s: float = 30.0  # TM04; equals the hub's seat grace
    reconnect_delays_s: tuple[float, ...] = RECONNECT_DELAYS_S  # TM03
    attempt_timeout_s: float = 5.0  # one attempt of a reconnect, from name look-up to Joined
    media_deadline_s: float = 60.0  # of several others no media from or to anybody: out of the room (RS03)
    return_grace_s: float = 5.0  # after a hub's restart: how long the others may take to come back to it
    subscribe_timeout_s: float = 10.0  # until the first media of every kind
    quality_interval_s: float = 2.0  # TM06
    network_quality_on_change: bool = False  # network_quality only when a level changed (X32)
    video_codecs: tuple[VideoCodec, ...] = ("h264", "vp8")  # what may be sent and received
    automatic_layers: bool = True  # give up pictures while the downlink is squeezed (layers.py)
    video_on_demand: bool = False  # no pictures of a video that nobody watches, unless a layer or a size was asked for
    layer_down_s: float = WORSE_S
    layer_up_s: float = BETTER_S
    sample_interval_s: float = 1.0  # of statistics and exceptions (D07)
    exception_hold_s: float = HOLD_S
    exception_quiet_s: float = QUIET_S
    trtc_transitions: bool = False  # a lost link passes through DISCONNECTED, as TRTC's does (X08, TR06)
    # For wss: whom to trust; None: the system's authorities.
    ssl: ssl.SSLContext | aiohttp.Fingerprint | None = None
