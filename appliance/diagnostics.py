"""What a person needs to see when something is wrong, in one answer: GET /api/diagnostics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.history import History, Sample
from appliance.media.echo import NearEndStats
from appliance.media.playout import AudioInStats
from appliance.media.video_source import EncodingStats
from appliance.room.signaling_base import StreamName
from appliance.room.statistics import RtcStatsRow
from appliance.session import Session
from appliance.state import UnitState
from appliance.system_stats import SystemStats
from provisioning.http_json import BodyError, answer
from provisioning.http_routes import ApiRoute


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """`openings`: how often it was opened; `losses`: how often it worked and was lost. The last five are of a sound
    card: null of others."""

    kind: str
    device_id: str
    label: str
    works: bool
    openings: int
    losses: int
    error: str
    period_frames: int | None = None
    buffer_frames: int | None = None
    xruns: int | None = None
    latency_ms: float | None = None
    drift_ppm: float | None = None


class LegInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One way to or from one member. Counters since its start; `bps` of the last seconds."""

    leg_id: str
    user_id: str
    stream: StreamName
    direction: Literal["up", "down"]
    packets: int
    packets_lost: int
    bytes: int
    bps: int | None
    rtt_ms: float | None
    jitter_ms: float | None


class DiagnosticsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`now_s` is the clock of every `monotonic_s`. `tracks`: bit rate, frame rate and loss of each track; `sounds`:
    what is heard of each member; `near_end`: what is done to the microphone's sound; `encodings`: each video encoder
    that runs. `history`: samples after the number asked for,
    one each `sample_s`."""

    now_s: float
    up_s: float
    state: UnitState
    devices: list[DeviceReport]
    legs: list[LegInfo]
    tracks: list[RtcStatsRow]
    sounds: dict[str, AudioInStats]
    near_end: NearEndStats | None
    encodings: tuple[EncodingStats, ...]
    system: SystemStats | None
    sample_s: float
    history: list[Sample]


class DiagnosticsQuery(msgspec.Struct, kw_only=True):
    after: Annotated[int, Meta(ge=0, le=2**53)] = 0


class Diagnostics:
    def __init__(self, session: Session, history: History, state: Callable[[], UnitState]) -> None:
        self._session = session
        self._history = history
        self._state = state
        self._started_s = time.monotonic()

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "GET",
                "/api/diagnostics",
                self._get,
                scope="read",
                summary="State, devices, call statistics, latency by stage, the machine, and the last hour.",
                query=DiagnosticsQuery,
                answer=DiagnosticsAnswer,
            )
        ]

    async def _get(self, request: web.Request) -> web.Response:
        try:
            query = msgspec.convert(dict(request.query), DiagnosticsQuery, strict=False)
        except msgspec.ValidationError as exc:
            raise BodyError(f"{exc}; allowed is after=NUMBER", "after") from exc
        return answer(self.look(query.after))

    def look(self, after: int = 0) -> DiagnosticsAnswer:
        """The unit as it is now."""
        session, now_s = self._session, time.monotonic()
        return DiagnosticsAnswer(
            now_s=round(now_s, 3),
            up_s=round(now_s - self._started_s, 1),
            state=self._state(),
            devices=self._devices(),
            legs=self._legs(),
            tracks=list(self._session.track_stats()),
            sounds=session.playout.stats() if session.playout is not None else {},
            near_end=session.uplink.near_end.stats() if session.uplink is not None else None,
            encodings=session.uplink.encodings() if session.uplink is not None else (),
            system=self._history.system,
            sample_s=self._history.sample_s,
            history=self._history.since(after),
        )

    def _devices(self) -> list[DeviceReport]:
        devices = self._session.devices
        return [
            DeviceReport(
                kind=one.kind,
                device_id=one.device_id,
                label=one.label,
                works=one.works,
                openings=one.openings,
                losses=one.losses,
                error=one.error,
                period_frames=one.sound.period_frames if one.sound is not None else None,
                buffer_frames=one.sound.buffer_frames if one.sound is not None else None,
                xruns=one.sound.xruns if one.sound is not None else None,
                latency_ms=one.sound.latency_ms if one.sound is not None else None,
                drift_ppm=one.sound.drift_ppm if one.sound is not None else None,
            )
            for one in (devices.stats() if devices is not None else ())
        ]

    def _legs(self) -> list[LegInfo]:
        return [
            LegInfo(
                leg_id=report.leg_id,
                user_id=report.user_id,
                stream=report.stream,
                direction=report.direction,
                packets=report.stats.packets,
                packets_lost=report.stats.packets_lost,
                bytes=report.stats.bytes,
                bps=self._history.rates.bps.get((report.direction, report.leg_id)),
                rtt_ms=_ms(report.stats.rtt_s),
                jitter_ms=_ms(report.stats.jitter_s),
            )
            for report in self._session.leg_reports()
        ]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
