"""What `GET /api/state` answers: the whole unit in one JSON object."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from appliance.events import Bus
from appliance.intercom import CallEnd, CallPhase
from appliance.intercom_link import IntercomLink
from appliance.media.echo import Duplex, EchoState
from appliance.media.trace import Stage, Summary
from appliance.room.events import ConnectionState, NetworkQualityChanged
from appliance.room.signaling_base import MediaKind
from appliance.room.streams import RemoteUser
from appliance.session import Session
from appliance.supervisor import Health
from appliance.unit_events import StrainReason, VideoStrainChanged


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str
    microphone: bool  # a device that works
    camera: bool
    panel: bool  # a virtual front panel at /panel


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`since` and `retry_at` are ISO 8601 in UTC; `retry_at` is there while the unit waits to join again."""

    state: str
    since: str
    reason: str | None = None
    error: ErrorInfo | None = None
    retry_at: str | None = None


class MuteInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The gates: True is shut. `forced`: those that a host of the room keeps shut."""

    audio: bool
    video: bool
    screen: bool
    forced: tuple[MediaKind, ...] = ()


class ScreenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is shared beside the camera. `available`: there is a source; `shared`: the room can see it; `error`: why it
    is not shared although somebody wishes it.
    """

    available: bool
    wished: bool
    shared: bool
    error: str = ""


class QualityInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Levels 0 (unknown) to 6 (down); RTT in ms, loss 0..1; null while not measured."""

    uplink: int = 0
    downlink: int = 0
    uplink_rtt_ms: float | None = None
    uplink_loss: float | None = None
    downlink_rtt_ms: float | None = None
    downlink_loss: float | None = None


class SoundInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`duplex` as it is: "half" in place of "full" where the wanted echo canceller has failed, and `error` says why."""

    duplex: Duplex = "full"
    echo: EchoState = "off"
    error: str = ""


class VideoInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`rungs`: by how many steps of size or rate video is reduced to spare the machine, and why."""

    rungs: int = 0
    reason: StrainReason = ""


class TrackInfo(msgspec.Struct, frozen=True, kw_only=True):
    muted: bool
    level: int | None = None  # received volume 0..100, of audio that comes in
    volume: int | None = None  # how loud audio is played here, 0 to 100: as it comes


class PeerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`audio` and `video`: null when the peer publishes none. `undecryptable`: in an encrypted room, something of it
    comes with another key, or without one.
    """

    user_id: str
    user_name: str
    role: str
    audio: TrackInfo | None = None
    video: TrackInfo | None = None
    undecryptable: bool = False


class CallInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`phase`: idle, ringing-out, ringing-in or in-call, `since` when. `peer`: who rings or is spoken to; idle, of the
    last call, whose end is `reason`. `calling`: who is still rung. `missed`: calls that nobody answered. `peers`: whom
    the call button rings.
    """

    phase: CallPhase
    since: str | None = None
    peer: str | None = None
    peer_name: str = ""
    calling: tuple[str, ...] = ()
    room: str | None = None
    reason: CallEnd | None = None
    missed: int = 0
    peers: tuple[str, ...] = ()


class UnitState(msgspec.Struct, frozen=True, kw_only=True):
    device: DeviceInfo
    connection: ConnectionInfo
    room: str
    user_id: str | None
    call: CallInfo
    mute: MuteInfo
    screen: ScreenInfo
    sound: SoundInfo
    video: VideoInfo
    network_quality: QualityInfo
    peers: tuple[PeerInfo, ...]
    leds: dict[str, str]
    stages: dict[Stage, Summary] = {}  # how long media took at each stage of its way, of the last minute or two
    taken_back: str | None = None  # why settings were taken back, until somebody has read it
    health: dict[str, Any]  # `supervisor.Health`, which JSON schemas cannot say: words, or children and theirs


def describe(
    session: Session,
    intercom: IntercomLink,
    bus: Bus,
    *,
    name: str,
    version: str,
    panel: bool,
    leds: Mapping[str, str],
    health: Mapping[str, Health],
    taken_back: str | None = None,
) -> UnitState:
    """The unit as it is now."""
    return UnitState(
        device=DeviceInfo(
            name=name, version=version, microphone=session.has("audio"), camera=session.has("video"), panel=panel
        ),
        connection=connection_info(session),
        room=session.attendance.room,
        user_id=session.user_id,
        call=call_info(intercom),
        mute=mute_info(session),
        screen=screen_info(session),
        sound=_sound(session),
        video=_video(bus),
        network_quality=_quality(session, bus),
        peers=tuple(_peer(user, session.volume(user.user_id)) for user in session.peers.values()),
        leds=dict(leds),
        stages=stages(session),
        health=dict(health),
        taken_back=taken_back,
    )


def stages(session: Session) -> dict[Stage, Summary]:
    """What the media that comes and goes has taken, stage by stage."""
    parts = (session.uplink, session.playout)
    return {stage: each for part in parts if part is not None for stage, each in part.trace.summaries().items()}


def connection_info(session: Session) -> ConnectionInfo:
    attendance = session.attendance
    change = attendance.last_change
    error = change.error if change is not None else None
    return ConnectionInfo(
        state=session.state,
        since=_wall_clock(attendance.changed_s),
        reason=change.reason if change is not None else None,
        error=ErrorInfo(code=error.code, message=error.message) if error is not None else None,
        retry_at=_wall_clock(attendance.retry_at_s) if attendance.retry_at_s is not None else None,
    )


def call_info(intercom: IntercomLink) -> CallInfo:
    call = intercom.call_info
    has_been = call.phase is not CallPhase.IDLE or call.end is not None
    return CallInfo(
        phase=call.phase,
        since=_wall_clock(call.since_s) if has_been else None,
        peer=call.peer_id or None,
        peer_name=call.peer_name,
        calling=tuple(call.calling.values()),
        room=call.room or None,
        reason=call.end,
        missed=intercom.missed,
        peers=tuple(intercom.settings.peers),
    )


def mute_info(session: Session) -> MuteInfo:
    return MuteInfo(
        audio=session.is_muted("audio"),
        video=session.is_muted("video"),
        screen=session.is_muted("screen"),
        forced=tuple(sorted(session.gates.forced)),
    )


def _sound(session: Session) -> SoundInfo:
    if session.uplink is None:
        return SoundInfo(duplex=session.settings.uplink.near_end.duplex)
    stats = session.uplink.near_end.stats()
    return SoundInfo(duplex=stats.duplex, echo=stats.echo, error=stats.error)


def screen_info(session: Session) -> ScreenInfo:
    screen = session.screen
    return ScreenInfo(
        available=screen.is_available,
        wished=screen.is_wished,
        shared=screen.is_shared and not session.is_muted("screen"),
        error=screen.error,
    )


def _video(bus: Bus) -> VideoInfo:
    event = bus.latest(VideoStrainChanged)
    return VideoInfo(rungs=event.rungs, reason=event.reason) if event is not None else VideoInfo()


def _quality(session: Session, bus: Bus) -> QualityInfo:
    event = bus.latest(NetworkQualityChanged)
    if event is None or session.state is ConnectionState.DISCONNECTED:
        return QualityInfo()
    return QualityInfo(
        uplink=event.uplink,
        downlink=event.downlink,
        uplink_rtt_ms=event.uplink_rtt_ms,
        uplink_loss=event.uplink_loss,
        downlink_rtt_ms=event.downlink_rtt_ms,
        downlink_loss=event.downlink_loss,
    )


def _peer(user: RemoteUser, volume: int) -> PeerInfo:
    main = user.streams.get("main")
    audio = video = None
    if main is not None and main.has_audio:
        audio = TrackInfo(
            muted=main.is_muted("audio"), level=main.audio.level if main.audio is not None else None, volume=volume
        )
    if main is not None and main.has_video:
        video = TrackInfo(muted=main.is_muted("video"))
    return PeerInfo(
        user_id=user.user_id,
        user_name=user.user_name,
        role=user.role,
        audio=audio,
        video=video,
        undecryptable=any(stream.is_undecryptable for stream in user.streams.values()),
    )


def _wall_clock(at_s: float) -> str:
    """A monotonic time by the wall clock of now: a unit without a clock chip learns the time after it started."""
    return datetime.fromtimestamp(time.time() + at_s - time.monotonic(), UTC).isoformat(timespec="milliseconds")
