"""The unit's microphone, camera and speaker: opened, watched, and taken up again when they come back.

    open -> works -> lost -> [another one, with automatic switch] -> wait -> open ...

A device that cannot be opened, vanishes or falls silent is closed, and tried again after 1, 2, 4, 8, 15, 30, 30, ... s,
and at once when udev tells of a new one or somebody resumes it; the call goes on without it. What happens is told as
events (capabilities U41, U66 to U70): REMOVE, then the end of its track, then that nothing takes its place.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from appliance.device_monitor import listen
from appliance.device_roll import KIND_OF, KINDS, DeviceKind, DeviceRoll, DeviceStats
from appliance.events import Event
from appliance.media.frames import SourceName
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.room.backoff import Backoff
from appliance.room.events import AudioTrackEnded, StreamError, StreamErrorCode, VideoTrackEnded
from appliance.unit_events import DevicesChanged
from appliance.watched import Watched, WatchedCamera, WatchedMicrophone, WatchedSpeaker, driver_error
from hw import Camera, DeviceChange, DeviceMonitor, HardwareError, Microphone, Speaker

__all__ = ["DeviceKind", "DeviceStats", "Devices", "Drivers"]

logger = logging.getLogger(__name__)

REOPEN_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
FIRST_DELIVERY_S = 10.0  # from opening to the first picture; slow USB cameras take 3 s
CLOSE_TIMEOUT_S = 0.5  # at the end: the process ends within 2 s
STALL_S = {"microphone": 2.0, "camera": 2.0, "speaker": 2.0}  # silence that means a dead device
STALL_PICTURES = 3  # or so many, of a slow camera
_LOOK_S, _FIRST_LOOK_S = 0.1, 0.02  # once it works, and before: nothing is published till then
STALLED_S = 1.0  # a look that comes so late: this process did not run

_PARTNERS: dict[DeviceKind, DeviceKind] = {"microphone": "speaker", "speaker": "microphone"}
_STREAM, _PLAYOUT = "main", "playout"

Device = Microphone | Camera | Speaker
Make = Callable[[], Device]


@dataclass(frozen=True, slots=True)
class Drivers:
    """Makes a device for each opening; None: the unit has none, on purpose.

    `others` of a kind makes what may take the place of one that is lost, the best first: automatic switch. It is looked
    for in a thread. `monitor` tells what appears and vanishes on this machine.
    """

    microphone: Callable[[], Microphone] | None = None
    camera: Callable[[], Camera] | None = None
    speaker: Callable[[], Speaker] | None = None
    others: Mapping[DeviceKind, Callable[[], Sequence[Make]]] = field(default_factory=dict)
    monitor: DeviceMonitor | None = None


class Devices:
    """Keeps `uplink` and `playout` supplied while `run` runs; `on_change` follows each come and go."""

    def __init__(
        self,
        drivers: Drivers,
        uplink: Uplink,
        playout: Playout,
        publish: Callable[[Event], None],
        on_change: Callable[[], None],
    ) -> None:
        self.microphone: WatchedMicrophone | None = None
        self.camera: WatchedCamera | None = None
        self.working: set[DeviceKind] = set()  # those that deliver
        self.lost: set[DeviceKind] = set()  # those that were tried and do not
        self.stream_errors: dict[DeviceKind, StreamError] = {}  # those that are not over
        self.on_screen_lost: Callable[[str], None] = lambda why: None
        self._drivers = drivers
        self._uplink = uplink
        self._playout = playout
        self._publish = publish
        self._on_change = on_change
        self._roll = DeviceRoll(publish)
        self._told: tuple[frozenset[DeviceKind], frozenset[DeviceKind]] | None = None
        self._errors: dict[DeviceKind, str] = {}  # why a kind does not work
        self._openings: Counter[DeviceKind] = Counter()
        self._losses: Counter[DeviceKind] = Counter()
        self._lost: dict[DeviceKind, asyncio.Future[HardwareError]] = {}
        self._opened: dict[DeviceKind, Watched] = {}  # the last of each kind
        self._replaced = {kind: asyncio.Event() for kind in KINDS}
        self._retry = {kind: asyncio.Event() for kind in KINDS}
        self._monitored = asyncio.Event()  # there may be a monitor now
        self._switched: set[DeviceKind] = set()  # those that another device stands in for
        uplink.on_device_lost = self._uplink_lost
        playout.on_device_lost = lambda error: self._tell("speaker", error)

    def _uplink_lost(self, source: SourceName, error: HardwareError) -> None:
        if source == "screen":
            logger.warning("the screen's pictures are lost: %s", error)
            self.on_screen_lost(str(error))
        else:
            self._tell("microphone" if source == "audio" else "camera", error)

    async def run(self) -> None:
        """Until cancelled; the devices are then still with uplink and playout, whose `close` closes them."""
        self._playout.start(None)
        async with asyncio.TaskGroup() as tasks:
            for kind in KINDS:
                tasks.create_task(self._keep(kind), name=f"device-{kind}")
            tasks.create_task(self._listen(), name="device-changes")

    def replace(self, drivers: Drivers, kinds: Collection[DeviceKind]) -> None:
        """Other devices of these kinds from now on; streams stay published while one is exchanged for the next."""
        self._drivers = drivers
        self._monitored.set()
        for kind in kinds:
            self._replaced[kind].set()
            self._retry[kind].set()

    def resume(self, kind: DeviceKind) -> None:
        """Clears a stream error of this kind and tries its device now; the configured one, where another stands in."""
        self.stream_errors.pop(kind, None)
        if kind in self._switched:
            self._replaced[kind].set()
        self._retry[kind].set()

    def stats(self) -> tuple[DeviceStats, ...]:
        """Each configured device, as it is now."""
        return tuple(self._stats_of(kind) for kind in KINDS if getattr(self._drivers, kind) is not None)

    async def closed(self) -> None:
        """After the `close` of uplink and playout: until the drivers let go, or `CLOSE_TIMEOUT_S`."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for device in self._opened.values():
                    await device.wait_closed()
        except TimeoutError:
            hung = [device.device_id for device in self._opened.values() if not device.is_closed]
            logger.error("not closed within %g s, left behind: %s", CLOSE_TIMEOUT_S, ", ".join(hung))

    def follow_mute(self) -> None:
        """The gate moved: the microphone's own switch goes with it."""
        if self.microphone is not None:
            self.microphone.set_muted(self._uplink.is_muted("audio"))

    # --- one kind of device, again and again

    async def _keep(self, kind: DeviceKind) -> None:
        backoff = Backoff(REOPEN_DELAYS_S)
        untried: list[Make] = []  # of this round
        last: Watched | None = None  # of the configured ones
        while True:
            self._replaced[kind].clear()
            self._retry[kind].clear()
            configured: Make | None = getattr(self._drivers, kind)
            if configured is None:
                untried.clear()
                self.lost.discard(kind)
                self._changed()
                await self._replaced[kind].wait()
                continue
            if not untried and last is not None and not last.is_closed:  # a driver that hangs is not opened again
                untried = await self._others(kind)
                if not untried:
                    await last.wait_closed()
            is_other = bool(untried)
            make = untried.pop(0) if untried else configured
            device, error, worked = await self._use(kind, make, backoff, is_other=is_other)
            if not is_other:
                last = device
            if error is None:
                assert device is not None
                untried.clear()
                backoff.reset()
                await self._let_go(kind, device)
                continue
            self._miss(kind, device, error, worked=worked)
            if is_other and worked:
                untried.clear()
                continue  # with the configured one: it may be back by now
            if not is_other:
                untried = await self._others(kind)
            if untried:
                continue
            self._give_up(kind, error, worked=worked)
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff.next_s()):
                    await self._retry[kind].wait()
            if self._retry[kind].is_set():
                backoff.reset()

    async def _use(
        self, kind: DeviceKind, make: Make, backoff: Backoff, *, is_other: bool
    ) -> tuple[Watched | None, HardwareError | None, bool]:
        """One device from its opening to its end; why it ended, None: it is replaced; and whether it had worked."""
        self._lost[kind] = lost = asyncio.get_running_loop().create_future()
        self._openings[kind] += 1
        self._switched -= {kind}
        if is_other:
            self._switched.add(kind)
        try:
            device = self._opened[kind] = self._open(kind, make())
        except HardwareError as exc:
            return None, exc, False
        except Exception as exc:
            logger.exception("%s: its driver failed", kind)
            return None, driver_error(kind, exc), False
        try:
            error = await self._watch(kind, device, lost, backoff)
        finally:
            worked = kind in self.working
            self.working.discard(kind)
        self._drop(kind)
        return device, error, worked

    def _miss(self, kind: DeviceKind, device: Watched | None, error: HardwareError, *, worked: bool) -> None:
        """Tells that a device is gone, or cannot be opened."""
        self.lost.add(kind)
        if worked or self._errors.get(kind) != str(error):
            logger.warning("%s: %s", kind, error)
        self._errors[kind] = str(error)
        device_id, label = (device.device_id, device.label) if device is not None else (str(kind), str(kind))
        self._roll.gone(kind, device_id, label, str(error))
        if worked:
            self._losses[kind] += 1
            if kind != "speaker":
                ended = AudioTrackEnded if kind == "microphone" else VideoTrackEnded
                self._publish(ended(device_id=device_id, stream=_STREAM))
        self._changed()

    def _give_up(self, kind: DeviceKind, error: HardwareError, *, worked: bool) -> None:
        """For now: there is nothing else to try."""
        if kind == "speaker":
            if worked:
                return  # gone; whether it can be started again is seen at the next try
            code, stream = StreamErrorCode.PLAYBACK_NOT_ALLOWED, _PLAYOUT
        elif kind in self._drivers.others:
            code, stream = StreamErrorCode.DEVICE_AUTO_RECOVER_FAILED, _STREAM
        else:
            return
        if kind not in self.stream_errors:
            told = self.stream_errors[kind] = StreamError(stream=stream, kind=kind, code=code, message=str(error))
            self._publish(told)

    async def _others(self, kind: DeviceKind) -> list[Make]:
        """What may stand in, found now; without automatic switch nothing."""
        find = self._drivers.others.get(kind)
        try:
            return list(await asyncio.to_thread(find)) if find is not None else []  # a camera asleep takes its time
        except Exception:
            logger.exception("%s: others cannot be looked for", kind)
            return []

    async def _let_go(self, kind: DeviceKind, device: Watched) -> None:
        """Until a device that is replaced is closed, and the other half of its sound card too."""
        await device.wait_closed()
        partner = _PARTNERS.get(kind)
        if partner is not None and self._replaced[partner].is_set() and partner in self._opened:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._opened[partner].wait_closed()

    def _open(self, kind: DeviceKind, device: Device) -> Watched:
        if kind == "speaker":
            speaker = WatchedSpeaker(cast(Speaker, device))
            self._playout.start(speaker)
            return speaker
        watched: WatchedMicrophone | WatchedCamera
        if kind == "microphone":
            watched = self.microphone = WatchedMicrophone(cast(Microphone, device))
        else:
            watched = self.camera = WatchedCamera(cast(Camera, device))
        self._uplink.start(self.microphone, self.camera)
        self.follow_mute()
        return watched

    def _drop(self, kind: DeviceKind) -> None:
        if kind == "speaker":
            self._playout.start(None)
            return
        if kind == "microphone":
            self.microphone = None
        else:
            self.camera = None
        self._uplink.start(self.microphone, self.camera)

    async def _watch(
        self, kind: DeviceKind, device: Watched, lost: asyncio.Future[HardwareError], backoff: Backoff
    ) -> HardwareError | None:
        """Until the device is lost or delivers no more, and says why; None: another one takes its place."""
        opened_s = looked_s = time.monotonic()
        while True:
            await asyncio.wait({lost}, timeout=_LOOK_S if kind in self.working else _FIRST_LOOK_S)
            if lost.done():
                return lost.result()
            if self._replaced[kind].is_set():
                return None
            now_s, delivered_s = time.monotonic(), device.delivered_s
            if now_s - looked_s > STALLED_S and delivered_s is not None:
                delivered_s = device.delivered_s = now_s  # it was this process that stood still
            looked_s = now_s
            if delivered_s is None:
                if now_s - opened_s > FIRST_DELIVERY_S:
                    return HardwareError(f"{device.device_id}: nothing came within {FIRST_DELIVERY_S:g} s of opening")
                continue
            if kind not in self.working:
                backoff.reset()
                self._works(kind, device)
            if now_s - delivered_s > (stall_s := _stall_s(kind, device)):
                return HardwareError(f"{device.device_id}: nothing came for {stall_s:g} s")

    def _works(self, kind: DeviceKind, device: Watched) -> None:
        self.working.add(kind)
        self.lost.discard(kind)
        self.stream_errors.pop(kind, None)
        self._errors.pop(kind, None)
        logger.info("%s %s works", kind, device.device_id)
        self._roll.there(kind, device.device_id, device.label)
        self._changed()

    def _tell(self, kind: DeviceKind, error: HardwareError) -> None:
        if kind == "microphone":
            self.microphone = None  # at once: the other device may be opened before this one's task runs
        elif kind == "camera":
            self.camera = None
        lost = self._lost.get(kind)
        if lost is not None and not lost.done():
            lost.set_result(error)

    def _changed(self) -> None:
        now = (frozenset(self.working), frozenset(self.lost))
        if now != self._told:
            self._told = now
            self._publish(DevicesChanged(**{kind: kind in self.working for kind in KINDS}))
        self._on_change()

    def _stats_of(self, kind: DeviceKind) -> DeviceStats:
        device = self._opened.get(kind)
        return DeviceStats(
            kind=kind,
            device_id=device.device_id if device is not None else "",
            label=device.label if device is not None else "",
            works=kind in self.working,
            openings=self._openings[kind],
            losses=self._losses[kind],
            error=self._errors.get(kind, ""),
            sound=device.stats if device is not None else None,
        )

    # --- what comes and goes on the machine

    async def _listen(self) -> None:
        while (monitor := self._drivers.monitor) is None:
            self._monitored.clear()
            await self._monitored.wait()
        await listen(monitor, self._take)

    def _take(self, change: DeviceChange) -> None:
        kind = KIND_OF[change.kind]
        if change.state == "ADD":
            self._roll.there(kind, change.device_id, change.label)
            if kind not in self.working:
                self._retry[kind].set()
            return
        self._roll.gone(kind, change.device_id, change.label)
        device = self._opened.get(kind)
        if device is not None and device.device_id == change.device_id and kind in self.working:
            error = HardwareError(f"{change.device_id} was unplugged; plug it in again")
            self._tell(kind, error)


def _stall_s(kind: DeviceKind, device: Watched) -> float:
    if isinstance(device, WatchedCamera) and device.fps > 0:
        return max(STALL_S[kind], STALL_PICTURES / device.fps)
    return STALL_S[kind]
