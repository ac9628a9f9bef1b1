"""The serial panel on real ptys: at the far end the panel of examples/panel.py, and a hand that pulls the plug."""

from __future__ import annotations

import os
import pty
import queue
import random
import select
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from hw import LED_NAMES, ButtonEdge, HardwareError
from hw.panel import SerialPanel
from tests.hw import example_panel
from tests.hw.test_panel_host import DARK, Impair, Noise, clean

STEP_TIMEOUT_S = 10.0


def until(condition: Callable[[], object], what: str = "") -> None:
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"never so: {what or condition}"
        time.sleep(0.005)


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class PtyPanel:
    """The example panel in a thread, on a pty that hangs under `link` while it is plugged in."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.shown: dict[int, int] = {}
        self.up: Impair = clean
        self.down: Impair = clean
        self._acts: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._unplugged = threading.Event()
        self._thread: threading.Thread | None = None

    def plug_in(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self._slave = slave
        self.link.symlink_to(os.ttyname(slave))
        self.panel: Any = example_panel.load().Panel(self._write, self.shown.__setitem__)
        self._unplugged.clear()
        self._thread = threading.Thread(target=self._run, name="pty-panel")
        self._thread.start()

    def unplug(self) -> None:
        if self._thread is not None:
            self._unplugged.set()
            self._thread.join()
            self._thread = None
            self.link.unlink()
            os.close(self.master)
            os.close(self._slave)
            self.shown.clear()

    def button(self, number: int, pressed: bool) -> float:
        """The time of the edge."""
        done: queue.SimpleQueue[float] = queue.SimpleQueue()

        def act() -> None:
            at_s = time.monotonic()
            self.panel.button(number, pressed, int(at_s * 1000))
            done.put(at_s)

        self._acts.put(act)
        return done.get(timeout=STEP_TIMEOUT_S)

    def _write(self, data: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self.master, self.up(data))

    def _run(self) -> None:
        while not self._unplugged.is_set():
            with suppress(queue.Empty):
                self._acts.get_nowait()()
            ready, _, _ = select.select([self.master], [], [], 0.002)
            if ready:
                self.panel.receive(self.down(os.read(self.master, 256)), now_ms())
            self.panel.poll(now_ms())


class Host:
    """A SerialPanel and the edges that came out of it."""

    def __init__(self, port: Path) -> None:
        self.panel = SerialPanel(str(port))
        self.edges: queue.SimpleQueue[ButtonEdge] = queue.SimpleQueue()
        self.panel.buttons.start(self.edges.put)
        self.panel.leds.set(DARK)

    def next(self) -> tuple[str, bool]:
        edge = self.edges.get(timeout=STEP_TIMEOUT_S)
        return edge.button, edge.pressed

    def close(self) -> None:
        self.panel.buttons.close()
        self.panel.leds.close()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[PtyPanel]:
    far = PtyPanel(tmp_path / "panel")
    yield far
    far.unplug()


@contextmanager
def host_on(far: PtyPanel) -> Iterator[Host]:
    host = Host(far.link)
    try:
        yield host
    finally:
        host.close()


def test_leds_down_and_edges_up(far: PtyPanel) -> None:
    far.plug_in()
    with host_on(far) as host:
        until(lambda: not host.panel.trouble, "the panel answers")
        assert host.panel.name == "Example panel"
        host.panel.leds.set({"mute": 1.0})
        until(lambda: far.shown.get(1) == 255)
        assert far.shown[2] == 0
        pressed_s = far.button(1, True)
        edge = host.edges.get(timeout=STEP_TIMEOUT_S)
        assert (edge.button, edge.pressed) == ("mute", True)
        assert edge.at_s == pytest.approx(pressed_s, abs=0.1)
        far.button(1, False)
        assert host.next() == ("mute", False)


def test_closing_makes_it_dark_and_leaves_nothing(far: PtyPanel) -> None:
    far.plug_in()
    process = psutil.Process()
    before = process.num_fds()
    with host_on(far) as host:
        host.panel.leds.set(dict.fromkeys(LED_NAMES, 1.0))
        until(lambda: set(far.shown.values()) == {255})
    until(lambda: set(far.shown.values()) == {0}, "dark")
    assert not [thread for thread in threading.enumerate() if thread.name == "front-panel"]
    assert process.num_fds() == before
    with host_on(far) as host:  # and again
        until(lambda: not host.panel.trouble)


def test_the_plug_is_pulled_and_put_back(far: PtyPanel) -> None:
    far.plug_in()
    with host_on(far) as host:
        host.panel.leds.set({"mute": 1.0})
        for _ in range(2):
            until(lambda: far.shown.get(1) == 255)
            far.button(1, True)
            assert host.next() == ("mute", True)
            far.unplug()
            assert host.next() == ("mute", False)  # let go, so that nobody goes on talking
            until(lambda: "is it plugged in" in host.panel.trouble)
            far.plug_in()
            until(lambda: not host.panel.trouble)
        until(lambda: far.shown.get(1) == 255)


def test_a_panel_that_comes_later(far: PtyPanel) -> None:
    with host_on(far) as host:
        until(lambda: "No such file" in host.panel.trouble)
        assert str(far.link) in host.panel.trouble
        far.plug_in()
        until(lambda: not host.panel.trouble)


def test_no_heartbeat(far: PtyPanel) -> None:
    far.plug_in()
    with host_on(far) as host:
        until(lambda: not host.panel.trouble)
        far.button(1, True)
        assert host.next() == ("mute", True)
        far.up = lambda _data: b""
        assert host.next() == ("mute", False)
        until(lambda: "does not answer any more" in host.panel.trouble)
        far.up = clean
        until(lambda: not host.panel.trouble)
        far.button(1, False)
        far.button(2, True)
        assert host.next() == ("call", True)


def test_bytes_lost_doubled_corrupted_and_cut(far: PtyPanel) -> None:
    far.plug_in()
    rng = random.Random(3)
    with host_on(far) as host:
        until(lambda: not host.panel.trouble)
        far.up, far.down = Noise(1, 0.003), Noise(2, 0.003)
        for count in range(1, 61):
            number = rng.choice((1, 2))
            pressed = number not in far.panel.held
            far.button(number, pressed)
            assert host.next() == ({1: "mute", 2: "call"}[number], pressed)
            host.panel.leds.set({"mute": count / 80})
        until(lambda: far.shown.get(1) == round(255 * 60 / 80))
        assert host.panel.counts[1] > 0


def test_a_port_that_is_taken_and_one_that_is_none(far: PtyPanel, tmp_path: Path) -> None:
    far.plug_in()
    with host_on(far) as first:
        until(lambda: not first.panel.trouble)
        with host_on(far) as second:
            until(lambda: "temporarily unavailable" in second.panel.trouble)
    no_port = tmp_path / "file"
    no_port.touch()
    host = Host(no_port)
    until(lambda: "front panel" in host.panel.trouble and "configure" in host.panel.trouble)
    host.close()


def test_a_panel_that_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    master, slave = pty.openpty()  # nobody reads at the far end
    tty.setraw(slave)
    panel = SerialPanel(os.ttyname(slave))
    panel.leds.set(DARK)
    until(lambda: "does not answer" in panel.trouble)
    start_s = time.monotonic()
    panel.leds.close()
    assert time.monotonic() - start_s < 1
    os.close(master)
    os.close(slave)


def test_pyserial_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    panel = SerialPanel("/dev/serial0")
    with pytest.raises(HardwareError, match="pyserial is not installed"):
        panel.buttons.start(lambda _edge: None)
    with pytest.raises(HardwareError, match="pyserial is not installed"):
        panel.leds.set({})
    panel.buttons.close()
    panel.leds.close()


def test_the_example_as_a_program(tmp_path: Path) -> None:
    """As its docstring says, with this test as the cable between two ptys."""
    (host_end, host_port), (panel_end, panel_port) = pty.openpty(), pty.openpty()
    for port in (host_port, panel_port):
        tty.setraw(port)
    unplugged = threading.Event()

    def cable() -> None:
        while not unplugged.is_set():
            for end in select.select([host_end, panel_end], [], [], 0.01)[0]:
                os.write(panel_end if end == host_end else host_end, os.read(end, 4096))

    thread = threading.Thread(target=cable, name="cable")
    thread.start()
    program = subprocess.Popen(
        [sys.executable, str(example_panel.FILE), os.ttyname(panel_port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    host = Host(Path(os.ttyname(host_port)))
    try:
        until(lambda: not host.panel.trouble)
        host.panel.leds.set({"mute": 1.0})
        while program.stdout.readline() != "led 1 255\n":
            pass
        program.stdin.write("press mute\nrelease mute\n")
        program.stdin.flush()
        assert [host.next(), host.next()] == [("mute", True), ("mute", False)]
    finally:
        host.close()
        program.stdin.close()
        assert program.wait(STEP_TIMEOUT_S) == 0
        program.stdout.close()
        unplugged.set()
        thread.join()
        for fd in (host_end, host_port, panel_end, panel_port):
            os.close(fd)
