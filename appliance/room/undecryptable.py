"""Whose media cannot be decrypted: it comes with another key, or with none. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

MIN_REFUSED = 3  # frames since one was opened: one or two may be damaged or forged by somebody else


class Undecryptable(Generic[T]):
    """Tracks by any name; one that is not named any more is forgotten."""

    def __init__(self) -> None:
        self._opened: dict[T, tuple[int, int]] = {}  # so many were opened, and refused by then

    def look(self, tracks: Mapping[T, tuple[int, int]]) -> set[T]:
        """Those of which nothing opens; `tracks`: how many frames of each were opened and refused so far."""
        known, self._opened = self._opened, {}
        failing = set()
        for name, (opened, refused) in tracks.items():
            before = known.get(name, (0, 0))
            self._opened[name] = before if opened == before[0] else (opened, refused)
            if refused - self._opened[name][1] >= MIN_REFUSED:
                failing.add(name)
        return failing
