"""The virtual front panel of a unit on mock hardware, behind the same door as the API.

The page's stream carries `leds`, `meters`, `state`, and `event` for each of the last and the coming bus events:
{"at", "name", "fields"}.

LED brightness is what was really set, sampled 25 times a second: the page draws, it knows no patterns.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec
from aiohttp import web

from appliance.drivers import Hardware
from appliance.event_json import encode, event_fields
from appliance.event_stream import EventStreams, message
from appliance.events import Bus, Event
from appliance.preview import Previews
from appliance.room.events import AudioVolume, NetworkQualityChanged
from appliance.session import Session
from appliance.state import UnitState
from hw import BUTTON_NAMES, SAMPLE_RATE_HZ, ButtonName, Samples
from hw.mock import MockButtons, MockLeds, MockSpeaker
from provisioning.http_json import answer, error_response, read_body
from provisioning.http_routes import ApiRoute

TICK_S = 0.04
METERS_EVERY = 2  # ticks
STATE_EVERY = 10
HISTORY = 60  # events that a page is shown when it opens
MAX_PRESS_S = 60.0  # a page that vanished lets go of its buttons: longer than any hold that means something


@dataclass(frozen=True, slots=True)
class PanelHardware:
    """The mock devices of this unit; `speaker` is None when it has a real one or none."""

    leds: MockLeds
    buttons: MockButtons
    speaker: MockSpeaker | None = None


def mock_panel(hardware: Hardware) -> PanelHardware | None:
    """None where the front panel of `hardware` is a real one, or there is none."""
    panel = hardware.panel
    if panel is None or not isinstance(panel.leds, MockLeds) or not isinstance(panel.buttons, MockButtons):
        return None
    return PanelHardware(panel.leds, panel.buttons, hardware.speaker)


class ButtonRequest(msgspec.Struct, forbid_unknown_fields=True):
    action: Literal["press", "release", "click"]


class ButtonAnswer(msgspec.Struct):
    button: ButtonName
    pressed: bool


class PeerQuery(msgspec.Struct):
    user: str = ""


class Panel:
    def __init__(
        self,
        hardware: PanelHardware,
        session: Session,
        bus: Bus,
        streams: EventStreams,
        *,
        state: Callable[[], UnitState],
    ) -> None:
        self._hardware = hardware
        self._session = session
        self._bus = bus
        self._streams = streams
        self._state = state
        self._previews = Previews()
        self._releases: dict[ButtonName, asyncio.TimerHandle] = {}
        self._history: deque[bytes] = deque(maxlen=HISTORY)

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "GET",
                "/panel/events",
                self._events,
                scope="read",
                summary="Server-sent events for the page: lamps, meters, state and what happened.",
                content_type="text/event-stream",
                errors={503: "too many streams are open"},
            ),
            ApiRoute(
                "POST",
                "/panel/buttons/{name}",
                self._button,
                scope="control",
                summary="Press or release a button.",
                body=ButtonRequest,
                answer=ButtonAnswer,
                errors={404: "there is no such button"},
            ),
            ApiRoute(
                "GET",
                "/panel/camera.jpg",
                self._camera,
                scope="read",
                summary="The own camera; nothing while there is no picture or the gate is shut.",
                content_type="image/jpeg",
                more={204: None},
            ),
            ApiRoute(
                "GET",
                "/panel/peer.jpg",
                self._peer,
                scope="read",
                summary="What that member sends; nothing while nothing comes, nor of one who is not there any more.",
                query=PeerQuery,
                content_type="image/jpeg",
                more={204: None},
            ),
            ApiRoute(
                "GET",
                "/panel/speaker.wav",
                self._speaker,
                scope="read",
                summary="What the mock speaker played last.",
                content_type="audio/wav",
                errors={404: "the speaker keeps nothing"},
            ),
        ]

    async def running(self, _application: web.Application) -> AsyncGenerator[None]:
        """For `cleanup_ctx`: remembers what happens meanwhile; at the end every button is let go."""
        remember = asyncio.create_task(self._remember(), name="panel-history")
        yield
        remember.cancel()
        await asyncio.gather(remember, return_exceptions=True)
        for button in list(self._releases):
            self._release(button)
        await self._previews.close()

    # --- buttons

    async def _button(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        button = next((known for known in BUTTON_NAMES if known == name), None)
        if button is None:
            return error_response(404, "not-found", f"no button {name[:40]!r}; there are {', '.join(BUTTON_NAMES)}")
        action = (await read_body(request, ButtonRequest, '{"action": "press", "release" or "click"}')).action
        if action in ("press", "click"):
            self._press(button)
        if action in ("release", "click"):
            self._release(button)
        return answer(ButtonAnswer(button, button in self._hardware.buttons.pressed))

    def _press(self, button: ButtonName) -> None:
        if button not in self._releases:
            loop = asyncio.get_running_loop()
            self._releases[button] = loop.call_later(MAX_PRESS_S, self._release, button)
        self._hardware.buttons.press(button)

    def _release(self, button: ButtonName) -> None:
        timer = self._releases.pop(button, None)
        if timer is not None:
            timer.cancel()
        self._hardware.buttons.release(button)

    # --- pictures and sound

    async def _camera(self, _request: web.Request) -> web.Response:
        devices = self._session.devices
        picture = devices.camera.look() if devices is not None and devices.camera is not None else None
        if picture is None or self._session.is_muted("video"):
            return web.Response(status=204)
        return _jpeg(await self._previews.jpeg(picture.frame))

    async def _peer(self, request: web.Request) -> web.Response:
        user = self._session.peers.get(request.query.get("user", ""))
        main = user.streams.get("main") if user is not None else None
        if main is None or main.video is None or main.is_muted("video"):
            return web.Response(status=204)
        frame = await self._previews.look(main.video)
        return web.Response(status=204) if frame is None else _jpeg(await self._previews.jpeg(frame))

    async def _speaker(self, _request: web.Request) -> web.Response:
        speaker = self._hardware.speaker
        if speaker is None:
            return error_response(404, "not-found", "this unit's speaker keeps nothing")
        headers = {"Content-Disposition": 'attachment; filename="speaker.wav"'}
        body = await self._previews.run(lambda: _wav(speaker.samples()))
        return web.Response(body=body, content_type="audio/wav", headers=headers)

    # --- the page's stream

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, self._messages())

    async def _messages(self) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        sent: dict[str, bytes] = {}
        tick, due_s = 0, loop.time()
        with self._bus.subscribe(name="panel page") as events:
            for past in list(self._history):
                yield past
            while True:
                try:
                    async with asyncio.timeout_at(due_s):
                        event = await anext(events)
                except TimeoutError:
                    due_s = loop.time() + TICK_S
                    for kind, value in self._sample(tick).items():
                        data = encode(value)
                        if sent.get(kind) != data:
                            sent[kind] = data
                            yield message(kind, data)
                    tick += 1
                else:
                    yield _event_message(event)

    async def _remember(self) -> None:
        with self._bus.subscribe(name="panel history") as events:
            async for event in events:
                if not _is_periodic(event):
                    self._history.append(_event_message(event))

    def _sample(self, tick: int) -> dict[str, object]:
        sample: dict[str, object] = {"leds": {name: round(b, 2) for name, b in self._hardware.leds.brightness.items()}}
        if tick % METERS_EVERY == 0:
            speaker, uplink = self._hardware.speaker, self._session.uplink
            sample["meters"] = {
                "microphone": uplink.level if uplink is not None else 0,
                "speaker": speaker.level if speaker is not None else 0,
            }
        if tick % STATE_EVERY == 0:
            sample["state"] = self._state()
        return sample


def _is_periodic(event: Event) -> bool:
    return isinstance(event, AudioVolume) or (isinstance(event, NetworkQualityChanged) and not event.changed)


def _event_message(event: Event) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return message("event", encode({"at": at, "name": event.event_name, "fields": event_fields(event)}))


def _jpeg(data: bytes) -> web.Response:
    return web.Response(body=data, content_type="image/jpeg")


def _wav(samples: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE_HZ)
        wav.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()
