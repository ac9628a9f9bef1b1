"""Leds and Buttons of a front panel with a microcontroller of its own, on a UART or USB serial port (pyserial).

One thread owns the port from the first `leds.set` or `buttons.start` to the last `close`. A panel that is unplugged,
reset or silent comes back by itself; meanwhile `trouble` says what is wrong, and its buttons count as let go.
"""

from __future__ import annotations

import logging
import os
import select
import termios
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from hw import ButtonEdge, ButtonName, HardwareError, LedName
from hw.panel_host import BUTTON_IDS, Action, PanelHost

if TYPE_CHECKING:
    import serial

logger = logging.getLogger(__name__)

BAUD = 115_200
REOPEN_S = 0.5
_WRITE_TIMEOUT_S = 0.5
_CLOSE_S = 1.0
_READ_BYTES = 4096


class SerialPanel:
    """`leds` and `buttons` are its two Protocols. `trouble` is empty while the panel answers."""

    def __init__(self, port: str, baud: int = BAUD) -> None:
        self.port = port
        self.trouble = f"front panel {port} was not opened"
        self.name = ""  # as the panel calls itself
        self.held: tuple[ButtonName, ...] = ()  # down when it came up; they mean nothing until let go
        self.leds = _PanelLeds(self)
        self.buttons = _PanelButtons(self)
        self._baud = baud
        self._host = PanelHost()
        self._levels: dict[LedName, float] = {}
        self._sink: Callable[[ButtonEdge], None] | None = None
        self._users: set[object] = set()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._wake = -1  # eventfd, while the thread runs

    @property
    def counts(self) -> tuple[int, int]:
        """Frames that were lost on the way here, and pieces that were damaged."""
        return self._host.lost, self._host.damaged

    def use(self, user: object) -> None:
        """HardwareError when pyserial is missing; a port that is missing is waited for."""
        if self._thread is None:
            open_port = _opener(self.port, self._baud)
            self._stop.clear()
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._thread = threading.Thread(target=self._run, args=(open_port,), name="front-panel", daemon=True)
            self._thread.start()
        self._users.add(user)

    def drop(self, user: object) -> None:
        self._users.discard(user)
        if self._users or self._thread is None:
            return
        self._stop.set()
        self.wake()
        self._thread.join(_CLOSE_S)
        if not self._thread.is_alive():
            os.close(self._wake)
        self._thread = None

    def wake(self) -> None:
        os.eventfd_write(self._wake, 1)

    def set_levels(self, levels: Mapping[LedName, float]) -> None:
        self._levels = {**self._levels, **levels}

    def darken(self) -> None:
        self._levels = dict.fromkeys(self._levels, 0.0)

    def set_sink(self, sink: Callable[[ButtonEdge], None] | None) -> None:
        self._sink = sink

    # --- the thread

    def _run(self, open_port: Callable[[], serial.Serial]) -> None:
        while not self._stop.is_set():
            try:
                with open_port() as port:
                    self._talk(port)
            except (OSError, termios.error) as exc:  # SerialException is an OSError
                self._say(
                    f"front panel {self.port}: {_words(exc)}; is it plugged in, and this user in the group dialout?"
                )
            self._deliver(self._host.closed(time.monotonic()))
            self._stop.wait(REOPEN_S)

    def _talk(self, port: serial.Serial) -> None:
        host, fd = self._host, port.fileno()
        self._act(port, host.opened(time.monotonic()))
        while True:
            stopping = self._stop.is_set()
            self._act(port, host.set_leds(self._levels, time.monotonic()))
            self._act(port, host.advance(time.monotonic()))
            self._tell_state()
            if stopping:
                return
            timeout_s = max(0.0, host.next_deadline_s() - time.monotonic())
            ready, _, _ = select.select([fd, self._wake], [], [], timeout_s)
            if self._wake in ready:
                os.eventfd_read(self._wake)
            if fd in ready:
                self._act(port, host.receive(port.read(_READ_BYTES), time.monotonic()))

    def _act(self, port: serial.Serial, actions: Iterable[Action]) -> None:
        self._deliver(actions)
        data = b"".join(action for action in actions if isinstance(action, bytes))
        if data:
            port.write(data)

    def _deliver(self, actions: Iterable[Action]) -> None:
        sink = self._sink
        for action in actions:
            if isinstance(action, ButtonEdge) and sink is not None:
                sink(action)

    def _tell_state(self) -> None:
        panel = self._host.panel
        if self._host.trouble:
            self._say(f"front panel {self.port} {self._host.trouble}; is it a panel, and switched on?")
        elif panel is not None and self.trouble:
            self.name, self.trouble = panel.name, ""
            down = [number for index, number in enumerate(panel.buttons) if panel.held >> index & 1]
            self.held = tuple(BUTTON_IDS[number] for number in down if number in BUTTON_IDS)
            logger.info("front panel %s: %r, protocol version %d", self.port, panel.name, panel.version)

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            logger.warning("%s", trouble)


class _PanelLeds:
    def __init__(self, panel: SerialPanel) -> None:
        self._panel = panel

    def set(self, brightness: Mapping[LedName, float]) -> None:
        """Raises HardwareError when pyserial is missing."""
        self._panel.set_levels(brightness)
        self._panel.use(self)
        self._panel.wake()

    def close(self) -> None:
        """Dark, as far as the panel can be reached."""
        self._panel.darken()
        self._panel.drop(self)


class _PanelButtons:
    def __init__(self, panel: SerialPanel) -> None:
        self._panel = panel

    def start(self, sink: Callable[[ButtonEdge], None]) -> None:
        """Raises HardwareError when pyserial is missing; edges come once the panel is there."""
        self._panel.set_sink(sink)
        self._panel.use(self)

    def close(self) -> None:
        self._panel.set_sink(None)
        self._panel.drop(self)


def _opener(port: str, baud: int) -> Callable[[], serial.Serial]:
    try:
        import serial
    except ImportError as exc:
        raise HardwareError("front panel: pyserial is not installed; pip install 'room-appliance[pi]'") from exc
    return lambda: serial.Serial(port, baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True)


def _words(error: Exception) -> str:
    """The reason without pyserial's wrapping."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) else " ".join(str(error).split())
