"""Somebody in front of the unit, who can look, listen and press; or nobody."""

from __future__ import annotations

import os
import select
import time
from typing import Protocol, TextIO

ANSWER_S = 20.0
_LINE_BYTES = 1024


class Person(Protocol):
    is_there: bool

    def tell(self, what: str) -> None: ...

    def ask(self, question: str, timeout_s: float = ANSWER_S) -> bool | None:
        """Yes (also a bare Enter) or no; None when nobody answers."""

    def waves_off(self, timeout_s: float) -> bool:
        """Whether Enter is pressed within so long."""


class Nobody:
    is_there = False

    def tell(self, what: str) -> None:
        pass

    def ask(self, question: str, timeout_s: float = ANSWER_S) -> bool | None:
        return None

    def waves_off(self, timeout_s: float) -> bool:
        time.sleep(timeout_s)
        return False


class Terminal:
    """Somebody at a terminal. When it hangs up nobody is there any more."""

    def __init__(self, keyboard: TextIO, screen: TextIO) -> None:
        self.is_there = True
        self._keyboard = keyboard.fileno()
        self._screen = screen

    def tell(self, what: str) -> None:
        self._screen.write(f"         {what}\n")
        self._screen.flush()

    def ask(self, question: str, timeout_s: float = ANSWER_S) -> bool | None:
        while self.is_there and self._line(0) is not None:  # typed before the question
            pass
        if not self.is_there:
            return None
        self._screen.write(f"         {question} [Y/n] ")
        self._screen.flush()
        line = self._line(timeout_s)
        if line is None:
            self.tell("(no answer)")
            return None
        return line.strip().lower() in ("", "y", "yes")

    def waves_off(self, timeout_s: float) -> bool:
        return self._line(timeout_s) is not None

    def _line(self, timeout_s: float) -> str | None:
        if not self.is_there:
            time.sleep(timeout_s)
            return None
        ready, _, _ = select.select([self._keyboard], [], [], timeout_s)
        if not ready:
            return None
        try:
            data = os.read(self._keyboard, _LINE_BYTES)
        except OSError:
            data = b""
        if not data:
            self.is_there = False
            return None
        return data.decode(errors="replace")
