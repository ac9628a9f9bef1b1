"""The owner's way to recordings of live rooms, over the administrator's REST API.

GET    /admin/recordings          {"recordings": [{"name", "room", "task_id", "bytes", "at", "growing"}, ...]}
GET    /admin/recordings/{name}   MP4, with ranges
DELETE /admin/recordings/{name}   not while it is recorded
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.errors import InvalidStateError, RtcError, RtcErrorCode
from appliance.hub.recordings import Recordings, StoredRecording
from provisioning.http_json import answer


class RecordingList(msgspec.Struct):
    """Oldest first."""

    recordings: list[StoredRecording]


class RecordingRoutes:
    """`recordings` None: this hub keeps none."""

    def __init__(self, recordings: Recordings | None) -> None:
        self._recordings = recordings

    async def list(self, _request: web.Request) -> web.Response:
        stored = await asyncio.to_thread(self._recordings.all) if self._recordings is not None else []
        return answer(RecordingList(stored))

    async def read(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = await asyncio.to_thread(self._recordings.path, name) if self._recordings is not None else None
        if path is None:
            raise _unknown(name)
        headers = {"Content-Type": "video/mp4", "Content-Disposition": f'attachment; filename="{name}"'}
        return web.FileResponse(path, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if self._recordings is None or await asyncio.to_thread(self._recordings.path, name) is None:
            raise _unknown(name)
        if not await asyncio.to_thread(self._recordings.delete, name):
            raise InvalidStateError(f"{name!r} is still recorded: its task ends it")
        return web.Response(status=204)


def _unknown(name: str) -> RtcError:
    return RtcError(f"there is no recording {name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
