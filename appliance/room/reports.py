"""What a client says at regular times while it is in a room: network quality, volumes, the active speaker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from appliance.events import Event
from appliance.room.backend import MediaBackend
from appliance.room.events import (
    ActiveSpeaker,
    AudioVolume,
    IndicatedVolume,
    NetworkQualityChanged,
    VolumeIndicator,
    VolumeItem,
)
from appliance.room.levels import SpeakerElection, loudest
from appliance.room.own_media import OwnMedia
from appliance.room.quality import NetworkMeter
from appliance.room.streams import RemoteUser
from appliance.room.ticks import Ticks

INDICATE_S = 2.0  # TM07
SAMPLE_S = 0.2  # of the volumes for the active speaker


class Reports:
    """Runs from its making until `end`; `volume_interval_s` None: no audio_volume. `tell` passes our quality on,
    `steer` takes loss and RTT of the downlink.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        *,
        user_id: str,
        users: Mapping[str, RemoteUser],
        own: OwnMedia,
        media: MediaBackend,
        quality_interval_s: float,
        quality_on_change: bool,
        volume_interval_s: float | None,
        top_n: int | None,
        tell: Callable[[NetworkQualityChanged], None],
        steer: Callable[[float | None, float | None], None],
    ) -> None:
        self._emit = emit
        self._user_id = user_id
        self._users = users
        self._own = own
        self._media = media
        self._quality_interval_s = quality_interval_s
        self._quality_on_change = quality_on_change
        self._tasks = {
            "quality": asyncio.create_task(self._quality(), name="room-network-quality"),
            "speaker": asyncio.create_task(self._speaker(), name="room-active-speaker"),
        }
        self._tell = tell
        self._steer = steer
        self.set_volume_interval(volume_interval_s)
        self.set_top_n(top_n)

    def set_volume_interval(self, interval_s: float | None) -> None:
        task = self._tasks.pop("volume", None)
        if task is not None:
            task.cancel()
        if interval_s is not None:
            self._tasks["volume"] = asyncio.create_task(self._volume(interval_s), name="room-audio-volume")

    def set_top_n(self, n: int | None) -> None:
        """volume_indicator of the `n` loudest; None: not at all."""
        task = self._tasks.pop("top-n", None)
        if task is not None:
            task.cancel()
        if n is not None:
            self._tasks["top-n"] = asyncio.create_task(self._indicate(n), name="room-volume-indicator")

    def end(self) -> None:
        """The tasks only sleep and emit: they are gone with the next turn of the loop."""
        for task in self._tasks.values():
            task.cancel()

    async def _quality(self) -> None:
        meter = NetworkMeter()
        async for now_s in Ticks(self._quality_interval_s):
            reports = self._media.reports()
            up = {report.leg_id: report.stats for report in reports if report.direction == "up"}
            down = {report.leg_id: report.stats for report in reports if report.direction == "down"}
            resting = {report.leg_id for report in reports if report.rests}
            quality = meter.report(up, down, now_s, resting)
            if quality.changed or not self._quality_on_change:
                self._emit(quality)
            self._tell(quality)
            self._steer(meter.downlink.loss, meter.downlink.rtt_s)

    async def _speaker(self) -> None:
        election = SpeakerElection()
        async for now_s in Ticks(SAMPLE_S):
            speaker = election.feed(self._volumes(), now_s)
            if speaker is not None:
                self._emit(ActiveSpeaker(user_id=speaker))

    async def _volume(self, interval_s: float) -> None:
        async for _ in Ticks(interval_s):
            items = (self._item(user_id, volume) for user_id, volume in loudest(self._volumes()))
            self._emit(AudioVolume(result=tuple(items)))

    async def _indicate(self, n: int) -> None:
        async for _ in Ticks(INDICATE_S):
            users = (IndicatedVolume(user_id, volume) for user_id, volume in loudest(self._volumes(), n))
            self._emit(VolumeIndicator(users=tuple(users)))

    def _item(self, user_id: str, volume: int) -> VolumeItem:
        user = self._users.get(user_id)
        stream = user.streams.get("main") if user is not None else None
        return VolumeItem(user_id=user_id, volume=volume, is_local=user_id == self._user_id, stream=stream)

    def _volumes(self) -> dict[str, int]:
        """Our own and that of everybody we receive audio from."""
        volumes = {self._user_id: self._own.level}
        for user in self._users.values():
            stream = user.streams.get("main")
            if stream is not None and stream.audio is not None:
                volumes[user.user_id] = stream.audio.level
        return volumes
