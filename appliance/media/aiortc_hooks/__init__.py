"""The only package that touches private names of aiortc (1.16) and aioice (0.13); each file has one part of them.

Each hook is small, sits on one instance where it can, and is exercised by `self_test` at start-up, which says by name
which one an upgrade broke. All of them belong to the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import aiortc.codecs

from appliance.media.aiortc_hooks import clock, datagrams, ice, transport_feedback, video_receivers
from appliance.media.aiortc_hooks.connection import Connecting, negotiated_codec, passive_offer
from appliance.media.aiortc_hooks.ice import (
    consent_answered_s,
    consent_expired,
    host_addresses,
    ice_agent,
    ice_rtt_s,
    local_address,
)
from appliance.media.aiortc_hooks.media_in import MediaIn, take_packets
from appliance.media.aiortc_hooks.receivers import Inbound, on_sender_report, stop_decoding, take_audio_packets
from appliance.media.aiortc_hooks.senders import SenderCalls, take_over_sender
from appliance.media.aiortc_hooks.transport_feedback import ArrivalReports
from appliance.media.aiortc_hooks.video_receivers import receive_video

__all__ = [
    "ArrivalReports",
    "Connecting",
    "Inbound",
    "MediaIn",
    "SenderCalls",
    "consent_answered_s",
    "consent_expired",
    "host_addresses",
    "ice_agent",
    "ice_rtt_s",
    "install",
    "local_address",
    "negotiated_codec",
    "on_sender_report",
    "passive_offer",
    "receive_video",
    "self_test",
    "stop_decoding",
    "take_audio_packets",
    "take_over_sender",
    "take_packets",
]


def install(ice_addresses: Sequence[str] = (), *, loopback: bool = False) -> None:
    """Monotonic clocks, fast consent checks, our host addresses, Opus with FEC and DTX, no public STUN. Idempotent.

    `ice_addresses`: the only addresses to offer; empty: all of this machine. `loopback` offers 127.0.0.1 beside them.
    """
    clock.install()
    ice.install(tuple(ice_addresses), loopback=loopback)
    datagrams.install()
    video_receivers.install()
    aiortc.codecs.CODECS["audio"][0].parameters = {"minptime": 10, "useinbandfec": 1, "usedtx": 1}
    transport_feedback.install()


async def self_test() -> None:
    """Runs each hook once, in about 50 ms; HookError names the first that does not work. Needs `install` before."""
    from appliance.media.aiortc_hooks import selftest  # it imports this file

    await selftest.run()
