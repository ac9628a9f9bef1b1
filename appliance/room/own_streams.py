"""What a stay publishes: announced to the hub, offered to the media, restored after a break or a change of role."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from appliance.errors import RtcError, StreamNotFoundError
from appliance.room.backend import MediaBackend
from appliance.room.signaling import ClientMessage
from appliance.room.signaling_base import Kind, MediaKind, StreamName
from appliance.room.signaling_room import Publish, SetMute, StreamInfo, Unpublish
from appliance.room.streams import LocalStream

logger = logging.getLogger(__name__)

Request = Callable[[str, Callable[[int], ClientMessage]], Awaitable[None]]


class OwnStreams:
    """`request` asks the hub, by operation and message; `describe` says what a stream looks like now."""

    def __init__(self, request: Request, media: MediaBackend, describe: Callable[[LocalStream], StreamInfo]) -> None:
        self.published: dict[StreamName, LocalStream] = {}
        self._request = request
        self._media = media
        self._describe = describe
        self._announced: set[StreamName] = set()  # what the hub may know of ours
        self._resting: dict[StreamName, LocalStream] = {}  # of a host that is audience now

    async def publish(self, stream: LocalStream) -> None:
        """Others can ask for it from now on; on an error everything is as before."""
        before = self.published.get(stream.name)
        self._offer(stream.name, stream)
        try:
            await self._publish(stream)
        except BaseException:
            self._offer(stream.name, before)
            raise

    async def unpublish(self, name: StreamName) -> None:
        self._offer(name, None)
        await self._unpublish(name)

    async def announce_mute(self, kind: MediaKind, muted: bool) -> None:
        name: StreamName = "screen" if kind == "screen" else "main"
        track: Kind = "audio" if kind == "audio" else "video"
        await self._request("mute", lambda request_id: SetMute(id=request_id, kind=track, muted=muted, name=name))

    def rest(self) -> None:
        """An audience publishes nothing; the hub has withdrawn it all (OR08)."""
        self._resting = dict(self.published)
        for name in self._resting:
            self._offer(name, None)
        self._announced.clear()

    async def resume(self) -> None:
        """A host again: what rested is published again (OR08)."""
        resting, self._resting = self._resting, {}
        for stream in resting.values():
            await self.publish(stream)

    async def publish_again(self, *, forgotten: bool) -> None:
        """After a lost link. `forgotten`: the hub knows nothing of them any more."""
        if forgotten:
            self._announced.clear()
        try:
            for name in self._announced - set(self.published):
                await self._unpublish(name)
            for stream in list(self.published.values()):
                await self._publish(stream)
        except RtcError as exc:
            logger.warning("what was published could not be restored: %s", exc)

    async def _publish(self, stream: LocalStream) -> None:
        self._announced.add(stream.name)
        await self._request("publish", lambda request_id: Publish(id=request_id, stream=self._describe(stream)))

    async def _unpublish(self, name: StreamName) -> None:
        try:
            await self._request("unpublish", lambda request_id: Unpublish(id=request_id, name=name))
        except StreamNotFoundError:
            logger.debug("the hub never heard of %s", name)
        self._announced.discard(name)

    def _offer(self, name: StreamName, stream: LocalStream | None) -> None:
        if stream is None:
            self.published.pop(name, None)
        else:
            self.published[name] = stream
        self._media.publish(name, frozenset(stream.kinds) if stream is not None else frozenset())
