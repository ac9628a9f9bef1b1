"""What a media back end does for a room client. Mesh is the first; none of them imports another.

All calls come from the event loop's thread. A back end talks through `SendLeg`, which raises `LinkLostError` while
there is no link; media that flows needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from appliance.media.e2ee import FrameKey
from appliance.media.sei import SeiPayload
from appliance.room.counters import InTrack, OutTrack
from appliance.room.events import ConnectionState
from appliance.room.leg import LegStats
from appliance.room.signaling_base import Kind, Selection, StreamName, VideoCodec
from appliance.room.signaling_room import IceServer, LegMessage
from appliance.room.streams import RemoteStream

SendLeg = Callable[[str, LegMessage], None]  # (to, message)


@dataclass(frozen=True, slots=True)
class MediaCalls:
    """What a back end tells the client. `misfit`: its video comes in no codec that may be taken here."""

    subscribed: Callable[[RemoteStream, Kind], None]
    misfit: Callable[[RemoteStream], None]
    state: Callable[[RemoteStream, ConnectionState, ConnectionState], None]  # before, now
    sei: Callable[[RemoteStream, SeiPayload], None]
    watched: Callable[[], None]  # a video is, or is no longer


class LegFailedError(Exception):
    """A leg did not come up or was lost; the message says why."""


@dataclass(frozen=True, slots=True)
class LegReport:
    """The counters of one leg, to or from `user_id`; of one that was lost, its last ones."""

    leg_id: str
    direction: Literal["up", "down"]
    stats: LegStats
    user_id: str = ""
    stream: StreamName = "main"
    tracks: tuple[OutTrack | InTrack, ...] = ()
    is_live: bool = True
    local_address: str | None = None
    rests: bool = False  # nothing has to come: all of it is muted or not asked for


class MediaBackend(Protocol):
    ice_servers: Sequence[IceServer]  # read for each new leg, like the next
    video_codecs: Sequence[VideoCodec]  # what may be sent and received in this room

    def protect(self, key: FrameKey | None) -> None:
        """Encrypt everything, and take nothing that is not encrypted with it; before the first leg, until `close`.
        None: not any more, when there has been no leg.
        """

    def publish(self, name: StreamName, kinds: frozenset[Kind]) -> None:
        """What others may receive of this stream from now on; nothing when empty."""

    def want(self, stream: RemoteStream, kinds: frozenset[Kind]) -> None:
        """Receive these kinds, and keep receiving them over every loss, until they are no longer wanted."""

    def wanted(self, stream: RemoteStream) -> frozenset[Kind]: ...

    def select(self, stream: RemoteStream, layer: Selection) -> None:
        """Receive its video in this layer from its next key frame on, or none of it. The same again says it again."""

    def tell_short(self, name: StreamName, short: bool) -> None:
        """Tell those who receive this stream of ours whether its video goes out with less than it needs."""

    def is_short(self, stream: RemoteStream) -> bool:
        """Whether its sender said so lately."""

    def state(self, stream: RemoteStream) -> ConnectionState:
        """Of its media: DISCONNECTED while nothing of it is wanted."""

    def cut_off(self) -> frozenset[str]:
        """Of whom something is wanted that a leg was there for, or nearly, and is no more."""

    async def wait_subscribed(self, stream: RemoteStream, kinds: frozenset[Kind]) -> None:
        """Until the first media of each kind was announced. Raises `LegFailedError` when it is no longer wanted."""

    def signal(self, sender: str, message: LegMessage) -> None:
        """A leg message from another member: not trusted."""

    def forget(self, user_id: str) -> None:
        """That user left: nothing flows to it or from it any more."""

    def nudge(self, user_id: str) -> None:
        """Something of that user changed: whoever waits to try again tries now."""

    def network_changed(self, *, back: bool, gone: frozenset[str]) -> None:
        """`back`: whoever waits to try again tries now. Legs that start at an address of `gone` are lost."""

    def link_up(self) -> None: ...
    def link_down(self) -> None: ...
    def reports(self) -> list[LegReport]: ...
    async def close(self) -> None: ...
