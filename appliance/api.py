"""The HTTP API of the unit: JSON, behind an API token or the cookie of an own page (`web_access`).

/api/events carries every bus event from now on: `event:` is its hyphenated name, `data:` its fields.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from appliance.device_roll import DeviceKind
from appliance.event_json import encode_event
from appliance.event_stream import EventStreams, message
from appliance.events import Bus
from appliance.room.signaling_base import MediaKind
from appliance.session import Session
from appliance.state import (
    ConnectionInfo,
    MuteInfo,
    ScreenInfo,
    UnitState,
    connection_info,
    mute_info,
    screen_info,
)
from appliance.supervisor import Health, is_healthy
from provisioning.http_json import ApiError, BodyError, answer, read_body
from provisioning.http_routes import ApiRoute


class MuteRequest(msgspec.Struct, forbid_unknown_fields=True):
    audio: bool | UnsetType = UNSET
    video: bool | UnsetType = UNSET
    screen: bool | UnsetType = UNSET


class TalkRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`seconds`: for how long at most, unless it is said again."""

    on: bool
    seconds: Annotated[float, Meta(ge=0.1, le=60)] = 5.0


class VolumeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`volume`: of this user's sound here; 0 is silent, 100 as it comes."""

    user_id: Annotated[str, Meta(min_length=1, max_length=64)]
    volume: Annotated[int, Meta(ge=0, le=100)]


class ScreenRequest(msgspec.Struct, forbid_unknown_fields=True):
    shared: bool


class ScreenAnswer(msgspec.Struct):
    screen: ScreenInfo


class ResumeRequest(msgspec.Struct, forbid_unknown_fields=True):
    kind: DeviceKind


class ResumeAnswer(msgspec.Struct):
    """How the device is as it is tried; `error`: why it did not work."""

    kind: DeviceKind
    works: bool
    error: str


class NoFields(msgspec.Struct, forbid_unknown_fields=True):
    pass


class MuteAnswer(msgspec.Struct):
    mute: MuteInfo


class ConnectionAnswer(msgspec.Struct):
    connection: ConnectionInfo


class HealthAnswer(msgspec.Struct):
    status: Literal["ok", "failed"]


class Api:
    def __init__(
        self,
        session: Session,
        bus: Bus,
        streams: EventStreams,
        *,
        state: Callable[[], UnitState],
        health: Callable[[], Health],
    ) -> None:
        self._session = session
        self._bus = bus
        self._streams = streams
        self._state = state
        self._health = health

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute("GET", "/api/state", self._get_state, scope="read", summary="The whole unit.", answer=UnitState),
            ApiRoute(
                "GET",
                "/api/events",
                self._get_events,
                scope="read",
                summary="Server-sent events: everything that happens from now on.",
                content_type="text/event-stream",
                errors={503: "too many streams are open"},
            ),
            ApiRoute(
                "POST",
                "/api/mute",
                self._mute,
                scope="control",
                summary="Move the gates, one of them or more; true is shut.",
                body=MuteRequest,
                answer=MuteAnswer,
            ),
            ApiRoute(
                "POST",
                "/api/talk",
                self._talk,
                scope="control",
                summary="Push to talk: hold the microphone's gate open for some seconds, and let go of it.",
                body=TalkRequest,
                answer=MuteAnswer,
            ),
            ApiRoute(
                "POST",
                "/api/volume",
                self._volume,
                scope="control",
                summary="How loud one user of the room is played here, from now on.",
                body=VolumeRequest,
                answer=VolumeRequest,
            ),
            ApiRoute(
                "POST",
                "/api/screen",
                self._screen,
                scope="control",
                summary="Share the configured screen source with the room, or no longer; the events tell how it goes.",
                body=ScreenRequest,
                answer=ScreenAnswer,
                status=202,
                errors={409: "the unit has nothing to share"},
            ),
            ApiRoute(
                "POST",
                "/api/join",
                self._join,
                scope="control",
                summary="Join the room; the events tell how it goes.",
                body=NoFields,
                body_optional=True,
                answer=ConnectionAnswer,
                status=202,
            ),
            ApiRoute(
                "POST",
                "/api/leave",
                self._leave,
                scope="control",
                summary="Leave the room; answers when out.",
                body=NoFields,
                body_optional=True,
                answer=ConnectionAnswer,
            ),
            ApiRoute(
                "POST",
                "/api/resume",
                self._resume,
                scope="control",
                summary="Try a device again now, after a stream error or before its time; the events tell how it goes.",
                body=ResumeRequest,
                answer=ResumeAnswer,
                status=202,
                errors={409: "the unit has no device of this kind"},
            ),
            ApiRoute(
                "GET",
                "/healthz",
                self._healthz,
                scope="open",
                summary="Whether every part of the program works.",
                answer=HealthAnswer,
                more={503: HealthAnswer},
            ),
        ]

    async def _get_state(self, _request: web.Request) -> web.Response:
        return answer(self._state())

    async def _get_events(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, self._events(f"api client {request.remote}"))

    async def _events(self, name: str) -> AsyncGenerator[bytes]:
        with self._bus.subscribe(name=name) as events:
            async for event in events:
                yield message(event.event_name, encode_event(event))

    async def _mute(self, request: web.Request) -> web.Response:
        wish = await read_body(request, MuteRequest, '{"audio": true or false, "video": ..., "screen": ...}')
        asked: dict[MediaKind, bool | UnsetType] = {"audio": wish.audio, "video": wish.video, "screen": wish.screen}
        if all(muted is UNSET for muted in asked.values()):
            raise BodyError('neither "audio", "video" nor "screen" is there; one at least is needed, true or false')
        for kind, muted in asked.items():
            if muted is not UNSET:
                await self._session.gates.set(kind, muted)
        return answer(MuteAnswer(mute_info(self._session)))

    async def _screen(self, request: web.Request) -> web.Response:
        wish = await read_body(request, ScreenRequest, '{"shared": true or false}')
        if wish.shared and not self._session.screen.is_available:
            raise ApiError(409, "nothing-to-share", "the unit has nothing to share: [screen] source is empty")
        await self._session.share_screen(wish.shared)
        return answer(ScreenAnswer(screen_info(self._session)), status=202)

    async def _talk(self, request: web.Request) -> web.Response:
        wish = await read_body(request, TalkRequest, '{"on": true or false, "seconds": 0.1 to 60}')
        who = f"api {request.remote}"
        await (self._session.talk.hold(who, wish.seconds) if wish.on else self._session.talk.release(who))
        return answer(MuteAnswer(mute_info(self._session)))

    async def _volume(self, request: web.Request) -> web.Response:
        wish = await read_body(request, VolumeRequest, '{"user_id": "who", "volume": 0 to 100}')
        self._session.set_remote_volume(wish.user_id, wish.volume)
        return answer(wish)

    async def _join(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        self._session.attendance.join()
        return answer(ConnectionAnswer(connection_info(self._session)), 202)

    async def _leave(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        await self._session.attendance.leave()
        return answer(ConnectionAnswer(connection_info(self._session)))

    async def _resume(self, request: web.Request) -> web.Response:
        wish = await read_body(request, ResumeRequest, '{"kind": "microphone", "camera" or "speaker"}')
        devices = self._session.devices
        device = next((stats for stats in devices.stats() if stats.kind == wish.kind), None) if devices else None
        if devices is None or device is None:
            raise ApiError(409, "no-device", f"this unit has no {wish.kind}, or is just starting", "kind")
        devices.resume(wish.kind)
        return answer(ResumeAnswer(wish.kind, device.works, device.error), 202)

    async def _healthz(self, _request: web.Request) -> web.Response:
        healthy = is_healthy(self._health())
        return answer(HealthAnswer("ok" if healthy else "failed"), 200 if healthy else 503)
