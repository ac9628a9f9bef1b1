"""Calls over HTTP: what the call button does, and the calls that nobody answered.

`/api/events` tells how a call goes on: `call-changed`, `missed-calls-changed`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.api import NoFields
from appliance.errors import InvalidArgumentError, NotLoggedInError, RtcError
from appliance.intercom_link import IntercomLink
from appliance.room.call_content import decode_call
from appliance.state import CallInfo, call_info
from provisioning.http_json import ApiError, answer, read_body
from provisioning.http_routes import ApiRoute

_Peer = Annotated[str, Meta(min_length=1, max_length=64)]


class CallRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Without `peers` those of the configuration are called."""

    peers: Annotated[tuple[_Peer, ...], Meta(max_length=16)] = ()


class CallAnswer(msgspec.Struct):
    call: CallInfo


class MissedCall(msgspec.Struct, kw_only=True):
    """`at` is ISO 8601 in UTC, by the hub's clock."""

    user_id: str
    user_name: str
    room: str
    at: str


class MissedCallsAnswer(msgspec.Struct):
    """Oldest first."""

    calls: tuple[MissedCall, ...]


_OFFLINE = {503: "the hub cannot be reached"}


class CallApi:
    def __init__(self, intercom: IntercomLink) -> None:
        self._intercom = intercom

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "POST",
                "/api/call",
                self._call,
                scope="control",
                summary="Ring other users; the first to answer is spoken to. The events tell how it goes.",
                body=CallRequest,
                body_optional=True,
                answer=CallAnswer,
                status=202,
                errors={409: "there is a call already, or nobody to call", **_OFFLINE},
            ),
            ApiRoute(
                "POST",
                "/api/answer",
                self._answer,
                scope="control",
                summary="Answer who rings.",
                body=NoFields,
                body_optional=True,
                answer=CallAnswer,
                status=202,
                errors={409: "nobody rings"},
            ),
            ApiRoute(
                "POST",
                "/api/hangup",
                self._hang_up,
                scope="control",
                summary="Hang up; while it rings, cancel or refuse. Without a call nothing happens.",
                body=NoFields,
                body_optional=True,
                answer=CallAnswer,
            ),
            ApiRoute(
                "GET",
                "/api/calls",
                self._missed,
                scope="read",
                summary="The calls that nobody answered.",
                answer=MissedCallsAnswer,
                errors=_OFFLINE,
            ),
            ApiRoute(
                "DELETE",
                "/api/calls",
                self._clear,
                scope="control",
                summary="Forget the calls that nobody answered.",
                answer=MissedCallsAnswer,
                errors=_OFFLINE,
            ),
        ]

    async def _call(self, request: web.Request) -> web.Response:
        shape = 'nothing, or {"peers": [user ids]}'
        wish = await read_body(request, CallRequest, shape, may_be_empty=True)
        try:
            self._intercom.call(wish.peers)
        except NotLoggedInError as exc:
            raise ApiError(503, "offline", str(exc)) from exc
        except InvalidArgumentError as exc:
            raise ApiError(400, "bad-request", str(exc), "peers") from exc
        except RtcError as exc:
            raise ApiError(409, "cannot-call", str(exc)) from exc
        return self._now(202)

    async def _answer(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        if not self._intercom.answer():
            raise ApiError(409, "nobody-rings", "nobody rings")
        return self._now(202)

    async def _hang_up(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        self._intercom.hang_up()
        return self._now(200)

    async def _missed(self, _request: web.Request) -> web.Response:
        try:
            missed = await self._intercom.missed_calls()
        except RtcError as exc:
            raise ApiError(503, "offline", str(exc)) from exc
        calls = []
        for call in missed:
            content = decode_call(call.content)
            at = datetime.fromtimestamp(call.at_ms / 1000, UTC).isoformat(timespec="seconds")
            room = content.room if content is not None else ""
            calls.append(MissedCall(user_id=call.sender, user_name=call.sender_name, room=room, at=at))
        return answer(MissedCallsAnswer(tuple(calls)))

    async def _clear(self, _request: web.Request) -> web.Response:
        try:
            await self._intercom.clear_missed_calls()
        except RtcError as exc:
            raise ApiError(503, "offline", str(exc)) from exc
        return answer(MissedCallsAnswer(()))

    def _now(self, status: int) -> web.Response:
        return answer(CallAnswer(call_info(self._intercom)), status)
