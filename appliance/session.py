"""The unit in a call: its client, its media and its devices, made by `run` and gone after it.

    attendance  into the room, and back into it
    gates       what is muted
    talk        push to talk, which moves the microphone's gate
    screen      what is shared beside the camera
    devices     microphone, camera and speaker, whichever work

What a person wished (in the room or not, muted or not) outlives a restart of `run`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from appliance.attendance import Attendance
from appliance.devices import DeviceKind, Devices, Drivers
from appliance.errors import InvalidArgumentError, LeaveReason
from appliance.events import Bus, Event
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.media.volumes import Volumes
from appliance.mute_gates import MuteGates
from appliance.publishing import keep_name, keep_published, stream_of
from appliance.room.backend import LegReport
from appliance.room.client import RoomClient
from appliance.room.emitter import EVENTS
from appliance.room.events import (
    ConnectionState,
    ConnectionStateChanged,
    LoginStateChanged,
    NetworkQuality,
    NetworkQualityChanged,
    ScreenShareStopped,
    WarningRaised,
)
from appliance.room.signaling_base import Kind, MediaKind
from appliance.room.statistics import RtcStatsRow
from appliance.room.streams import RemoteUser
from appliance.screen_share import ScreenShare
from appliance.session_settings import SessionSettings
from appliance.talk import Talk
from appliance.unit_events import MuteChanged

logger = logging.getLogger(__name__)

VOLUME_INTERVAL_MS = 2000
_KINDS: tuple[Kind, ...] = ("audio", "video")
_DEVICES: dict[Kind, DeviceKind] = {"audio": "microphone", "video": "camera"}
_UNKNOWN = NetworkQuality.UNKNOWN


class Session:
    """Used on the event loop. Everything can be asked at any time, also while `run` does not run."""

    def __init__(
        self, settings: SessionSettings, drivers: Drivers, bus: Bus, screen: ScreenShare | None = None
    ) -> None:
        self.settings = settings
        self.screen = screen or ScreenShare(None, shared=False)
        self.attendance = Attendance(lambda: self.settings)
        self.gates = MuteGates(self._gate_moved, microphone_shut=settings.push_to_talk)
        self.devices: Devices | None = None
        self.uplink: Uplink | None = None
        self.playout: Playout | None = None
        self._volumes = Volumes()
        self._drivers = drivers
        self._bus = bus
        self._client: RoomClient | None = None
        self.talk = Talk(
            lambda muted: self.gates.set("audio", muted),
            lambda: self.gates.is_wanted_shut("audio"),
            rests_shut=settings.push_to_talk,
        )
        self._stream_changed = asyncio.Event()
        self._name_changed = asyncio.Event()

    # --- what is

    @property
    def state(self) -> ConnectionState:
        return self._client.connection_state if self._client is not None else ConnectionState.DISCONNECTED

    @property
    def client(self) -> RoomClient | None:
        """There while `run` runs."""
        return self._client

    @property
    def user_id(self) -> str | None:
        return self._client.user_id if self._client is not None else None

    @property
    def peers(self) -> dict[str, RemoteUser]:
        return self._client.peers if self._client is not None else {}

    def leg_reports(self) -> list[LegReport]:
        """The counters of every leg of the call; empty outside of one."""
        return self._client.leg_reports() if self._client is not None else []

    def track_stats(self) -> tuple[RtcStatsRow, ...]:
        """The figures of every track of the call; empty outside of one."""
        return self._client.track_stats() if self._client is not None else ()

    def has(self, kind: Kind) -> bool:
        """Whether a device of this kind works: it delivers."""
        return self.devices is not None and _DEVICES[kind] in self.devices.working

    def is_configured(self, kind: DeviceKind) -> bool:
        """Whether there is a device of this kind at all."""
        return getattr(self._drivers, kind) is not None

    def lacks(self, kind: Kind) -> bool:
        """Whether there is no device of this kind, or it was tried and does not work."""
        device = _DEVICES[kind]
        return getattr(self._drivers, device) is None or (self.devices is not None and device in self.devices.lost)

    def is_muted(self, kind: MediaKind) -> bool:
        """The gate itself; of microphone and camera False without a device: see `has`."""
        if kind == "screen":
            return self.gates.is_wanted_shut("screen")
        return self.uplink is not None and self.uplink.is_muted(kind)

    @property
    def health(self) -> str:
        if self.attendance.wanted and self.state is not ConnectionState.CONNECTED:
            return f"offline: {self.state.lower()}"
        if self._missing:
            return f"degraded: no {' and no '.join(self._missing)}"
        near_end = self.uplink.near_end.stats() if self.uplink is not None else None
        if near_end is not None and near_end.echo == "failed":
            return f"degraded: echo is not cancelled: {near_end.error}"
        return "ok"

    # --- what a person wishes

    async def share_screen(self, on: bool) -> None:
        """Share what `[screen]` names, with its gate open unless a host keeps it shut, and then when that host allows
        it; or no longer."""
        if on and self.gates.is_wanted_shut("screen"):
            await self.gates.set("screen", False)
        self.screen.share(on)

    def volume(self, user_id: str) -> int:
        """How loud this user is played: 0 to 100, as it comes."""
        return self._volumes.of(user_id)

    def set_remote_volume(self, user_id: str, volume: int) -> None:
        """Now and in each room to come, until the program ends. Raises `InvalidArgumentError`."""
        try:
            (self._volumes.set if self.playout is None else self.playout.set_volume)(user_id, volume)
        except ValueError as exc:
            raise InvalidArgumentError(str(exc), operation="set_remote_volume") from exc

    def network_changed(self, *, back: bool, gone: frozenset[str]) -> None:
        """The machine's network is `back`: what waits for it is tried at once. `gone`: addresses of no more use."""
        if self._client is not None:
            self._client.network_changed(back=back, gone=gone)
        if back:
            self.attendance.network_back()

    def change(self, settings: SessionSettings, drivers: Drivers, kinds: Collection[DeviceKind]) -> None:
        """Other settings without leaving the room: name, pictures and the devices of these kinds from now on; what
        else concerns the room from the next join."""
        self.settings, self._drivers = settings, drivers
        self._name_changed.set()
        self.talk.rest(shut=settings.push_to_talk)
        if self.uplink is not None and self.devices is not None:
            self.uplink.change(settings.uplink)
            self.devices.replace(drivers, kinds)
            self._stream_changed.set()

    # --- the child

    async def run(self) -> None:
        """Until cancelled; then the room is left and every device closed."""
        playout = self.playout = Playout(self._volumes)
        uplink = self.uplink = Uplink(self.settings.uplink, playout.far_end)
        client = self._client = RoomClient(
            self.settings.url, uplink=uplink, playout=playout, auto_subscribe=True, options=self.settings.options
        )
        for event_class in EVENTS.values():
            client.on(event_class, self._take)
        client.enable_audio_volume_evaluation(VOLUME_INTERVAL_MS)
        client.enable_stream_state_detection(True)
        self.gates.begin(client, uplink)
        devices = self.devices = Devices(self._drivers, uplink, playout, self._take_device, self._devices_changed)
        devices.on_screen_lost = self.screen.failed
        why = LeaveReason.USER_LEFT
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(devices.run(), name="session-devices")
                tasks.create_task(self.attendance.run(client), name="session-attendance")
                tasks.create_task(
                    keep_published(
                        client, lambda: stream_of(devices, uplink), lambda: bool(self._missing), self._stream_changed
                    ),
                    name="session-publish",
                )
                tasks.create_task(self.talk.run(), name="session-talk")
                tasks.create_task(self.screen.run(client, uplink), name="session-screen")
                tasks.create_task(self.gates.run(), name="session-gates")
                tasks.create_task(
                    keep_name(client, lambda: self.settings.user_name, self._name_changed), name="session-name"
                )
        except* Exception:  # the supervisor starts anew; the others hear that this was no leave
            why = LeaveReason.INTERNAL_ERROR
            raise
        finally:
            if self.talk.forget():
                self.gates.shut_at_next_begin("audio")
            try:
                await client.destroy(why)
            finally:
                self.attendance.over()
                self.gates.end()
                self._client = self.uplink = self.playout = self.devices = None
                await asyncio.gather(uplink.close(), playout.close())
                await devices.closed()

    # --- what happens

    def _take(self, event: Event) -> None:
        self.attendance.take(event)
        self.gates.take(event)
        if isinstance(event, ConnectionStateChanged):
            self.screen.look()
            if event.cur_state is ConnectionState.DISCONNECTED:
                if self._bus.latest(NetworkQualityChanged) is not None:  # of a call that has ended
                    self._bus.publish(NetworkQualityChanged(uplink=_UNKNOWN, downlink=_UNKNOWN, changed=True))
            elif event.cur_state is ConnectionState.CONNECTED:
                self._stream_changed.set()
        elif isinstance(event, LoginStateChanged):
            self._name_changed.set()
        elif isinstance(event, ScreenShareStopped):
            self.screen.look()
        elif isinstance(event, WarningRaised):
            logger.warning("%s (%d)", event.reason, event.code)
        self._bus.publish(event)

    def _take_device(self, event: Event) -> None:
        """What the client has listeners for takes the way over it: they hear it too."""
        if self._client is not None and type(event) in EVENTS.values():
            self._client.report(event)
        else:
            self._bus.publish(event)

    def _gate_moved(self) -> None:
        if self.devices is not None:
            self.devices.follow_mute()
        self._tell_mute()

    def _devices_changed(self) -> None:
        self._stream_changed.set()
        self._tell_mute()

    def _tell_mute(self) -> None:
        event = MuteChanged(audio=self.is_muted("audio"), video=self.is_muted("video"), screen=self.is_muted("screen"))
        if event != self._bus.latest(MuteChanged):
            self._bus.publish(event)

    @property
    def _missing(self) -> list[Kind]:
        """The configured kinds that do not work."""
        return [kind for kind in _KINDS if getattr(self._drivers, _DEVICES[kind]) is not None and not self.has(kind)]
