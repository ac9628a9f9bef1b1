"""The administrator's REST API, JSON both ways, behind `Authorization: Bearer` with an API token.

    GET    /admin/rooms                                   {"rooms": [ROOM, ...]}
    GET    /admin/rooms/{room}                            ROOM, with its members and bans
    PUT    /admin/rooms/{room}                            a room that is there with nobody in it; {"profile": ...}
    DELETE /admin/rooms/{room}                            disband: RoomClosed to everybody
    POST   /admin/rooms/{room}/members/{user}/{kick|ban|remove}
    POST   /admin/rooms/{room}/members/{user}/{mute|unmute}      {"kind": "audio", "video" or "screen"}
    DELETE /admin/rooms/{room}/bans/{user}                lift a ban
    DELETE /admin/rooms/{room}/tasks/{task}               end a relay task
    GET    /admin/logs, GET /admin/logs/{name}            logs that clients gave to the hub
    GET    /admin/recordings                              {"recordings": [RECORDING, ...]}
    GET    /admin/recordings/{name}                       MP4, ranges too
    DELETE /admin/recordings/{name}

Changes take an optional body {"message"}, which the victims are shown, a ban also {"seconds"} until it ends by itself,
and answer 204. Errors: {"error": {"code",
"message"}} with 400 for a wrong body, 401 without a good token, 404 for a room or member that is not there.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from aiohttp import web

from appliance.errors import InvalidArgumentError, RtcError, RtcErrorCode
from appliance.hub.log_uploads import LogList, LogUploads
from appliance.hub.recording_routes import RecordingList, RecordingRoutes
from appliance.hub.recordings import Recordings
from appliance.hub.relay_target import parse_target
from appliance.hub.relay_tasks import TaskState
from appliance.hub.room import Room
from appliance.hub.rooms import Eviction, Rooms
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_base import MediaKind, Profile, RoomId
from provisioning.http_json import answer, error_response
from provisioning.http_routes import ApiRoute, Method
from provisioning.visitor import visitor

MAX_BODY_BYTES = 4096
_MISSING = {RtcErrorCode.PEER_NOT_FOUND, RtcErrorCode.TASK_NOT_FOUND}

B = TypeVar("B", bound=msgspec.Struct)

Route = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """What the victims are shown."""

    message: Annotated[str, msgspec.Meta(max_length=256)] = ""


class EvictionRequest(Message):
    """`seconds` until a ban ends by itself; None: never."""

    seconds: Annotated[float, msgspec.Meta(gt=0, le=10 * 366 * 86_400)] | None = None


class MuteRequest(Message):
    """`kind` "screen": all of what is shared, with the sound of a tab."""

    kind: MediaKind = "audio"


class RoomRequest(msgspec.Struct, forbid_unknown_fields=True):
    profile: Profile = "rtc"


class TaskInfo(msgspec.Struct):
    """A relay task. `url` without its stream key; `state`: "trying", "pushing" or "waiting" to try again."""

    task_id: str
    host_user_id: str
    url: str
    record: bool
    state: str


class RoomInfo(msgspec.Struct):
    """`members` as the room's messages describe them, with `session_id` and `link`: "up" or "lost"."""

    room: str
    profile: str
    capacity: int
    members: list[dict[str, Any]]
    banned: list[str]
    kept: bool  # there with nobody in it
    tasks: list[TaskInfo]


class RoomList(msgspec.Struct):
    rooms: list[RoomInfo]


class Admin:
    """`perform` runs a change of the rooms, at the time it is given, and sends what it causes."""

    def __init__(
        self,
        rooms: Rooms,
        capacity: int,
        is_api_token: Callable[[str], bool],
        perform: Callable[[Callable[[float], list[Output]]], Awaitable[None]],
        logs: LogUploads,
        recordings: Recordings | None,
    ) -> None:
        self._rooms = rooms
        self._capacity = capacity
        self._is_api_token = is_api_token
        self._perform = perform
        self._logs = logs
        self._recordings = RecordingRoutes(recordings)

    def routes(self) -> list[ApiRoute]:
        room = "/admin/rooms/{room}"
        actions = "|".join(get_args(Eviction))
        missing = {404: "no such room or member"}
        return [
            self._route("GET", "/admin/rooms", self._list, "The rooms with their members.", gives=RoomList),
            self._route("GET", room, self._get, "A room, its members and bans.", gives=RoomInfo, errors=missing),
            self._route(
                "PUT",
                room,
                self._keep,
                "Make a room that is there with nobody in it.",
                body=RoomRequest,
                errors={400: "the room has another profile and members in it"},
            ),
            self._route("DELETE", room, self._disband, "Disband a room.", body=Message, errors=missing),
            self._route(
                "POST",
                room + "/members/{user}/{how:" + actions + "}",
                self._evict,
                "Take a member out of a room.",
                body=EvictionRequest,
                errors=missing,
            ),
            self._route(
                "POST",
                room + "/members/{user}/{how:mute|unmute}",
                self._mute,
                "Mute a member, or let it decide again.",
                body=MuteRequest,
                errors=missing,
            ),
            self._route("DELETE", room + "/bans/{user}", self._unban, "Lift a ban.", errors=missing),
            self._route(
                "DELETE",
                room + "/tasks/{task}",
                self._end_task,
                "End a relay task.",
                errors={404: "no such room or task"},
            ),
            self._route("GET", "/admin/logs", self._logs.list, "Logs that clients gave to the hub.", gives=LogList),
            self._route(
                "GET",
                "/admin/logs/{name}",
                self._logs.read,
                "One of them.",
                gives=str,
                content_type="text/plain",
                errors={404: "no such log"},
            ),
            self._route(
                "GET", "/admin/recordings", self._recordings.list, "Recordings of live rooms.", gives=RecordingList
            ),
            self._route(
                "GET",
                "/admin/recordings/{name}",
                self._recordings.read,
                "One of them, also one that is still recorded.",
                gives=str,
                content_type="video/mp4",
                errors={404: "no such recording"},
            ),
            self._route(
                "DELETE",
                "/admin/recordings/{name}",
                self._recordings.delete,
                "Delete one that is recorded no more.",
                errors={404: "no such recording", 400: "it is still recorded"},
            ),
        ]

    def _route(
        self,
        method: Method,
        path: str,
        run: Route,
        summary: str,
        *,
        body: type[msgspec.Struct] | None = None,
        gives: type[msgspec.Struct | str] | None = None,
        content_type: str = "application/json",
        errors: Mapping[int, str] = MappingProxyType({}),
    ) -> ApiRoute:
        return ApiRoute(
            method,
            path,
            self._guarded(run),
            scope="admin",
            summary=summary,
            body=body,
            body_optional=True,
            answer=gives,
            status=200 if gives is not None else 204,
            content_type=content_type,
            errors=errors,
        )

    def _guarded(self, route: Route) -> Route:
        async def guarded(request: web.Request) -> web.StreamResponse:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            is_good = scheme.lower() == "bearer" and self._is_api_token(token.strip())
            if not (is_good or visitor(request).may("admin")):
                return error_response(401, "unauthorized", "send an API token as Authorization: Bearer TOKEN")
            try:
                return await route(request)
            except RtcError as exc:
                return error_response(404 if exc.code in _MISSING else 400, str(exc.code), exc.message)

        return guarded

    async def _list(self, _request: web.Request) -> web.Response:
        return answer(RoomList([self._describe(room) for room in self._rooms.rooms.values()]))

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["room"]
        room = self._rooms.rooms.get(name)
        if room is None:
            raise RtcError(f"there is no room {name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        return answer(self._describe(room))

    async def _keep(self, request: web.Request) -> web.Response:
        name = request.match_info["room"]
        try:
            msgspec.convert(name, RoomId)
        except msgspec.ValidationError as exc:
            raise InvalidArgumentError(f"room {name!r}: {exc}") from exc
        body = await _body(request, RoomRequest)

        def keep(_now_s: float) -> list[Output]:
            self._rooms.keep_room(name, body.profile)
            return []

        await self._perform(keep)
        return web.Response(status=204)

    async def _disband(self, request: web.Request) -> web.Response:
        message = (await _body(request, Message)).message
        await self._perform(lambda _now_s: self._rooms.disband(request.match_info["room"], message))
        return web.Response(status=204)

    async def _evict(self, request: web.Request) -> web.Response:
        body = await _body(request, EvictionRequest)
        room, user = request.match_info["room"], request.match_info["user"]
        how: Any = request.match_info["how"]
        await self._perform(lambda now_s: self._rooms.evict(room, user, how, body.message, now_s, ban_s=body.seconds))
        return web.Response(status=204)

    async def _mute(self, request: web.Request) -> web.Response:
        body = await _body(request, MuteRequest)
        room, user = request.match_info["room"], request.match_info["user"]
        muted = request.match_info["how"] == "mute"
        await self._perform(lambda _now_s: self._rooms.force_mute(room, user, body.kind, muted, message=body.message))
        return web.Response(status=204)

    async def _unban(self, request: web.Request) -> web.Response:
        room, user = request.match_info["room"], request.match_info["user"]

        def unban(_now_s: float) -> list[Output]:
            self._rooms.exclusions.unban(room, user)
            return []

        await self._perform(unban)
        return web.Response(status=204)

    async def _end_task(self, request: web.Request) -> web.Response:
        name, task = request.match_info["room"], request.match_info["task"]
        room = self._rooms.rooms.get(name)
        if room is None:
            raise RtcError(f"there is no room {name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        await self._perform(lambda _now_s: self._rooms.relay.end(room, task))
        return web.Response(status=204)

    def _describe(self, room: Room) -> RoomInfo:
        members = [_describe(seat) for seat in room.seats.values()]
        banned = self._rooms.exclusions.banned(room.name, time.monotonic())
        kept = room.name in self._rooms.kept_rooms
        tasks = [_task(state) for state in self._rooms.relay.of(room)]
        return RoomInfo(room.name, room.profile, self._capacity, members, banned, kept, tasks)


def _describe(seat: Seat) -> dict[str, Any]:
    link = "up" if seat.connection is not None else "lost"
    member: dict[str, Any] = msgspec.to_builtins(seat.member())
    return {**member, "session_id": seat.session_id, "link": link}


def _task(state: TaskState) -> TaskInfo:
    task = state.task
    url = parse_target(task.stream_url).shown if task.stream_url else ""
    doing = "pushing" if state.is_pushing else "trying" if state.retry_s is None else "waiting"
    return TaskInfo(task.task_id, state.host_user_id, url, task.record, doing)


async def _body(request: web.Request, cls: type[B]) -> B:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise InvalidArgumentError(f"a body of {request.content_length} bytes; at most {MAX_BODY_BYTES} are allowed")
    body = await request.read()
    if len(body) > MAX_BODY_BYTES:
        raise InvalidArgumentError(f"a body of {len(body)} bytes; at most {MAX_BODY_BYTES} are allowed")
    if not body.strip():
        return cls()
    try:
        return msgspec.json.decode(body, type=cls)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidArgumentError(f'the body is not {{"message": TEXT}}: {exc}') from exc
