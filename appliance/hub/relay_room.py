"""The hidden member of a room that is relayed: hears and sees those whom its tasks want, through legs like anybody's.

It lives in the hub's own process: what the room tells it comes by `deliver`, what it says goes by `signal`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from weakref import WeakKeyDictionary

import av

from appliance.events import Event
from appliance.hub.relay_layout import Key, heard, key_of, seen
from appliance.hub.relay_run import TaskRun
from appliance.hub.relay_sound import RelaySound
from appliance.media.video_in import RemoteVideo
from appliance.room.backend import MediaCalls
from appliance.room.events import PeerLeft, StreamRemoved
from appliance.room.mesh import Mesh
from appliance.room.roster import Roster
from appliance.room.signaling import HubMessage
from appliance.room.signaling_base import Kind, Selection
from appliance.room.signaling_room import IceServer, LegMessage, Member, MemberChanged, MemberLeft, SignalFrom
from appliance.room.signaling_tasks import TaskLayout
from appliance.room.streams import RemoteStream

logger = logging.getLogger(__name__)

LOOK_S = 0.1  # between looks at which pictures there are
SMALL_PX = 120  # of a place's height: a LOW layer is 180 high, and 15 pictures a second
ABSENT_S = 5.0  # without a new picture: the image behind it is shown


class RoomRelay:
    """`runs` by task id are its owner's."""

    def __init__(
        self,
        room: str,
        members: Iterable[Member],
        signal: Callable[[str, LegMessage], None],
        ice_servers: Sequence[IceServer],
    ) -> None:
        self.runs: dict[str, TaskRun] = {}
        self.sound = RelaySound()
        self._roster = Roster(room)
        self._mesh = Mesh(None, self.sound, send=signal, calls=_NOBODY, ice_servers=ice_servers)
        self._mesh.link_up()
        self._watched: dict[Key, tuple[RemoteVideo, ExitStack]] = {}
        self._layers: WeakKeyDictionary[RemoteStream, Selection] = WeakKeyDictionary()
        self._videos: dict[Key, RemoteVideo] = {}  # replaced as a whole: the tasks' threads read it
        self.sound.start()
        self._apply(self._roster.resync(members))
        self._looking = asyncio.create_task(self._look_on(), name=f"relay-room-{room}")

    def deliver(self, message: HubMessage) -> None:
        match message:
            case MemberChanged():
                self._apply(self._roster.change(message))
                self._mesh.nudge(message.member.user_id)
            case MemberLeft():
                self._apply(self._roster.leave(message))
            case SignalFrom():
                self._mesh.signal(message.sender, message.leg)

    def pictures(self) -> dict[Key, av.VideoFrame]:
        """The newest of each stream that has one; for any thread."""
        now_s = time.monotonic()
        found = {}
        for key, video in self._videos.items():
            frame, at_s = video.latest, video.latest_s
            if frame is not None and at_s is not None and now_s - at_s < ABSENT_S:
                found[key] = frame
        return found

    def settle(self) -> None:
        """Want what the tasks want, no more."""
        layouts = [run.task.layout for run in self.runs.values() if run.is_live]
        for user in self._roster.users.values():
            for stream in user.streams.values():
                key = (user.user_id, stream.name)
                kinds: set[Kind] = set()
                if any(key in heard(layout) for layout in layouts):
                    kinds.add("audio")
                if any(key in seen(layout) for layout in layouts):
                    kinds.add("video")
                self._select(stream, layouts)
                if self._mesh.wanted(stream) != kinds:
                    self._mesh.want(stream, frozenset(kinds))
        self._look()

    async def close(self) -> None:
        """The tasks first: their threads ask for pictures."""
        self._looking.cancel()
        await asyncio.gather(*(run.close() for run in self.runs.values()), self._looking, return_exceptions=True)
        self.runs.clear()
        for _, stack in self._watched.values():
            stack.close()
        self._watched.clear()
        await self._mesh.close()
        await asyncio.to_thread(self.sound.close)

    # --- inside

    def _apply(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, PeerLeft):
                self._mesh.forget(event.user_id)
        for event in events:
            if isinstance(event, StreamRemoved):
                self._mesh.want(event.stream, frozenset())
        self.settle()

    def _select(self, stream: RemoteStream, layouts: list[TaskLayout]) -> None:
        """The LOW layer where all its places are small enough for it."""
        key = (stream.user_id, stream.name)
        heights = [user.height for layout in layouts for user in layout.users if key_of(user) == key]
        video = stream.info.video
        if not heights or video is None:
            return
        layer: Selection = "low" if video.low and max(heights) <= SMALL_PX else "high"
        if layer != self._layers.get(stream, "high"):
            self._layers[stream] = layer
            self._mesh.select(stream, layer)

    async def _look_on(self) -> None:
        """A leg that takes another's place brings another `RemoteVideo` without a word."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.settle()

    def _look(self) -> None:
        videos: dict[Key, RemoteVideo] = {}
        for user in self._roster.users.values():
            for stream in user.streams.values():
                track = stream.info.video
                if stream.video is not None and track is not None and not track.muted:
                    videos[user.user_id, stream.name] = stream.video
        for key, (video, stack) in list(self._watched.items()):
            if videos.get(key) is not video:
                stack.close()
                del self._watched[key]
        for key, video in videos.items():
            if key not in self._watched:
                stack = ExitStack()
                stack.enter_context(video.watch())
                self._watched[key] = (video, stack)
        self._videos = videos


def _ignore(*_of_it: object) -> None:
    pass


_NOBODY = MediaCalls(subscribed=_ignore, misfit=_ignore, state=_ignore, sei=_ignore, watched=_ignore)
