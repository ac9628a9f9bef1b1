"""The unit in its room: into it, back into it whatever happens, with whichever devices work.

    wanted and out  -> join -> in the room -> ended -> wait (`rejoin`) -> join ...
    join(), leave()    are obeyed at once, from any point of that circle
    visit()            a call's room in place of its own, until end_visit(); not tried again when it fails
    out of any room    it stays logged in, so that it can be rung

The session owns the room client, the uplink, the playout and the devices; they are made by `run` and gone after it. The
wish (in the room or not, muted or not) outlives a restart of `run`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from appliance.composing import until
from appliance.devices import DeviceKind, Devices, Drivers
from appliance.errors import InvalidArgumentError, JoinCancelledError, LeaveReason, RtcError, ServiceUnavailableError
from appliance.events import Bus, Event
from appliance.log_fields import about
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.media.volumes import Volumes
from appliance.publishing import keep_name, keep_published
from appliance.rejoin import Ended, has_failed, rejoin_delay_s, waits_for_network
from appliance.room.backend import LegReport
from appliance.room.client import RoomClient
from appliance.room.emitter import EVENTS
from appliance.room.entry import Token
from appliance.room.events import (
    ConnectionReason,
    ConnectionState,
    ConnectionStateChanged,
    Kicked,
    LoginState,
    LoginStateChanged,
    MuteForced,
    NetworkQuality,
    NetworkQualityChanged,
    ScreenShareStopped,
    WarningRaised,
)
from appliance.room.signaling_base import Kind, MediaKind
from appliance.room.statistics import RtcStatsRow
from appliance.room.streams import LocalStream, RemoteUser
from appliance.screen_share import ScreenShare
from appliance.session_settings import SessionSettings
from appliance.standby import stand_by
from appliance.talk import Talk
from appliance.unit_events import MuteChanged

logger = logging.getLogger(__name__)

VOLUME_INTERVAL_MS = 2000
_KINDS: tuple[Kind, ...] = ("audio", "video")
_DEVICES: dict[Kind, DeviceKind] = {"audio": "microphone", "video": "camera"}
_UNKNOWN = NetworkQuality.UNKNOWN


@dataclass(frozen=True, slots=True)
class _Target:
    """A room to be in."""

    room: str
    token: Token


class Session:
    """Used on the event loop. Everything can be asked at any time, also while `run` does not run."""

    def __init__(
        self, settings: SessionSettings, drivers: Drivers, bus: Bus, screen: ScreenShare | None = None
    ) -> None:
        self.settings = settings
        self.screen = screen or ScreenShare(None, shared=False)
        self.wanted = settings.auto_join
        self.last_change: ConnectionStateChanged | None = None
        self.changed_s = time.monotonic()  # when the connection state became what it is
        self.retry_at_s: float | None = None  # when the next join is due, while one is waited for
        self.devices: Devices | None = None
        self.uplink: Uplink | None = None
        self.playout: Playout | None = None
        self._volumes = Volumes()
        self._drivers = drivers
        self._bus = bus
        self._client: RoomClient | None = None
        self._shut: dict[MediaKind, bool] = {"audio": settings.push_to_talk, "video": False, "screen": False}
        self._screen_waits = False  # for a host of the room, who alone keeps it shut
        self._screen_changed = asyncio.Event()
        self.talk = Talk(
            lambda muted: self.set_muted("audio", muted),
            lambda: self._shut["audio"],
            rests_shut=settings.push_to_talk,
        )
        self._rng = random.Random()
        self._kicked: Kicked | None = None
        self.on_visit_over: Callable[[], None] = lambda: None  # not by end_visit
        self._visit: _Target | None = None
        self._at: str | None = None  # the room of the stay that goes on
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._login_changed = asyncio.Event()
        self._waits_for_network = False
        self._out = asyncio.Event()
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
    def room(self) -> str:
        """The room that the unit is in or goes into; out of any its own."""
        target = self._target()
        return target.room if target is not None else self.settings.room

    @property
    def room_now(self) -> str | None:
        """The room that the unit is in, or joins at this moment."""
        return self._at

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
            return self._shut["screen"]
        return self.uplink is not None and self.uplink.is_muted(kind)

    @property
    def forced_mutes(self) -> frozenset[MediaKind]:
        """What a host of the room keeps shut."""
        return self._client.forced_mutes if self._client is not None else frozenset()

    @property
    def health(self) -> str:
        if self.wanted and self.state is not ConnectionState.CONNECTED:
            return f"offline: {self.state.lower()}"
        if self._missing:
            return f"degraded: no {' and no '.join(self._missing)}"
        near_end = self.uplink.near_end.stats() if self.uplink is not None else None
        if near_end is not None and near_end.echo == "failed":
            return f"degraded: echo is not cancelled: {near_end.error}"
        return "ok"

    # --- what a person wishes

    def join(self) -> None:
        """Into the room, now and for good; the events tell how it goes."""
        self.wanted = True
        self._wake.set()

    async def leave(self) -> None:
        """Out of the room until `join`, a call's room too; returns when out."""
        self.wanted = False
        self._wake.set()
        self._visit_over()
        if self._client is not None:
            await self._client.leave()

    def visit(self, room: str, token: Token = "") -> None:
        """Into a call's room; without a `token` with the unit's own."""
        self._visit = _Target(room, token or self.settings.token)
        self._move()

    def end_visit(self) -> None:
        """To where the unit was before it: into its own room, or out of any."""
        self._visit = None
        self._move()

    async def set_muted(self, kind: MediaKind, muted: bool) -> None:
        """Move the gate at once, in a room or not; then tell the room."""
        is_held = not muted and kind in self.forced_mutes
        if kind == "screen":
            self._screen_waits = is_held
        if is_held:
            logger.warning("%s stays muted: a host of the room muted it", kind)
            return
        self._shut[kind] = muted
        if self._client is None or self.uplink is None:
            return
        self.uplink.set_muted(kind, muted)
        self._gate_moved()
        try:
            await (self._client.mute(kind) if muted else self._client.unmute(kind))
        except RtcError as exc:
            logger.warning("the hub does not know yet that %s is %s: %s", kind, "muted" if muted else "unmuted", exc)

    async def share_screen(self, on: bool) -> None:
        """Share what `[screen]` names, with its gate open unless a host keeps it shut, and then when that host allows
        it; or no longer."""
        if on and self._shut["screen"]:
            await self.set_muted("screen", False)
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

    async def toggle_mute(self, kind: Kind = "audio") -> None:
        await self.set_muted(kind, not self._shut[kind])

    def network_changed(self, *, back: bool, gone: frozenset[str]) -> None:
        """The machine's network is `back`: what waits for it is tried at once. `gone`: addresses of no more use."""
        if self._client is not None:
            self._client.network_changed(back=back, gone=gone)
        if back and self._waits_for_network:
            self._wake.set()

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
        for kind, shut in self._shut.items():
            uplink.set_muted(kind, shut)
        devices = self.devices = Devices(self._drivers, uplink, playout, self._take_device, self._devices_changed)
        devices.on_screen_lost = self.screen.failed
        why = LeaveReason.USER_LEFT
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(devices.run(), name="session-devices")
                tasks.create_task(self._stay_in(client), name="session-stay", context=about(room=self.settings.room))
                tasks.create_task(self._keep_published(client, uplink), name="session-publish")
                tasks.create_task(self._move_out(client), name="session-move")
                tasks.create_task(self.talk.run(), name="session-talk")
                tasks.create_task(self.screen.run(client, uplink), name="session-screen")
                tasks.create_task(self._reopen_screen(), name="session-screen-gate")
                tasks.create_task(
                    keep_name(client, lambda: self.settings.user_name, self._name_changed), name="session-name"
                )
        except* Exception:  # the supervisor starts anew; the others hear that this was no leave
            why = LeaveReason.INTERNAL_ERROR
            raise
        finally:
            if self.talk.forget():
                self._shut["audio"] = True
            try:
                await client.destroy(why)
            finally:
                self._at = None
                self._visit_over()
                self._client = self.uplink = self.playout = self.devices = self.retry_at_s = None
                await asyncio.gather(uplink.close(), playout.close())
                await devices.closed()

    async def _stay_in(self, client: RoomClient) -> None:
        failures = 0
        while True:
            self._wake.clear()
            target = self._target()
            if target is None:
                await until(self._wake.wait, self._stand_by(client))
                continue
            self._at = target.room
            ended, was_in = await self._stay(client, target)
            self._at = None
            now = self._target()
            if now is None or now.room != target.room:
                failures = 0
                continue
            self._visit_over()
            if not self.wanted:
                continue
            failures = failures + 1 if has_failed(ended, was_in=was_in) else 0
            delay_s = rejoin_delay_s(ended, max(0, failures - 1), auto_join=self.settings.auto_join, rng=self._rng)
            if delay_s is None:
                logger.warning("out of room %s for good: %s", self.settings.room, ended)
                self.wanted = False
                continue
            logger.info("back into room %s in %.0f s", self.settings.room, delay_s)
            if await self._pause(delay_s, for_network=waits_for_network(ended)):
                failures = 0

    async def _move_out(self, client: RoomClient) -> None:
        """Leaves the room that is no longer the wanted one."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            target = self._target()
            if self._at is not None and (target is None or target.room != self._at):
                await client.leave()

    async def _reopen_screen(self) -> None:
        """What a host has shut comes back when no host keeps it so. Of microphone and camera a person decides: somebody
        may have come into the room meanwhile who does not know that they were on."""
        while True:
            await self._screen_changed.wait()
            self._screen_changed.clear()
            if self._screen_waits and "screen" not in self.forced_mutes:
                await self.set_muted("screen", False)

    def _target(self) -> _Target | None:
        settings = self.settings
        own = _Target(settings.room, settings.token) if self.wanted else None
        if self._visit is None or (own is not None and own.room == self._visit.room):
            return own
        return self._visit

    def _move(self) -> None:
        self._wake.set()
        self._moved.set()

    def _visit_over(self) -> None:
        if self._visit is not None:
            self._visit = None
            self.on_visit_over()

    async def _stand_by(self, client: RoomClient) -> None:
        def wait_for_network(waits: bool) -> None:
            self._waits_for_network = waits

        settings = self.settings
        await stand_by(
            client,
            settings.user_id,
            settings.token,
            settings.user_name,
            login_changed=self._login_changed,
            waits_for_network=wait_for_network,
            rng=self._rng,
        )

    async def _stay(self, client: RoomClient, target: _Target) -> tuple[Ended, bool]:
        """One stay in the room, from join to its end; whether it came in at all."""
        self._kicked = None
        self._out.clear()
        settings = self.settings
        try:
            if client.login_state is LoginState.ABORTED or settings.user_id not in ("", client.login_user_id):
                await client.logout()
            client.set_encryption_mode(settings.encryption)
            if settings.encryption != "none":
                client.set_encryption_secret(settings.encryption_secret)
            await client.join(
                target.room,
                settings.user_id,
                target.token,
                user_name=settings.user_name,
                profile=settings.profile,
            )
        except JoinCancelledError:
            return Ended(ConnectionReason.LEAVE), False
        except RtcError as exc:
            retry_after_s = exc.retry_after_s if isinstance(exc, ServiceUnavailableError) else 0.0
            return Ended(ConnectionReason.ERROR, exc.code, retry_after_s=retry_after_s), False
        self._stream_changed.set()
        await self._out.wait()
        change = self.last_change
        assert change is not None
        code = change.error.code if change.error is not None else None
        kicked = self._kicked.reason if self._kicked is not None else None
        return Ended(change.reason, code, kicked), True

    async def _pause(self, delay_s: float, *, for_network: bool) -> bool:
        """Wait before the next try; True when somebody asked for it at once, or the network is back."""
        self.retry_at_s = time.monotonic() + delay_s
        self._waits_for_network = for_network
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
            return True
        except TimeoutError:
            return False
        finally:
            self.retry_at_s, self._waits_for_network = None, False

    async def _keep_published(self, client: RoomClient, uplink: Uplink) -> None:
        def working() -> LocalStream:
            size = uplink.settings.video
            in_use = {one.kind: one.device_id for one in self.devices.stats()} if self.devices is not None else {}
            return LocalStream(
                self.has("audio"),
                self.has("video"),
                width=size.width,
                height=size.height,
                audio_track=_track_id(in_use.get("microphone", "")),
                video_track=_track_id(in_use.get("camera", "")),
            )

        await keep_published(client, working, lambda: bool(self._missing), self._stream_changed)

    # --- what happens

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionStateChanged):
            self.last_change, self.changed_s = event, time.monotonic()
            self.screen.look()
            self._screen_changed.set()
            if event.cur_state is ConnectionState.DISCONNECTED:
                self._out.set()
                if self._bus.latest(NetworkQualityChanged) is not None:  # of a call that has ended
                    self._bus.publish(NetworkQualityChanged(uplink=_UNKNOWN, downlink=_UNKNOWN, changed=True))
            elif event.cur_state is ConnectionState.CONNECTED:
                self._stream_changed.set()
        elif isinstance(event, LoginStateChanged):
            self._login_changed.set()
            self._name_changed.set()
        elif isinstance(event, Kicked):
            self._kicked = event
        elif isinstance(event, ScreenShareStopped):
            self.screen.look()
        elif isinstance(event, MuteForced):
            self._screen_changed.set()
            if event.muted:
                if event.kind == "screen":
                    self._screen_waits = self._screen_waits or not self._shut["screen"]
                self._shut[event.kind] = True
                self._gate_moved()
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


def _track_id(device_id: str) -> str:
    """The room hears that a device was replaced, not which serial number it has."""
    return hashlib.sha256(device_id.encode()).hexdigest()[:8] if device_id else ""
