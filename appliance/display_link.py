"""The unit's own screen: who is in the room, who rings, or else the time of day.

Pictures are decoded only of those who are shown; each one that comes is drawn at once. A unit without a screen works
on: it is looked for again and again. A window that somebody closed stays closed.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import math
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from appliance.config import Config
from appliance.display_layout import Layout, Shown, arrange
from appliance.display_night import is_night, seconds_to_next_minute
from appliance.errors import RtcError
from appliance.events import Bus, Subscription
from appliance.intercom import CallPhase
from appliance.media.video_in import RemoteVideo, VideoClosedError
from appliance.room.events import ActiveSpeaker
from appliance.watched import driver_error
from hw import Display, HardwareError, Scene, ScreenClosedError, Tile

if TYPE_CHECKING:
    from appliance.intercom_link import IntercomLink
    from appliance.room.streams import RemoteStream
    from appliance.session import Session

logger = logging.getLogger(__name__)

UNDECRYPTABLE = "\N{SQUARED KEY}"  # beside the name of who has another key
LOOK_S = 1.0  # at whose media can be decrypted: nothing tells when that changes
LOOK_AGAIN_S = 30.0  # for a screen that is not there


@dataclass(frozen=True, slots=True)
class DisplaySettings:
    """`night`: "22:00-06:30", when the screen is dark unless somebody is there; `idle`: what it shows by day.
    `is_required`: a unit without its screen is not well.
    """

    name: str
    layout: Layout = "auto"
    night: str = ""
    idle: Literal["clock", "dark"] = "clock"
    is_required: bool = False


def display_settings(config: Config) -> DisplaySettings:
    """What the configuration says of the screen."""
    display = config.display
    return DisplaySettings(
        config.device.name, display.layout, display.night, display.idle, is_required=display.is_required
    )


class _Watched:
    """One stream's pictures, while it is shown."""

    def __init__(self, key: str, video: RemoteVideo, on_picture: Callable[[], None]) -> None:
        self.video = video
        self._stack = ExitStack()
        self._stack.enter_context(video.watch())
        self._task = asyncio.create_task(self._follow(on_picture), name=f"display-{key}")

    async def _follow(self, on_picture: Callable[[], None]) -> None:
        try:
            while True:
                await self.video.wait_frame()
                on_picture()
        except VideoClosedError:
            on_picture()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._stack.close()


class DisplayLink:
    """`now` gives the local time of day."""

    def __init__(
        self,
        display: Display,
        session: Session,
        intercom: IntercomLink,
        bus: Bus,
        settings: DisplaySettings,
        *,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now().astimezone(),
    ) -> None:
        self._display = display
        self._session = session
        self._intercom = intercom
        self._bus = bus
        self._settings = settings
        self._now = now
        self._size = (0, 0)
        self._watched: dict[str, _Watched] = {}
        self._sizes: dict[str, tuple[RemoteStream, tuple[int, int]]] = {}  # as the room client was told
        self._speaker: str | None = None
        self._changed = asyncio.Event()
        self._lost: asyncio.Future[HardwareError]
        self.trouble = "not open yet"

    @property
    def health(self) -> str:
        """A unit without its screen works on."""
        if not self.trouble:
            return "ok"
        return f"{'degraded' if self._settings.is_required else 'ok'}: {self.trouble}"

    async def run(self) -> None:
        """Until cancelled; then the screen is closed."""
        while True:
            try:
                await self._keep_open()
            except HardwareError as exc:
                if str(exc) != self.trouble:
                    logger.info("the unit's own screen: %s", exc)
                self.trouble = str(exc)
                await asyncio.sleep(math.inf if isinstance(exc, ScreenClosedError) else LOOK_AGAIN_S)

    async def _keep_open(self) -> None:
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()

        def lost(error: HardwareError) -> None:
            if not self._lost.done():
                self._lost.set_result(error)

        def sized(width: int, height: int) -> None:
            self._size = (width, height)
            self._changed.set()

        opening = asyncio.create_task(
            asyncio.to_thread(
                self._display.start,
                lambda width, height: _post(loop, sized, width, height),
                lambda error: _post(loop, lost, error),
            ),
            name="display-open",
        )
        try:
            try:
                await asyncio.shield(opening)
            except HardwareError:
                raise
            except Exception as exc:
                raise driver_error(self._display.device_id, exc) from exc
            self.trouble = ""
            with self._bus.subscribe(name="display") as events:
                noticing = asyncio.create_task(self._notice(events), name="display-events")
                try:
                    await self._show()
                finally:
                    noticing.cancel()
                    await asyncio.gather(noticing, return_exceptions=True)
        finally:
            for watched in list(self._watched.values()):
                await watched.close()
            self._watched.clear()
            self._tell_sizes(None)
            await asyncio.gather(opening, return_exceptions=True)
            await asyncio.to_thread(self._display.close)

    async def _notice(self, events: Subscription) -> None:
        async for event in events:
            if isinstance(event, ActiveSpeaker):
                self._speaker = event.user_id
            self._changed.set()

    async def _show(self) -> None:
        """A scene for each change, until the screen is lost."""
        changing: asyncio.Task[bool] | None = None
        try:
            while not self._lost.done():
                self._changed.clear()
                self._display.show(await self._scene())
                changing = asyncio.create_task(self._changed.wait(), name="display-wait")
                timeout_s = LOOK_S if self._watched else seconds_to_next_minute(self._now())
                await asyncio.wait((changing, self._lost), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
                changing.cancel()
        finally:
            if changing is not None:
                changing.cancel()
                await asyncio.gather(changing, return_exceptions=True)
        raise self._lost.result()

    async def _scene(self) -> Scene:
        call = self._intercom.call_info
        if call.phase is CallPhase.RINGING_IN:
            await self._watch({})
            self._tell_sizes(None)
            return Scene(title=call.peer_name or call.peer_id, subtitle="\N{BLACK TELEPHONE}")
        streams = self._streams()
        names = {user_id: user.user_name or user_id for user_id, user in self._session.peers.items()}
        width, height = self._size
        shown = [Shown(key, stream.name == "screen") for key, stream in streams.items()]
        placed = arrange(width, height, shown, f"{self._speaker}/main", self._settings.layout)
        self._tell_sizes({each.key: (streams[each.key], (each.area.width, each.area.height)) for each in placed})
        await self._watch({each.key: streams[each.key].video for each in placed})
        if not placed:
            return self._idle()
        tiles = []
        for each in placed:
            stream, watched = streams[each.key], self._watched.get(each.key)
            hidden = stream.is_muted("video") or stream.is_undecryptable
            name = names.get(stream.user_id, stream.user_id)
            area = each.area
            tiles.append(
                Tile(
                    each.key,
                    watched.video.latest if watched is not None and not hidden else None,
                    area.x,
                    area.y,
                    area.width,
                    area.height,
                    label=f"{UNDECRYPTABLE} {name}" if stream.is_undecryptable else name,
                    crop=each.crop,
                    is_marked=len(placed) > 1 and stream.name == "main" and stream.user_id == self._speaker,
                )
            )
        return Scene(tuple(tiles))

    def _streams(self) -> dict[str, RemoteStream]:
        """Of everybody else in the room: who publishes nothing is not shown."""
        return {
            f"{user.user_id}/{stream.name}": stream
            for user in self._session.peers.values()
            for stream in user.streams.values()
            if stream.name == "main" or stream.has_video
        }

    def _idle(self) -> Scene:
        now, settings = self._now(), self._settings
        if settings.idle == "dark" or is_night(settings.night, now.time()):
            return Scene()
        room = self._session.attendance.room
        return Scene(title=now.strftime("%H:%M"), subtitle=f"{settings.name} \N{MIDDLE DOT} {room}")

    def _tell_sizes(self, sizes: dict[str, tuple[RemoteStream, tuple[int, int]]] | None) -> None:
        """How large each video is shown: small ones come in the low layer. None: nothing is shown here."""
        client = self._session.client
        if client is None:
            return
        for key, told in list(self._sizes.items()):
            if sizes is None or sizes.get(key) != told:
                del self._sizes[key]
                with suppress(RtcError):
                    client.set_shown_size(told[0], None)
        for key, (stream, size) in (sizes or {}).items():
            if key not in self._sizes:
                self._sizes[key] = stream, size
                with suppress(RtcError):
                    client.set_shown_size(stream, size)

    async def _watch(self, wanted: dict[str, RemoteVideo | None]) -> None:
        """Decode these streams' pictures, and no others."""
        for key, watched in list(self._watched.items()):
            if wanted.get(key) is not watched.video:
                del self._watched[key]
                await watched.close()
        for key, video in wanted.items():
            if video is not None and key not in self._watched:
                self._watched[key] = _Watched(key, video, self._changed.set)


def _post(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    with suppress(RuntimeError):  # the loop is gone, and so is everybody who would care
        loop.call_soon_threadsafe(function, *arguments)
