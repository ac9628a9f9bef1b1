"""What the unit shares beside its camera: an HDMI bridge, a film or pictures, as the stream `screen` (U28, U71)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from appliance.devices import REOPEN_DELAYS_S
from appliance.errors import RtcError
from appliance.media.uplink import Uplink
from appliance.room.backoff import Backoff
from appliance.room.client import RoomClient
from appliance.room.events import ConnectionState
from appliance.room.streams import LocalStream
from appliance.watched import WatchedCamera
from hw import AccessUnit, Camera, OnLost, Picture, PictureSink

logger = logging.getLogger(__name__)

FIRST_PICTURE_S = 5.0  # an HDMI bridge that has to find its signal
_STEADY_S = 10.0  # a source that worked so long: what comes then is a new fault


class _Source(WatchedCamera):
    """`first` is set with its first picture."""

    def __init__(self, device: Camera) -> None:
        super().__init__(device)
        self.first = asyncio.Event()

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        loop = asyncio.get_running_loop()

        def deliver(picture: Picture | AccessUnit) -> None:
            if not self.first.is_set():
                loop.call_soon_threadsafe(self.first.set)
            sink(picture)

        super().start(deliver, on_lost)


class ScreenShare:
    """`make` opens the source, None: there is none. Shared while it is wished and the unit is in a room; a source that
    ends or fails is tried again and again while it is wished.
    """

    def __init__(self, make: Callable[[], Camera] | None, *, shared: bool) -> None:
        self.error = ""  # why it is not shared although it is wished
        self._make = make
        self._wished = shared and make is not None
        self._uplink: Uplink | None = None
        self._changed = asyncio.Event()

    @property
    def is_available(self) -> bool:
        """Whether there is something to be shared."""
        return self._make is not None

    @property
    def is_wished(self) -> bool:
        return self._wished

    @property
    def is_shared(self) -> bool:
        """Its pictures go to the room, or would if somebody looked."""
        return self._uplink is not None and self._uplink.has("screen") and not self.error

    def share(self, on: bool) -> None:
        self._wished = on and self.is_available
        self._changed.set()

    def look(self) -> None:
        """Something of the room or of the source changed."""
        self._changed.set()

    async def run(self, client: RoomClient, uplink: Uplink) -> None:
        """Until cancelled; the source is then still the uplink's, whose `close` closes it."""
        self._uplink = uplink
        backoff = Backoff(REOPEN_DELAYS_S)
        loop = asyncio.get_running_loop()
        source: _Source | None = None
        opened_s = 0.0
        try:
            while True:
                self._changed.clear()
                in_room = client.connection_state is ConnectionState.CONNECTED
                if source is not None and not uplink.has("screen"):  # it failed, and closes
                    await source.wait_closed()
                    source = None
                    if loop.time() - opened_s > _STEADY_S:
                        backoff.reset()
                    self.error = self.error or "the source has ended"
                    await self._pause(backoff.next_s())
                elif source is not None and not (self._wished and in_room):
                    uplink.start_screen(None)
                    await source.wait_closed()
                    source, self.error = None, ""
                elif source is None and self._wished and in_room:
                    assert self._make is not None
                    source, opened_s = _Source(self._make()), loop.time()
                    uplink.start_screen(source)
                    await self._publish(client, uplink, source)
                else:
                    await self._changed.wait()
        finally:
            self._uplink = None

    def failed(self, why: str) -> None:
        """The uplink lost the source."""
        self.error = why
        self._changed.set()

    async def _publish(self, client: RoomClient, uplink: Uplink, source: _Source) -> None:
        changed = asyncio.create_task(self._changed.wait(), name="screen-changed")
        first = asyncio.create_task(source.first.wait(), name="screen-first-picture")
        try:
            await asyncio.wait((changed, first), timeout=FIRST_PICTURE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (changed, first):
                task.cancel()
            await asyncio.gather(changed, first, return_exceptions=True)
        if not source.first.is_set():
            if not self._changed.is_set():
                self.error = f"no picture within {FIRST_PICTURE_S:g} s"
            uplink.start_screen(None)
            return
        self.error = ""
        try:
            await client.publish(LocalStream(audio=False, name="screen", width=source.width, height=source.height))
        except RtcError as exc:
            logger.warning("the screen is not shared: %s", exc)
            self.error = str(exc)
            uplink.start_screen(None)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._wished:
                    await self._changed.wait()
                    self._changed.clear()
