"""The host's half of the front panel's conversation. Pure: bytes and time in, bytes and button edges out.

    searching --Hello each 0.5 s--> PanelHello --> up --silence of 2 s, a panel that restarted--> searching

Up: LEDs go down on every change and at least each 0.5 s, all of them, so that a lost frame heals. Edges come numbered
and in order, and are sent again by the panel until they are acknowledged. When the panel is lost its buttons count as
let go: nobody may go on talking through a cable that was pulled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from hw import ButtonEdge, ButtonName, LedName
from hw.panel_protocol import (
    VERSION,
    Ack,
    Alive,
    Edge,
    Frame,
    FromPanel,
    Hello,
    Leds,
    Message,
    PanelHello,
    Parser,
    encode,
    to_message,
    to_payload,
)

HELLO_S = 0.5
LEDS_S = 0.5
SILENCE_S = 2.0  # four heartbeats of the panel

LED_IDS: dict[int, LedName] = {
    1: "mute",
    2: "connection",
    3: "quality1",
    4: "quality2",
    5: "quality3",
    6: "quality4",
    7: "quality5",
}
BUTTON_IDS: dict[int, ButtonName] = {1: "mute", 2: "call"}

_OFFSETS = 32  # messages; 16 s of heartbeats: crystals drift apart by less than 2 ms

Action = bytes | ButtonEdge


class PanelClock:
    """The panel's milliseconds (modulo 2^32) in the host's monotonic seconds.

    What arrived soonest after it was sent tells the two clocks apart, so the error is the shortest way's: about 1 ms.
    """

    def __init__(self) -> None:
        self._last_ms = 0
        self._total_ms = 0
        self._offsets_s: deque[float] = deque(maxlen=_OFFSETS)

    def feed(self, panel_ms: int, received_s: float) -> None:
        self._total_ms = self._total(panel_ms)
        self._last_ms = panel_ms
        self._offsets_s.append(received_s - self._total_ms / 1000)

    def to_host(self, panel_ms: int) -> float:
        """ValueError before the first `feed`."""
        return self._total(panel_ms) / 1000 + min(self._offsets_s)

    def _total(self, panel_ms: int) -> int:
        return self._total_ms + (panel_ms - self._last_ms + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000


class PanelHost:
    """Every method gives what to send and what was pressed.

    `lost` counts frames that never came, `damaged` broken ones.
    """

    def __init__(self) -> None:
        self.panel: PanelHello | None = None  # while up
        self.trouble = ""  # why it is not up; empty also for the first moments
        self.lost = 0
        self._damaged = 0
        self._parser = Parser()
        self._clock = PanelClock()
        self._levels: dict[LedName, float] = {}
        self._session = 0
        self._sequence = 0
        self._expected: int | None = None  # sequence number of the panel's next frame
        self._next_event = 0
        self._pressed: set[ButtonName] = set()
        self._last_edge_s = 0.0
        self._heard_s = 0.0
        self._due_s = 0.0  # of the next Hello or Leds

    @property
    def damaged(self) -> int:
        return self._damaged + self._parser.damaged

    def next_deadline_s(self) -> float:
        """When to call `advance`."""
        return min(self._due_s, self._heard_s + SILENCE_S) if self.panel is not None else self._due_s

    def opened(self, now_s: float) -> list[Action]:
        """The port is open: search."""
        self._damaged += self._parser.damaged
        self._parser = Parser()
        self.trouble = ""
        return self._search(now_s)

    def closed(self, now_s: float) -> list[Action]:
        """The port is gone."""
        return self._down(now_s)

    def advance(self, now_s: float) -> list[Action]:
        """What is due by `now_s`."""
        if self.panel is not None and now_s - self._heard_s >= SILENCE_S:
            self.trouble = "does not answer any more"
            return [*self._down(now_s), *self._search(now_s)]
        if now_s < self._due_s:
            return []
        if self.panel is not None:
            return [self._show(now_s)]
        self.trouble = self.trouble or "does not answer"
        return self._search(now_s)

    def set_leds(self, levels: Mapping[LedName, float], now_s: float) -> list[Action]:
        """Brightness 0..1 of every LED."""
        if levels == self._levels:
            return []
        self._levels = dict(levels)
        return [self._show(now_s)] if self.panel is not None else []

    def receive(self, data: bytes, now_s: float) -> list[Action]:
        """Bytes from the port; never raises."""
        actions: list[Action] = []
        for frame in self._parser.feed(data):
            message = to_message(frame)
            if isinstance(message, PanelHello | Edge | Alive):
                actions += self._take(frame, message, now_s)
        return actions

    def _take(self, frame: Frame, message: FromPanel, now_s: float) -> list[Action]:
        if message.session != self._session:
            if self.panel is None or message.session != 0:
                return []  # the answer to an older Hello
            self.trouble = "has restarted"
            return [*self._down(now_s), *self._search(now_s)]
        if isinstance(message, PanelHello):
            return self._greet(frame, message, now_s)
        if self.panel is None:
            return []
        self._heard_s = now_s
        self._count(frame.sequence)
        if isinstance(message, Alive):
            self._clock.feed(message.time_ms, now_s)
            return []
        return self._edge(message, now_s)

    def _greet(self, frame: Frame, hello: PanelHello, now_s: float) -> list[Action]:
        if not 1 <= hello.version <= VERSION:
            self.trouble = f"speaks protocol version {hello.version}, this unit up to {VERSION}; update one of them"
            return []
        if self.panel is not None:
            return []  # doubled on the wire
        self.panel, self.trouble = hello, ""
        self._heard_s = now_s
        self._expected = (frame.sequence + 1) % 256
        self._next_event = 0
        self._clock = PanelClock()
        self._clock.feed(hello.time_ms, now_s)
        return [self._show(now_s)]

    def _edge(self, edge: Edge, now_s: float) -> list[Action]:
        actions: list[Action] = []
        if edge.event == self._next_event:
            self._next_event = (self._next_event + 1) % 256
            button = BUTTON_IDS.get(edge.button)
            if button is not None and (button in self._pressed) != edge.pressed:
                actions.append(self._moved(button, edge.pressed, min(now_s, self._clock.to_host(edge.time_ms))))
        return [*actions, self._send(Ack(self._next_event))]

    def _moved(self, button: ButtonName, pressed: bool, at_s: float) -> ButtonEdge:
        self._pressed ^= {button}
        self._last_edge_s = max(self._last_edge_s, at_s)  # the clocks' error must not turn two edges round
        return ButtonEdge(button, pressed, self._last_edge_s)

    def _count(self, sequence: int) -> None:
        missed = (sequence - self._expected) % 256 if self._expected is not None else 0
        if missed < 128:  # else doubled on the wire
            self.lost += missed
            self._expected = (sequence + 1) % 256

    def _search(self, now_s: float) -> list[Action]:
        self._session = self._session % 255 + 1  # never 0, which is a panel without a session
        self._due_s = now_s + HELLO_S
        return [self._send(Hello(VERSION, self._session))]

    def _down(self, now_s: float) -> list[Action]:
        self.panel = None
        return [self._moved(button, False, now_s) for button in sorted(self._pressed)]

    def _show(self, now_s: float) -> bytes:
        assert self.panel is not None
        self._due_s = now_s + LEDS_S
        names = [LED_IDS.get(number) for number in self.panel.leds]
        return self._send(Leds(bytes(round(255 * self._levels.get(name, 0.0)) if name else 0 for name in names)))

    def _send(self, message: Message) -> bytes:
        kind, payload = to_payload(message)
        self._sequence = (self._sequence + 1) % 256
        return encode(Frame(kind, self._sequence, payload))
