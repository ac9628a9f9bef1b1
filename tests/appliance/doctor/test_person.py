"""A person at a real pseudo-terminal."""

from __future__ import annotations

import io
import os
import pty
import threading
import time
from collections.abc import Iterator

import pytest

from appliance.doctor.person import Nobody, Terminal


class Screen(io.StringIO):
    """Types an answer as soon as a question stands there."""

    def __init__(self, master: int, answer: bytes | None) -> None:
        super().__init__()
        self._master, self._answer = master, answer

    def write(self, text: str) -> int:
        if "[Y/n]" in text and self._answer is not None:
            os.write(self._master, self._answer)
        return super().write(text)


@pytest.fixture
def line() -> Iterator[tuple[int, io.TextIOWrapper]]:
    master, slave = pty.openpty()
    with open(slave) as keyboard:
        yield master, keyboard
    os.close(master)


@pytest.mark.parametrize(
    ("typed", "answer"), [(b"\n", True), (b"y\n", True), (b"Yes\n", True), (b"n\n", False), (b"no\n", False)]
)
def test_answers(line: tuple[int, io.TextIOWrapper], typed: bytes, answer: bool) -> None:
    master, keyboard = line
    os.write(master, b"n\n" if answer else b"y\n")  # typed too early: it does not count
    os.read(master, 100)  # the echo: the terminal has it
    assert Terminal(keyboard, Screen(master, typed)).ask("Was it heard?", 5.0) is answer


def test_nobody_answers(line: tuple[int, io.TextIOWrapper]) -> None:
    terminal = Terminal(line[1], screen := Screen(line[0], None))
    assert terminal.ask("Was it heard?", 0.05) is None
    assert "no answer" in screen.getvalue()
    assert not terminal.waves_off(0.05)
    assert terminal.is_there


def test_enter_waves_off(line: tuple[int, io.TextIOWrapper]) -> None:
    threading.Timer(0.05, os.write, (line[0], b"\n")).start()
    assert Terminal(line[1], io.StringIO()).waves_off(5.0)


def test_terminal_that_hangs_up() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading) as keyboard:
        terminal = Terminal(keyboard, io.StringIO())
        assert terminal.ask("Was it heard?", 5.0) is None
        assert not terminal.is_there
        start_s = time.monotonic()
        assert not terminal.waves_off(0.05)
        assert time.monotonic() - start_s >= 0.05


def test_nobody() -> None:
    assert Nobody().ask("Was it heard?") is None
    assert not Nobody().waves_off(0.0)
