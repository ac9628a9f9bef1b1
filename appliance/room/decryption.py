"""The decryptors of one stay in a room: one for each track of each leg, and what one has taken no other takes."""

from __future__ import annotations

from collections import Counter

from appliance.media.e2ee import FrameDecryptor, FrameKey, Refusal

MAX_REMEMBERED = 4096  # streams that ended: their frames are refused for so long


class Decryption:
    def __init__(self, key: FrameKey) -> None:
        self._key = key
        self._live: set[FrameDecryptor] = set()
        self._floors: dict[bytes, int] = {}
        self._refused: Counter[Refusal] = Counter()
        self._opened = 0

    @property
    def opened(self) -> int:
        """Frames, of all legs so far."""
        return self._opened + sum(decryptor.opened for decryptor in self._live)

    @property
    def refused(self) -> Counter[Refusal]:
        """Frames, of all legs so far."""
        return sum((decryptor.refused for decryptor in self._live), self._refused.copy())

    def decryptor(self) -> FrameDecryptor:
        """For a new track. It refuses every frame that any other has taken up to now; those to come reach both while
        one leg takes the place of another.
        """
        floors = dict(self._floors)
        for decryptor in self._live:
            floors |= decryptor.window.floors()
        made = FrameDecryptor(self._key, floors)
        self._live.add(made)
        return made

    def retire(self, decryptor: FrameDecryptor) -> None:
        """Its leg has ended."""
        if decryptor not in self._live:
            return
        self._live.remove(decryptor)
        self._refused += decryptor.refused
        self._opened += decryptor.opened
        for prefix, floor in decryptor.window.floors().items():
            self._floors[prefix] = max(floor, self._floors.pop(prefix, 0))
        while len(self._floors) > MAX_REMEMBERED:
            del self._floors[next(iter(self._floors))]
