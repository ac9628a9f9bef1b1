"""Between the front panel, the session and the intercom: what the LEDs are told, what the buttons do."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from appliance.devices import REOPEN_DELAYS_S
from appliance.drivers import PanelDevices
from appliance.events import Bus
from appliance.front_panel import (
    AnswerOrCall,
    Command,
    FactoryReset,
    FrontPanel,
    HangUp,
    PanelState,
    PushToTalk,
    SetupMode,
    ToggleMute,
)
from appliance.intercom import CallPhase
from appliance.intercom_link import IntercomLink
from appliance.room.backoff import Backoff
from appliance.room.connection import JOINED_STATES
from appliance.room.events import (
    ConnectionReason,
    ConnectionState,
    ConnectionStateChanged,
    NetworkQuality,
    NetworkQualityChanged,
)
from appliance.session import Session
from appliance.unit_events import CallChanged, DevicesChanged, MuteChanged, SetupModeChanged
from appliance.watched import driver_error
from hw import HardwareError

logger = logging.getLogger(__name__)

LAST_COMMANDS_S = 0.3
_WATCHED = (CallChanged, ConnectionStateChanged, MuteChanged, NetworkQualityChanged, DevicesChanged, SetupModeChanged)
_HOLDER = "front panel"
WORKED_S = 10.0  # open for so long: what comes then is a new fault


def panel_state(session: Session, intercom: IntercomLink, bus: Bus) -> PanelState:
    """What the LEDs show: the gate, not the wish. Where the button calls nobody, being in the room is the call."""
    state, change, quality = session.state, session.attendance.last_change, bus.latest(NetworkQualityChanged)
    setup = bus.latest(SetupModeChanged)
    in_room = state in JOINED_STATES
    call = intercom.phase
    if call is CallPhase.IDLE and in_room and not intercom.settings.peers:
        call = CallPhase.IN_CALL
    failed = change is not None and change.reason is not ConnectionReason.LEAVE
    return PanelState(
        connection=state,
        muted=session.is_muted("audio"),
        has_microphone=not session.lacks("audio"),
        push_to_talk=session.settings.push_to_talk,
        quality=quality.downlink if quality is not None and in_room else NetworkQuality.UNKNOWN,
        setup=setup is not None and setup.is_shown,
        call=call,
        error=state is ConnectionState.DISCONNECTED and failed,
    )


class PanelLink:
    """One front panel on one session. `on_setup`: both buttons were held for 5 s; `on_reset`: for 20 s."""

    def __init__(
        self,
        devices: PanelDevices,
        session: Session,
        intercom: IntercomLink,
        bus: Bus,
        *,
        on_setup: Callable[[], None] | None = None,
        on_reset: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._devices = devices
        self._session = session
        self._intercom = intercom
        self._bus = bus
        self._panel = FrontPanel(devices.leds, devices.buttons, self._obey)
        self._on_setup = on_setup
        self._on_reset = on_reset
        self._tasks: set[asyncio.Task[None]] = set()
        self._error = ""  # why it is not open

    @property
    def patterns(self) -> dict[str, str]:
        """Name and pattern of every LED."""
        return {name: pattern.value for name, pattern in self._panel.patterns.items()}

    @property
    def health(self) -> str:
        """A unit without its panel works on: `degraded`."""
        trouble = self._error or self._devices.trouble()
        if not trouble and (stuck := self._panel.stuck(self._devices.held())):
            trouble = f"button down all the time: {', '.join(stuck)}; let go of it, or mend it"
        return f"degraded: {trouble}" if trouble else "ok"

    def walk(self) -> None:
        """Light one LED after the other."""
        self._panel.walk()

    async def run(self) -> None:
        """Until cancelled; the LEDs are dark after it. A panel that cannot be opened is tried again and again."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(), name="front-panel-state")
                tasks.create_task(self._keep_open(), name="front-panel")
        finally:
            if self._tasks:  # such as the end of a push to talk
                await asyncio.wait(self._tasks, timeout=LAST_COMMANDS_S)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_open(self) -> None:
        backoff = Backoff(REOPEN_DELAYS_S)
        while True:
            self._error = ""
            opened_s = time.monotonic()
            try:
                await self._panel.run()
            except HardwareError as exc:
                error = exc
            except Exception as exc:
                logger.exception("front panel: its driver failed")
                error = driver_error("front panel", exc)
            if time.monotonic() - opened_s > WORKED_S:
                backoff.reset()
            self._error = str(error)
            logger.log(logging.DEBUG if backoff.attempts else logging.WARNING, "%s", error)
            await asyncio.sleep(backoff.next_s())

    async def _follow(self) -> None:
        with self._bus.subscribe(*_WATCHED, name="front panel") as events:
            self._panel.show(panel_state(self._session, self._intercom, self._bus))
            async for _event in events:
                self._panel.show(panel_state(self._session, self._intercom, self._bus))

    def _obey(self, command: Command) -> None:
        match command:
            case ToggleMute():
                self._spawn(self._session.gates.toggle())
            case PushToTalk(on):
                talk = self._session.talk
                self._spawn(talk.hold(_HOLDER) if on else talk.release(_HOLDER))
            case AnswerOrCall():
                self._intercom.press()
            case HangUp():
                self._spawn(self._intercom.hold())
            case SetupMode() if self._on_setup is not None:
                self._on_setup()
            case FactoryReset() if self._on_reset is not None:
                logger.warning("both buttons were held for 20 s: factory reset")
                self._spawn(self._on_reset())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # A task each: tasks start in their order, so the gate moves in the order of the presses, hub or no hub.
        task = asyncio.create_task(work, name="front-panel-command")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a button's command failed", exc_info=error)
