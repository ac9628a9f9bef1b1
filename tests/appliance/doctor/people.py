"""Persons in front of a unit who answer as a test wants."""

from __future__ import annotations

import time
from collections.abc import Callable


class Somebody:
    """Answers every question with `answer`; hears what it is told by `on_tell`; presses Enter when `bored`."""

    is_there = True

    def __init__(
        self, answer: bool | None = True, *, bored: bool = False, on_tell: Callable[[str], None] = lambda _what: None
    ) -> None:
        self.questions: list[str] = []
        self._answer, self._bored, self._on_tell = answer, bored, on_tell

    def tell(self, what: str) -> None:
        self._on_tell(what)

    def ask(self, question: str, timeout_s: float = 0.0) -> bool | None:
        self.questions.append(question)
        return self._answer

    def waves_off(self, timeout_s: float) -> bool:
        if not self._bored:
            time.sleep(timeout_s)
        return self._bored
