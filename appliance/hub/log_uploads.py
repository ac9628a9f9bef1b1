"""Clients' logs over HTTP (U92): `POST /hub/logs` with a room token, {"text": LOG}; the administrator reads them.

    POST /hub/logs            200 {"name"}; 401 without a good token, 429 too often, 413 too long
    GET  /admin/logs          {"logs": [{"name", "bytes", "at"}, ...]}
    GET  /admin/logs/{name}   the text

An open hub takes them without a token, as it takes a login.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
from aiohttp import web

from appliance.errors import RtcError, RtcErrorCode
from appliance.hub.log_store import LogStore, StoredLog
from appliance.hub.tokens import Claims
from appliance.room.bucket import TokenBucket
from provisioning.http_json import ApiError, BodyError, answer, read_body
from provisioning.http_routes import ApiRoute

MAX_TEXT_CHARS = 256 * 1024
MAX_BODY_BYTES = 1024 * 1024  # JSON may need four bytes for a character, and more
RATE_PER_S, BURST = 0.2, 10  # uploads of everybody together: they cost disk writes
ANYBODY = "anybody"


class LogUpload(msgspec.Struct, forbid_unknown_fields=True):
    """`text`: at most `MAX_TEXT_CHARS`."""

    text: str


class LogName(msgspec.Struct):
    name: str


class LogList(msgspec.Struct):
    """Oldest first."""

    logs: list[StoredLog]


class LogUploads:
    """`store` None: this hub keeps none. `verify` gives the claims of a room token or raises `RtcError`."""

    def __init__(self, store: LogStore | None, verify: Callable[[str], Claims], *, secure: bool) -> None:
        self._store = store
        self._verify = verify
        self._secure = secure
        self._bucket = TokenBucket(RATE_PER_S, BURST, time.monotonic())
        self._lock = asyncio.Lock()

    def route(self) -> ApiRoute:
        return ApiRoute(
            "POST",
            "/hub/logs",
            self._take,
            scope="open",
            summary="Give a client's log to the hub; with a room token as bearer.",
            body=LogUpload,
            answer=LogName,
            errors={
                401: "no room token, or not a good one",
                429: "too many logs",
                503: "this hub keeps no logs",
                507: "the disk took it not",
            },
            max_body_bytes=MAX_BODY_BYTES,
        )

    async def list(self, _request: web.Request) -> web.Response:
        async with self._lock:
            logs = await asyncio.to_thread(self._store.list) if self._store is not None else []
        return answer(LogList(logs))

    async def read(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        async with self._lock:
            text = await asyncio.to_thread(self._store.read, name) if self._store is not None else None
        if text is None:
            raise RtcError(f"there is no log {name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        return web.Response(text=text, content_type="text/plain")

    async def _take(self, request: web.Request) -> web.Response:
        user_id = self._user_id(request)
        if self._store is None:
            raise ApiError(503, "unavailable", "this hub keeps no logs")
        text = (await read_body(request, LogUpload, '{"text": LOG}')).text
        if len(text) > MAX_TEXT_CHARS:
            raise BodyError(f"{len(text)} characters; at most {MAX_TEXT_CHARS} are taken", "text")
        if not self._bucket.take(1, time.monotonic()):
            raise ApiError(429, "rate-limit", "too many logs for now", retry_after_s=1 / RATE_PER_S)
        try:
            async with self._lock:
                name = await asyncio.to_thread(self._store.add, user_id, text)
        except OSError as exc:
            raise ApiError(507, "disk", f"the log could not be kept: {exc.strerror}") from exc
        return answer(LogName(name))

    def _user_id(self, request: web.Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if not token and not self._secure:
            return ANYBODY
        try:
            return self._verify(token).sub or ANYBODY
        except RtcError as exc:
            raise ApiError(401, str(exc.code), exc.message) from exc
