"""What somebody in front of the unit tries out: its camera, microphone, speaker and LEDs.

GET  /api/test/levels       server-sent events: `devices` (how each one is) when that changes, `levels` at 12 Hz
GET  /api/test/camera.jpg   the own camera; 204 while there is no picture, or the gate is shut
POST /api/test/speaker      plays a chime
POST /api/test/leds         lights one LED after the other
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Literal

import msgspec
from aiohttp import web

from appliance.api import NoFields
from appliance.chime import chime
from appliance.devices import DeviceKind
from appliance.event_json import encode
from appliance.event_stream import EventStreams, message
from appliance.panel_link import PanelLink
from appliance.preview import Previews
from appliance.session import Session
from provisioning.http_json import ApiError, answer, read_body
from provisioning.http_routes import ApiRoute

LEVELS_S = 0.08
DEVICES_EVERY = 6  # levels

DeviceState = Literal["works", "waiting", "absent", "shut"]


class DevicesTold(msgspec.Struct, frozen=True):
    """works: it delivers. waiting: opened or lost, and tried again. absent: there is none. shut: the owner muted it."""

    camera: DeviceState
    microphone: DeviceState
    speaker: DeviceState
    leds: DeviceState


class LevelsTold(msgspec.Struct, frozen=True):
    """Volumes 0..100."""

    microphone: int
    speaker: int


class DeviceTest:
    """`panel` gives the front panel of now, None where there is none."""

    def __init__(self, session: Session, streams: EventStreams, panel: Callable[[], PanelLink | None]) -> None:
        self._session = session
        self._streams = streams
        self._panel = panel
        self._previews = Previews()

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "GET",
                "/api/test/levels",
                self._levels,
                scope="read",
                summary="Server-sent events: how each device is, and how loud microphone and speaker are.",
                content_type="text/event-stream",
                errors={503: "too many event streams are open"},
            ),
            ApiRoute(
                "GET",
                "/api/test/camera.jpg",
                self._camera,
                scope="read",
                summary="A picture of the own camera; 204 while there is none.",
                content_type="image/jpeg",
                more={204: None},
            ),
            ApiRoute(
                "POST",
                "/api/test/speaker",
                self._chime,
                scope="control",
                summary="Play a chime.",
                body=NoFields,
                body_optional=True,
                answer=NoFields,
                errors={409: "no speaker works"},
            ),
            ApiRoute(
                "POST",
                "/api/test/leds",
                self._walk,
                scope="control",
                summary="Light one LED after the other.",
                body=NoFields,
                body_optional=True,
                answer=NoFields,
                errors={409: "there is no front panel that works"},
            ),
        ]

    async def running(self, _application: web.Application) -> AsyncGenerator[None]:
        """For `cleanup_ctx`."""
        yield
        await self._previews.close()

    async def _levels(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, self._messages())

    async def _messages(self) -> AsyncGenerator[bytes]:
        told: DevicesTold | None = None
        tick = 0
        while True:
            if tick % DEVICES_EVERY == 0 and told != (now := self.devices()):
                told = now
                yield message("devices", encode(told))
            yield message("levels", encode(self.levels()))
            tick += 1
            await asyncio.sleep(LEVELS_S)

    def devices(self) -> DevicesTold:
        return DevicesTold(
            camera="shut" if self._session.is_muted("video") else self._state("camera"),
            microphone="shut" if self._session.is_muted("audio") else self._state("microphone"),
            speaker=self._state("speaker"),
            leds=self._leds(),
        )

    def levels(self) -> LevelsTold:
        uplink, playout = self._session.uplink, self._session.playout
        return LevelsTold(
            microphone=uplink.level if uplink is not None else 0, speaker=playout.level if playout is not None else 0
        )

    def _state(self, kind: DeviceKind) -> DeviceState:
        if not self._session.is_configured(kind):
            return "absent"
        devices = self._session.devices
        return "works" if devices is not None and kind in devices.working else "waiting"

    def _leds(self) -> DeviceState:
        panel = self._panel()
        if panel is None:
            return "absent"
        return "works" if panel.health == "ok" else "waiting"

    async def _camera(self, _request: web.Request) -> web.Response:
        devices = self._session.devices
        picture = devices.camera.look() if devices is not None and devices.camera is not None else None
        if picture is None or self._session.is_muted("video"):
            return web.Response(status=204)
        return web.Response(body=await self._previews.jpeg(picture.frame), content_type="image/jpeg")

    async def _chime(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        playout = self._session.playout
        if playout is None or self._state("speaker") != "works":
            raise ApiError(409, "no-speaker", "no speaker works now: nothing would be heard")
        playout.play(await asyncio.to_thread(chime))
        return answer({})

    async def _walk(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        panel = self._panel()
        if panel is None or self._leds() != "works":
            raise ApiError(409, "no-panel", "no front panel works now: nothing would be seen")
        panel.walk()
        return answer({})
