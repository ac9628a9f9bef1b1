"""Which mute gates are wanted shut, by the people at the unit and the hosts of its room. The gates are the uplink's.

A wish outlives a restart of the session. What a host keeps shut nobody opens here. Once no host keeps it so, the screen
is open again if it was; of microphone and camera a person decides: somebody may have come into the room meanwhile who
does not know that they were on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from appliance.errors import RtcError
from appliance.events import Event
from appliance.media.uplink import Uplink
from appliance.room.client import RoomClient
from appliance.room.events import ConnectionStateChanged, MuteForced
from appliance.room.signaling_base import Kind, MediaKind

logger = logging.getLogger(__name__)


class MuteGates:
    """Used on the event loop. `moved` is called after each move of a gate, while there are gates."""

    def __init__(self, moved: Callable[[], None], *, microphone_shut: bool) -> None:
        self._shut: dict[MediaKind, bool] = {"audio": microphone_shut, "video": False, "screen": False}
        self._screen_waits = False  # for a host of the room, who alone keeps it shut
        self._changed = asyncio.Event()
        self._moved = moved
        self._client: RoomClient | None = None
        self._uplink: Uplink | None = None

    def is_wanted_shut(self, kind: MediaKind) -> bool:
        return self._shut[kind]

    @property
    def forced(self) -> frozenset[MediaKind]:
        """What a host of the room keeps shut."""
        return self._client.forced_mutes if self._client is not None else frozenset()

    def begin(self, client: RoomClient, uplink: Uplink) -> None:
        """These are the gates until `end`, and that is the room that hears of them."""
        self._client, self._uplink = client, uplink
        for kind, shut in self._shut.items():
            uplink.set_muted(kind, shut)

    def end(self) -> None:
        self._client = self._uplink = None

    def shut_at_next_begin(self, kind: MediaKind) -> None:
        self._shut[kind] = True

    async def set(self, kind: MediaKind, muted: bool) -> None:
        """Move the gate at once, in a room or not; then tell the room."""
        is_held = not muted and kind in self.forced
        if kind == "screen":
            self._screen_waits = is_held
        if is_held:
            logger.warning("%s stays muted: a host of the room muted it", kind)
            return
        self._shut[kind] = muted
        if self._client is None or self._uplink is None:
            return
        self._uplink.set_muted(kind, muted)
        self._moved()
        try:
            await (self._client.mute(kind) if muted else self._client.unmute(kind))
        except RtcError as exc:
            logger.warning("the hub does not know yet that %s is %s: %s", kind, "muted" if muted else "unmuted", exc)

    async def toggle(self, kind: Kind = "audio") -> None:
        await self.set(kind, not self._shut[kind])

    def take(self, event: Event) -> None:
        """An event of the client."""
        if isinstance(event, ConnectionStateChanged):
            self._changed.set()
        elif isinstance(event, MuteForced):
            self._changed.set()
            if event.muted:
                if event.kind == "screen":
                    self._screen_waits = self._screen_waits or not self._shut["screen"]
                self._shut[event.kind] = True
                self._moved()

    async def run(self) -> None:
        """Until cancelled: opens the screen's when no host keeps it shut any more."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._screen_waits and "screen" not in self.forced:
                await self.set("screen", False)
