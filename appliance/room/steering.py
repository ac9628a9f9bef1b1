"""Tells the media which layer of each remote video to receive: wishes, tiles and the downlink together (U36, U42).

Wishes and tiles outlive a stay in a room; `layers.py` decides.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from appliance.room.backend import MediaBackend
from appliance.room.layers import RemoteVideoFacts, Squeeze, select
from appliance.room.options import RoomOptions
from appliance.room.signaling_base import Selection, StreamName
from appliance.room.streams import RemoteStream, RemoteUser, StreamType

MAX_WISHES = 1024  # the oldest go first; guests have a new id each time
REPEAT_S = 10.0  # what was selected is said again: the hub drops what it cannot hand on

Key = tuple[str, StreamName]  # user id, stream


class Steering:
    def __init__(self, options: RoomOptions) -> None:
        self._options = options
        self._wishes: dict[Key, StreamType] = {}
        self._shown: dict[Key, tuple[int, int]] = {}
        self._told: dict[Key, tuple[Selection, float]] = {}  # and when
        self._media: MediaBackend | None = None
        self._users: Mapping[str, RemoteUser] = {}
        self._squeeze = self._new_squeeze()

    def attach(self, media: MediaBackend | None, users: Mapping[str, RemoteUser]) -> None:
        """To the media of a stay; None between two of them."""
        self._media, self._users = media, users
        self._told.clear()
        self._squeeze = self._new_squeeze()

    def wish(self, key: Key, stream_type: StreamType) -> bool:
        """False for a stream of one layer, which is left as it is."""
        user = self._users.get(key[0])
        stream = user.streams.get(key[1]) if user is not None else None
        if stream is not None and not stream.has_low:
            return False
        self._wishes.pop(key, None)
        self._wishes[key] = stream_type
        if len(self._wishes) > MAX_WISHES:
            del self._wishes[next(iter(self._wishes))]
        self.apply()
        return True

    def show(self, key: Key, size: tuple[int, int] | None) -> None:
        if size is None:
            self._shown.pop(key, None)
        else:
            self._shown[key] = size
        self.apply()

    def report(self, loss: float | None, rtt_s: float | None) -> None:
        """What the downlink is like: loss 0..1, RTT."""
        if self._options.automatic_layers:
            important = self._important
            short = any(self._media is not None and self._media.is_short(stream) for stream in important)
            self._squeeze.report(loss, rtt_s, 3 if important else 1, time.monotonic(), short=short)
        self.apply()

    def apply(self) -> None:
        """Looks at every stream and tells the media what is new."""
        if self._media is None:
            return
        now_s = time.monotonic()
        streams = {(user.user_id, name): s for user in self._users.values() for name, s in user.streams.items()}
        for key in self._told.keys() - streams.keys():
            del self._told[key]
        for key, stream in streams.items():
            told = self._told.get(key)
            now = select(self._facts(key, stream), self._squeeze.step, self.selected(stream))
            if now != self.selected(stream) or (told is not None and now_s - told[1] >= REPEAT_S):
                self._told[key] = (now, now_s)
                self._media.select(stream, now)

    def selected(self, stream: RemoteStream) -> Selection:
        """As the media was told."""
        told = self._told.get((stream.user_id, stream.name))
        return told[0] if told is not None else "high"

    @property
    def _important(self) -> list[RemoteStream]:
        """The received videos of the user with HIGH priority."""
        return [
            stream
            for user in self._users.values()
            if user.priority == 50
            for stream in user.streams.values()
            if self._media is not None and "video" in self._media.wanted(stream) and not stream.is_muted("video")
        ]

    def _facts(self, key: Key, stream: RemoteStream) -> RemoteVideoFacts:
        user = self._users[key[0]]
        return RemoteVideoFacts(
            stream.has_low,
            self._wishes.get(key, StreamType.HIGH),
            user.priority == 50,
            self._shown.get(key),
            is_wanted=not self._options.video_on_demand or self._is_asked_for(key, stream),
            has_come=stream.video is not None,
        )

    def _is_asked_for(self, key: Key, stream: RemoteStream) -> bool:
        return key in self._wishes or key in self._shown or (stream.video is not None and stream.video.wanted)

    def _new_squeeze(self) -> Squeeze:
        return Squeeze(worse_s=self._options.layer_down_s, better_s=self._options.layer_up_s)
