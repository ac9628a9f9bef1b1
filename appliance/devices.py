"""The unit's microphone, camera and speaker: opened, watched, and taken up again when they come back.

A device that cannot be opened, vanishes or falls silent is closed, and tried again after 1, 2, 4, 8, 15, 30, 30, ... s;
the call goes on without it. What happens is told as events.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from appliance.events import Event
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.room.backoff import Backoff
from appliance.unit_events import CameraChanged, PlaybackDeviceChanged, RecordingDeviceChanged
from appliance.watched import Watched, WatchedCamera, WatchedMicrophone, WatchedSpeaker, driver_error
from hw import Camera, HardwareError, Microphone, Speaker

logger = logging.getLogger(__name__)

REOPEN_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
FIRST_DELIVERY_S = 10.0  # from opening to the first picture; slow USB cameras take 3 s
CLOSE_TIMEOUT_S = 0.5  # at the end: the process ends within 2 s
STALL_S = {"microphone": 2.0, "camera": 2.0, "speaker": 2.0}  # silence that means a dead device
STALL_PICTURES = 3  # or so many, of a slow camera
_LOOK_S = 0.1
STALLED_S = 1.0  # a look that comes so late: this process did not run

DeviceKind = Literal["microphone", "camera", "speaker"]
KINDS: tuple[DeviceKind, ...] = ("microphone", "camera", "speaker")
_PARTNERS: dict[DeviceKind, DeviceKind] = {"microphone": "speaker", "speaker": "microphone"}
_EVENTS = {"microphone": RecordingDeviceChanged, "camera": CameraChanged, "speaker": PlaybackDeviceChanged}


@dataclass(frozen=True, slots=True)
class Drivers:
    """Makes a device for each opening; None: the unit has none, on purpose."""

    microphone: Callable[[], Microphone] | None = None
    camera: Callable[[], Camera] | None = None
    speaker: Callable[[], Speaker] | None = None


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
        self._drivers = drivers
        self._uplink = uplink
        self._playout = playout
        self._publish = publish
        self._on_change = on_change
        self._lost: dict[DeviceKind, asyncio.Future[HardwareError]] = {}
        self._opened: dict[DeviceKind, Watched] = {}  # the last of each kind
        self._replaced = {kind: asyncio.Event() for kind in KINDS}
        uplink.on_device_lost = lambda kind, error: self._tell("microphone" if kind == "audio" else "camera", error)
        playout.on_device_lost = lambda error: self._tell("speaker", error)

    async def run(self) -> None:
        """Until cancelled; the devices are then still with uplink and playout, whose `close` closes them."""
        self._playout.start(None)
        async with asyncio.TaskGroup() as tasks:
            for kind in KINDS:
                tasks.create_task(self._keep(kind), name=f"device-{kind}")

    def replace(self, drivers: Drivers, kinds: Collection[DeviceKind]) -> None:
        """Other devices of these kinds from now on; streams stay published while one is exchanged for the next."""
        self._drivers = drivers
        for kind in kinds:
            self._replaced[kind].set()

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

    async def _keep(self, kind: DeviceKind) -> None:
        backoff = Backoff(REOPEN_DELAYS_S)
        told = ""  # the last REMOVE, told once however often the device is tried
        while True:
            self._replaced[kind].clear()
            if getattr(self._drivers, kind) is None:
                self.lost.discard(kind)
                self._on_change()
                await self._replaced[kind].wait()
                continue
            lost = self._lost[kind] = asyncio.get_running_loop().create_future()
            device: Watched | None = None
            try:
                device = self._opened[kind] = self._open(kind)
            except HardwareError as exc:
                error, device_id = exc, str(kind)
            except Exception as exc:
                logger.exception("%s: its driver failed", kind)
                error, device_id = driver_error(kind, exc), str(kind)
            else:
                device_id = device.device_id
                try:
                    error = await self._watch(kind, device, lost, backoff)
                finally:
                    told = "" if kind in self.working else told
                    self.working.discard(kind)
                self._drop(kind)
                if error is None:
                    backoff.reset()
                    await self._let_go(kind, device)
                    continue
            self.lost.add(kind)
            if told != str(error):
                told = str(error)
                logger.warning("%s: %s", kind, error)
                self._publish(_EVENTS[kind](device_id=device_id, state="REMOVE", label=device_id, message=told))
                self._on_change()
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff.next_s()):
                    await self._replaced[kind].wait()
            if device is not None:
                await device.wait_closed()  # a driver that hangs is not opened a second time

    async def _let_go(self, kind: DeviceKind, device: Watched) -> None:
        """Until a device that is replaced is closed, and the other half of its sound card too."""
        await device.wait_closed()
        partner = _PARTNERS.get(kind)
        if partner is not None and self._replaced[partner].is_set() and partner in self._opened:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._opened[partner].wait_closed()

    def _open(self, kind: DeviceKind) -> Watched:
        if kind == "speaker":
            assert self._drivers.speaker is not None
            speaker = WatchedSpeaker(self._drivers.speaker())
            self._playout.start(speaker)
            return speaker
        device: WatchedMicrophone | WatchedCamera
        if kind == "microphone":
            assert self._drivers.microphone is not None
            device = self.microphone = WatchedMicrophone(self._drivers.microphone())
        else:
            assert self._drivers.camera is not None
            device = self.camera = WatchedCamera(self._drivers.camera())
        self._uplink.start(self.microphone, self.camera)
        self.follow_mute()
        return device

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
            await asyncio.wait({lost}, timeout=_LOOK_S)
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
                self.working.add(kind)
                self.lost.discard(kind)
                backoff.reset()
                logger.info("%s %s works", kind, device.device_id)
                self._publish(_EVENTS[kind](device_id=device.device_id, state="ADD", label=device.device_id))
                self._on_change()
            if now_s - delivered_s > (stall_s := _stall_s(kind, device)):
                return HardwareError(f"{device.device_id}: nothing came for {stall_s:g} s")

    def _tell(self, kind: DeviceKind, error: HardwareError) -> None:
        if kind == "microphone":
            self.microphone = None  # at once: the other device may be opened before this one's task runs
        elif kind == "camera":
            self.camera = None
        lost = self._lost.get(kind)
        if lost is not None and not lost.done():
            lost.set_result(error)


def _stall_s(kind: DeviceKind, device: Watched) -> float:
    if isinstance(device, WatchedCamera) and device.fps > 0:
        return max(STALL_S[kind], STALL_PICTURES / device.fps)
    return STALL_S[kind]
