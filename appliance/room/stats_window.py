"""Counters of many legs, that come and go, as totals and rates by track. Pure; times are monotonic seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import add, sub
from typing import Literal, NamedTuple

from appliance.room.backend import LegReport
from appliance.room.counters import InTrack, OutTrack
from appliance.room.signaling_base import Kind, Selection, StreamName

WINDOW_S = 2.0  # of the rates
MAX_TRACKS = 256  # with totals of their own; a stay may last for months, and guests have a new id each time
GONE = ""  # the user id of all the others together


@dataclass(frozen=True, slots=True)
class TrackKey:
    """`layer` of what is sent; of what is received "high", for it may change within a leg."""

    direction: Literal["up", "down"]
    user_id: str
    stream: StreamName
    kind: Kind
    layer: Selection = "high"


class Totals(NamedTuple):
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    expected: int = 0
    frames: int = 0
    key_frames: int = 0
    repeated: int = 0
    requests: int = 0
    decoded: int = 0
    concealed_ms: int = 0
    frozen_ms: int = 0

    def plus(self, other: Totals) -> Totals:
        return Totals(*map(add, self, other))

    def less(self, other: Totals) -> Totals:
        return Totals(*map(sub, self, other))


NOTHING = Totals()


def totals_of(track: OutTrack | InTrack) -> Totals:
    if isinstance(track, OutTrack):
        return Totals(
            packets=track.packets,
            bytes=track.bytes,
            lost=track.packets_lost,
            expected=track.packets,
            frames=track.frames,
            key_frames=track.key_frames,
            repeated=track.repeated_packets,
            requests=track.key_frame_requests,
        )
    audio, video = track.audio, track.video
    decoded = audio.packets - audio.malformed if audio is not None else video.frames_decoded if video is not None else 0
    return Totals(
        packets=track.packets,
        bytes=track.bytes,
        lost=track.packets_lost,
        expected=track.packets_expected,
        frames=video.frames_received if video is not None else 0,
        key_frames=video.key_frames if video is not None else 0,
        decoded=decoded,
        frozen_ms=round(video.total_freeze_ms) if video is not None else 0,
        concealed_ms=round(audio.concealed_ms) if audio is not None else 0,
    )


class StatsWindow:
    """Feed it the reports of all legs about once a second; what a leg counted since the last time it was seen before
    its end is lost."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, Kind], Totals] = {}  # of each live leg's tracks
        self._totals: dict[TrackKey, Totals] = {}  # who was counted last is last
        self._recent: dict[TrackKey, Totals] = {}
        self._before: deque[tuple[float, dict[TrackKey, Totals]]] = deque()

    def add(self, reports: Iterable[LegReport], now_s: float) -> None:
        seen: dict[tuple[str, str, Kind], Totals] = {}
        present: set[TrackKey] = set()
        totals = dict(self._totals)
        for report in reports:
            for track in report.tracks:
                leg = (report.direction, report.leg_id, track.kind)
                seen[leg] = totals_of(track)
                key = key_of(report, track)
                present.add(key)
                more = seen[leg].less(self._seen.get(leg, NOTHING))
                totals[key] = totals.pop(key, NOTHING).plus(more)
        self._seen, self._totals = seen, totals
        self._before.append((now_s, totals))
        while len(self._before) > 1 and now_s - self._before[1][0] >= WINDOW_S:
            self._before.popleft()
        self._recent.clear()
        if len(totals) > MAX_TRACKS:
            self._put_together(present)

    @property
    def totals(self) -> dict[TrackKey, Totals]:
        """Of every track that there ever was: the latest by themselves, the others as `GONE`'s."""
        return self._totals

    def _put_together(self, present: set[TrackKey]) -> None:
        """Those that have been away for longest, in every snapshot alike: no rate sees it."""
        oldest = self._before[0][1]
        away = [
            key
            for key, totals in self._totals.items()
            if key.user_id != GONE and key not in present and totals == oldest.get(key, NOTHING)
        ]
        for key in away[: len(self._totals) - MAX_TRACKS]:
            rest = replace(key, user_id=GONE)
            for _, totals in self._before:
                if key in totals:
                    totals[rest] = totals.get(rest, NOTHING).plus(totals.pop(key))

    def recent(self, key: TrackKey) -> tuple[Totals, float]:
        """What was counted lately, and in how many seconds; 0 seconds before there is anything to compare."""
        if not self._before:
            return NOTHING, 0.0
        since_s, before = self._before[0]
        now_s, totals = self._before[-1]
        more = self._recent.get(key)
        if more is None:
            more = self._recent[key] = totals.get(key, NOTHING).less(before.get(key, NOTHING))
        return more, now_s - since_s

    def kbps(self, key: TrackKey) -> float:
        more, seconds = self.recent(key)
        return round(max(0, more.bytes) * 8 / 1000 / seconds, 1) if seconds > 0 else 0.0

    def frame_rate(self, key: TrackKey) -> float:
        more, seconds = self.recent(key)
        return round(more.frames / seconds, 1) if seconds > 0 else 0.0

    def loss(self, key: TrackKey) -> float | None:
        """0..1 of what was expected lately; None when that was nothing."""
        more, _ = self.recent(key)
        return min(1.0, max(0, more.lost) / more.expected) if more.expected > 0 else None


def key_of(report: LegReport, track: OutTrack | InTrack) -> TrackKey:
    layer = track.layer if isinstance(track, OutTrack) else "high"
    return TrackKey(report.direction, report.user_id, report.stream, track.kind, layer)
