"""What is looked at in a room: statistics, exceptions, videos that stand still, lost media.

Capabilities U12, U37 to U39, U57, RS03.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from appliance.events import Event
from appliance.room.abnormal import abnormal
from appliance.room.backend import MediaBackend
from appliance.room.counters import InTrack
from appliance.room.events import InterruptedUser, RtcStats, StreamInterrupted, StreamRecovered
from appliance.room.exceptions import Exceptions
from appliance.room.figures import STREAMS, Figures
from appliance.room.media_loss import MediaLoss
from appliance.room.options import RoomOptions
from appliance.room.own_media import OwnMedia
from appliance.room.signaling_base import Kind, Selection, StreamName
from appliance.room.stream_states import Interruptions, Key
from appliance.room.streams import RemoteStream, RemoteUser
from appliance.room.ticks import Ticks
from appliance.room.undecryptable import Undecryptable

logger = logging.getLogger(__name__)

LOOKS = 4  # in the interval of a detection
MAX_LOOK_S = 0.5
SAY_AGAIN_S = 5.0  # the hub drops what it cannot hand on


class Watch:
    """Runs from its making until `end`. `rtc_stats_interval_s` None: no rtc_stats; `detection_s` None: no detection.
    `is_important`: whether one has HIGH media priority; `is_online`: whether the hub can be reached.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        figures: Figures,
        *,
        own: OwnMedia,
        user_id: str,
        user_name: Callable[[], str],
        users: Mapping[str, RemoteUser],
        media: MediaBackend,
        selected: Callable[[RemoteStream], Selection],
        options: RoomOptions,
        is_important: Callable[[], bool],
        is_online: Callable[[], bool],
        on_media_lost: Callable[[], None],
        rtc_stats_interval_s: float | None,
        detection_s: float | None,
    ) -> None:
        self._emit = emit
        self._figures = figures
        self._own = own
        self._user_id = user_id
        self._user_name = user_name
        self._users = users
        self._media = media
        self._selected = selected
        self._options = options
        self._is_important = is_important
        self._is_online = is_online
        self._on_media_lost = on_media_lost
        self._undecryptable: Undecryptable[tuple[str, StreamName, str, Kind]] = Undecryptable()
        self._short: dict[StreamName, tuple[bool, float]] = {}  # what was told, and when
        self._tasks = {"sample": asyncio.create_task(self._sample(), name="room-statistics")}
        self.set_rtc_stats(rtc_stats_interval_s)
        self.set_detection(detection_s)

    def set_rtc_stats(self, interval_s: float | None) -> None:
        self._stop("rtc-stats")
        if interval_s is not None:
            self._tasks["rtc-stats"] = asyncio.create_task(self._rtc_stats(interval_s), name="room-rtc-stats")

    def set_detection(self, interval_s: float | None) -> None:
        self._stop("detection")
        if interval_s is not None:
            self._tasks["detection"] = asyncio.create_task(self._detect(interval_s), name="room-stream-detection")

    def end(self) -> None:
        """The tasks only sleep, count and emit: they are gone with the next turn of the loop."""
        for task in self._tasks.values():
            task.cancel()

    def _stop(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    @property
    def _streams(self) -> list[RemoteStream]:
        return [stream for user in self._users.values() for stream in user.streams.values()]

    async def _sample(self) -> None:
        exceptions = Exceptions(hold_s=self._options.exception_hold_s, quiet_s=self._options.exception_quiet_s)
        loss = MediaLoss(self._options.media_deadline_s)
        async for now_s in Ticks(self._options.sample_interval_s):
            self._figures.sample()
            reached = {report.user_id for report in self._figures.reports if report.is_live}
            if loss.look(self._media.cut_off(), reached, now_s, online=self._is_online()):
                self._on_media_lost()
                return
            for event in exceptions.look(abnormal(self._figures, self._own, self._user_id, self._streams), now_s):
                self._emit(event)
            self._tell_short(now_s)
            self._mark_undecryptable()

    def _tell_short(self, now_s: float) -> None:
        """With HIGH media priority: how the video goes out, to those who could give up others' for it."""
        for name in STREAMS.values():
            short = self._is_important() and self._figures.is_short(name)
            told, told_s = self._short.get(name, (False, now_s))
            if short != told or (short and now_s - told_s >= SAY_AGAIN_S):
                self._short[name] = short, now_s
                self._media.tell_short(name, short)

    def _mark_undecryptable(self) -> None:
        counts = {
            (report.user_id, report.stream, report.leg_id, track.kind): (track.opened, track.refused)
            for report in self._figures.reports
            for track in report.tracks
            if isinstance(track, InTrack) and report.is_live
        }
        failing = {(user_id, name) for user_id, name, _, _ in self._undecryptable.look(counts)}
        for stream in self._streams:
            fails = (stream.user_id, stream.name) in failing
            if fails and not stream.is_undecryptable:
                logger.warning("what %s sends cannot be decrypted: another key, or none", stream.user_id)
            stream.is_undecryptable = fails

    async def _rtc_stats(self, interval_s: float) -> None:
        async for _ in Ticks(interval_s):
            self._figures.sample()
            self._emit(RtcStats(rows=self._figures.rows(self._user_id, self._user_name())))

    async def _detect(self, interval_s: float) -> None:
        interruptions = Interruptions(interval_s)
        async for _ in Ticks(min(MAX_LOOK_S, interval_s / LOOKS)):
            interrupted, recovered = interruptions.look(self._frames_s(), time.monotonic())
            if interrupted:
                self._emit(StreamInterrupted(users=_users(interrupted)))
            if recovered:
                self._emit(StreamRecovered(users=_users(recovered)))

    def _frames_s(self) -> dict[Key, float | None]:
        """When the last frame came, watched or not, of each video that is received and should move."""
        found: dict[Key, float | None] = {}
        for stream in self._streams:
            received = "video" in self._media.wanted(stream) and self._selected(stream) != "none"
            if received and not stream.is_muted("video"):
                video = stream.video
                found[stream.user_id, stream.name] = video.stats().last_frame_s if video is not None else None
        return found


def _users(keys: list[Key]) -> tuple[InterruptedUser, ...]:
    return tuple(InterruptedUser(user_id, name == "screen") for user_id, name in keys)
