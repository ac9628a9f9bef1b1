"""One end of a benched call, whoever is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass
class Taken:
    """What a receiver saw and heard since it was last asked: pictures as (monotonic s, age in ms or None where the
    code could not be read), and the age in ms of each burst of sound.
    """

    frames: list[tuple[float, float | None]] = field(default_factory=list)
    sounds_ms: list[float] = field(default_factory=list)


class End(Protocol):
    first_frame_s: float  # monotonic, when the first remote picture was there; 0.0 before

    async def start(self) -> None: ...
    async def offer(self) -> str: ...
    async def answer(self, sdp: str) -> str: ...
    async def accept(self, sdp: str) -> None: ...
    async def connected(self) -> None: ...
    async def sent_bytes(self) -> int:
        """Sent so far on the first leg."""

    async def take(self) -> Taken: ...
    async def close(self) -> None: ...


class Recording:
    """For ends in Python."""

    def __init__(self) -> None:
        self.first_frame_s = 0.0
        self.taken = Taken()

    def saw(self, at_s: float, age_ms: float | None) -> None:
        self.first_frame_s = self.first_frame_s or at_s
        self.taken.frames.append((at_s, age_ms))

    async def take(self) -> Taken:
        taken, self.taken = self.taken, Taken()
        return taken


def lost(reason: object) -> None:
    """For callbacks of devices and legs: in a bench nothing goes."""
    raise RuntimeError(reason)
