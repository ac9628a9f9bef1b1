"""Both halves of the conversation on a simulated wire and clock: our host and the panel of examples/panel.py."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import LED_NAMES, ButtonEdge
from hw.panel_host import BUTTON_IDS, SILENCE_S, Action, PanelClock, PanelHost
from hw.panel_protocol import Frame, Hello, PanelHello, Parser, encode, to_message, to_payload
from tests.hw import example_panel

STEP_S = 0.001
DARK = dict.fromkeys(LED_NAMES, 0.0)
Impair = Callable[[bytes], bytes]


def clean(data: bytes) -> bytes:
    return data


class Noise:
    """Each byte is lost, doubled or changed with `share` each, and a piece is cut off with it too."""

    def __init__(self, seed: int, share: float) -> None:
        self._rng = random.Random(seed)
        self._share = share

    def __call__(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            what = self._rng.random() / self._share
            if what < 1:
                continue
            out.append(self._rng.randrange(256) if what < 2 else byte)
            if 2 <= what < 3:
                out.append(byte)
            if 3 <= what < 4:
                break
        return bytes(out)


class Bench:
    """A host and a panel, each with its own clock, on a wire."""

    def __init__(self, start_s: float = 1000.0, panel_ms: int = 123_456) -> None:
        self.now_s, self.start_s, self.panel_from_ms = start_s, start_s, panel_ms
        self.up: Impair = clean
        self.down: Impair = clean
        self.edges: list[ButtonEdge] = []
        self.shown: dict[int, int] = {}
        self._to_panel = b""
        self._to_host = b""
        self.host = PanelHost()
        self.boot()
        self._act(self.host.opened(self.now_s))

    def boot(self) -> None:
        self.panel: Any = example_panel.load().Panel(self._from_panel, self.shown.__setitem__)

    @property
    def panel_ms(self) -> int:
        return self.panel_from_ms + round((self.now_s - self.start_s) * 1000)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            data, self._to_host = self._to_host, b""
            self._act(self.host.receive(data, self.now_s))
            if self.now_s >= self.host.next_deadline_s():
                self._act(self.host.advance(self.now_s))
            data, self._to_panel = self._to_panel, b""
            self.panel.receive(data, self.panel_ms)
            self.panel.poll(self.panel_ms)

    def light(self, levels: dict[Any, float]) -> None:
        self._act(self.host.set_leds(levels, self.now_s))

    def press(self, number: int) -> None:
        self.panel.button(number, True, self.panel_ms)

    def release(self, number: int) -> None:
        self.panel.button(number, False, self.panel_ms)

    @property
    def said(self) -> list[tuple[str, bool]]:
        return [(edge.button, edge.pressed) for edge in self.edges]

    def _from_panel(self, data: bytes) -> None:
        self._to_host += self.up(data)

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, ButtonEdge):
                self.edges.append(action)
            else:
                self._to_panel += self.down(action)


def test_they_find_each_other_and_exchange_what_they_have() -> None:
    bench = Bench()
    assert bench.host.panel is None
    bench.run(0.01)
    assert bench.host.panel is not None
    assert (bench.host.panel.name, bench.host.panel.version) == ("Example panel", 1)
    assert bench.host.panel.leds == (1, 2, 3, 4, 5, 6, 7)
    assert bench.host.panel.buttons == (1, 2)
    bench.run(30)
    assert (bench.host.lost, bench.host.damaged, bench.host.trouble) == (0, 0, "")


def test_leds_go_down_at_once() -> None:
    bench = Bench()
    bench.run(0.01)
    bench.light({**DARK, "mute": 1.0, "quality5": 0.5})
    bench.run(0.002)
    assert bench.shown == {1: 255, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: 128}


def test_edges_come_at_once_with_their_own_time() -> None:
    bench = Bench()
    bench.run(5)
    bench.panel.button(1, True, bench.panel_ms - 6)  # it settled for 6 ms
    pressed_s = bench.now_s
    bench.run(0.002)
    [edge] = bench.edges
    assert (edge.button, edge.pressed) == ("mute", True)
    assert edge.at_s == pytest.approx(pressed_s - 0.006, abs=0.002)
    bench.run(1)
    assert len(bench.edges) == 1  # acknowledged
    assert not bench.panel.edges


def test_a_lost_edge_comes_again_with_the_time_it_had() -> None:
    bench = Bench()
    bench.run(5)
    bench.up = lambda _data: b""
    bench.press(1)
    pressed_s = bench.now_s
    bench.run(0.07)
    bench.release(1)
    bench.up = clean
    bench.run(0.04)
    assert bench.said == [("mute", True), ("mute", False)]
    assert [edge.at_s - pressed_s for edge in bench.edges] == pytest.approx([0, 0.07], abs=0.003)


def test_lost_acknowledgements_double_nothing() -> None:
    bench = Bench()
    bench.run(1)
    bench.down = lambda _data: b""
    bench.press(1)
    bench.run(0.2)
    assert bench.said == [("mute", True)]
    assert bench.panel.edges
    bench.down = clean
    bench.run(0.2)
    assert bench.said == [("mute", True)]
    assert not bench.panel.edges


def test_frames_that_do_not_come_are_counted() -> None:
    bench = Bench()
    bench.run(0.6)
    bench.up = lambda _data: b""
    bench.run(1.0)  # two heartbeats
    bench.up = clean
    bench.run(0.6)
    assert bench.host.lost == 2
    bench.up = lambda data: data + data
    bench.run(3)
    assert bench.host.lost == 2


def test_a_silent_panel_lets_go_of_its_buttons() -> None:
    bench = Bench()
    bench.run(1)
    bench.press(1)
    bench.run(0.1)
    bench.up = lambda _data: b""
    bench.run(SILENCE_S - 0.6)
    assert bench.said == [("mute", True)]
    bench.run(0.6)
    assert bench.said == [("mute", True), ("mute", False)]
    assert bench.host.trouble == "does not answer any more"
    bench.up = clean
    bench.run(0.6)
    assert bench.host.panel is not None
    assert bench.host.panel.held == 1  # still down: it means nothing now
    bench.release(1)
    bench.press(1)
    bench.run(0.1)
    assert bench.said == [("mute", True), ("mute", False), ("mute", True)]


def test_a_host_that_is_gone_makes_the_panel_dark() -> None:
    bench = Bench()
    bench.run(0.1)
    bench.light({**DARK, "mute": 1.0})
    bench.run(0.1)
    assert bench.shown[1] == 255
    bench.down = lambda _data: b""
    bench.run(2.5)
    assert set(bench.shown.values()) == {0}
    bench.down = clean
    bench.run(0.6)
    assert bench.shown[1] == 255


def test_a_panel_that_restarts_is_taken_up_again_at_its_next_heartbeat() -> None:
    bench = Bench()
    bench.light({**DARK, "mute": 1.0})
    bench.run(1)
    bench.press(2)
    bench.run(0.1)
    bench.shown.clear()
    bench.panel_from_ms -= 100_000  # its clock begins anew
    bench.boot()
    bench.run(0.02)
    assert bench.said == [("call", True), ("call", False)]
    assert bench.shown[1] == 255
    bench.run(1)
    pressed_s = bench.now_s
    bench.press(1)
    bench.run(0.02)
    assert bench.edges[-1].at_s == pytest.approx(pressed_s, abs=0.002)


def test_a_host_that_restarts_finds_the_panel() -> None:
    bench = Bench()
    bench.run(1)
    bench.press(1)
    bench.run(0.1)
    bench.host = PanelHost()
    bench._act(bench.host.opened(bench.now_s))
    bench.run(0.6)
    assert bench.host.panel is not None
    bench.release(1)
    bench.run(0.1)
    assert bench.said == [("mute", True)]  # the new host knew of no press


def test_a_port_that_is_gone_lets_go() -> None:
    bench = Bench()
    bench.run(0.1)
    bench.press(1)
    bench.run(0.1)
    [released] = bench.host.closed(bench.now_s)
    assert released == ButtonEdge("mute", False, bench.now_s)
    assert bench.host.closed(bench.now_s) == []


@pytest.mark.parametrize("version", [0, 2])
def test_a_panel_of_another_protocol_is_named(version: int) -> None:
    host = PanelHost()
    [sent] = host.opened(1.0)
    assert isinstance(sent, bytes)
    [frame] = Parser().feed(sent)
    hello = to_message(frame)
    assert isinstance(hello, Hello)
    kind, payload = to_payload(PanelHello(hello.session, 0, version, (1,), (1,), 0, "new"))
    assert host.receive(encode(Frame(kind, 0, payload)), 1.0) == []
    assert host.panel is None
    assert f"protocol version {version}" in host.trouble
    host.advance(2.0)
    assert f"protocol version {version}" in host.trouble


def test_nobody_there() -> None:
    host = PanelHost()
    host.opened(1.0)
    assert host.next_deadline_s() == 1.5
    assert host.advance(1.4) == []
    assert len(host.advance(1.5)) == 1
    assert host.trouble == "does not answer"


def test_ids_that_this_host_does_not_know() -> None:
    bench = Bench()
    bench.panel = example_panel.load().Panel(
        bench._from_panel, bench.shown.__setitem__, leds={1: 0, 99: 0}, buttons={1: 0, 77: 0}
    )
    bench.run(0.6)
    bench.light({**DARK, "mute": 1.0})
    bench.press(77)
    bench.press(1)
    bench.run(0.1)
    assert bench.shown == {1: 255, 99: 0}
    assert bench.said == [("mute", True)]


def test_clock_of_the_panel_over_months() -> None:
    clock = PanelClock()
    for ms in range(0, 3 * 2**32, 2**30):
        clock.feed(ms % 2**32, 50.0 + ms / 1000)
        assert clock.to_host((ms - 20) % 2**32) == pytest.approx(50.0 + (ms - 20) / 1000, abs=1e-3)


def test_a_slow_message_does_not_move_the_clock() -> None:
    clock = PanelClock()
    for index, late_s in enumerate([0.02, 0.001, 0.3]):
        clock.feed(1000 * index, 10.0 + index + late_s)
    assert clock.to_host(2000) == pytest.approx(12.001)


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_any_bytes_from_a_port_raise_nothing(pieces: list[bytes]) -> None:
    host = PanelHost()
    host.opened(1.0)
    for index, piece in enumerate(pieces):
        host.receive(piece, 1.0 + index)
        host.advance(1.0 + index)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.002, 0.01, 0.03]),
    acts=st.lists(st.tuples(st.sampled_from(list(BUTTON_IDS)), st.integers(1, 200)), max_size=12),
)
def test_whatever_the_wire_does_edges_come_once_in_order_and_leds_are_right_after(
    seed: int, share: float, acts: list[tuple[int, int]]
) -> None:
    bench = Bench()
    bench.run(0.01)
    assert bench.host.panel is not None
    session = bench.host.panel.session
    bench.up, bench.down = Noise(seed, share), Noise(seed + 1, share)
    did: list[tuple[str, bool]] = []
    for number, wait_ms in acts:
        pressed = number not in bench.panel.held
        bench.panel.button(number, pressed, bench.panel_ms)
        did.append((BUTTON_IDS[number], pressed))
        bench.light({**DARK, "mute": len(did) / 20})
        bench.run(wait_ms / 1000)
    bench.up = bench.down = clean
    bench.run(3)
    assert bench.host.panel is not None
    if bench.host.panel.session == session:  # the noise was not so bad that they lost each other
        assert bench.said == did
    assert all(later.at_s >= earlier.at_s for earlier, later in zip(bench.edges, bench.edges[1:], strict=False))
    assert bench.shown[1] == round(255 * len(did) / 20)
    before = len(bench.edges)
    for number in list(bench.panel.held):
        bench.release(number)
    bench.press(1)
    bench.run(0.1)
    assert bench.said[-1] == ("mute", True)
    assert len(bench.edges) > before
