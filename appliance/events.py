"""The typed bus that every part of the program talks over.

Contract:
- An event is a frozen dataclass derived from `Event`; its hyphenated name is derived from its class name.
- `publish` never blocks and is called from the event loop's thread only.
- A subscriber names the classes it wants and reads them in the order of publication; a class brings its subclasses.
- A class marked `retained` keeps its newest value: `latest` reads it, and `subscribe(replay=True)` starts with it.
- A queue that is full drops its oldest event, counts it and logs the reader's name: a slow one harms only itself.
- Media never crosses the bus.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

logger = logging.getLogger(__name__)

QUEUE_LENGTH = 256  # some seconds of everything: a reader that is further behind has stopped reading

E = TypeVar("E", bound="Event")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of every event."""

    retained: ClassVar[bool] = False
    event_name: ClassVar[str] = "event"

    def __init_subclass__(cls, *, retained: bool | None = None) -> None:
        super().__init_subclass__()
        cls.event_name = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        if retained is not None:
            cls.retained = retained


class Subscription:
    """An endless async iterator over events; ended by leaving the `with` block of `Bus.subscribe`."""

    def __init__(self, name: str, classes: tuple[type[Event], ...], length: int) -> None:
        self.name = name
        self.classes = classes
        self.dropped = 0
        self._events: deque[Event] = deque()
        self._length = length
        self._ready = asyncio.Event()

    def _put(self, event: Event) -> None:
        if len(self._events) >= self._length:
            self._events.popleft()
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # at 1, 2, 4, 8, ...: a flood must not flood the log
                logger.warning("bus: subscriber %s is slow, %d events dropped", self.name, self.dropped)
        self._events.append(event)
        self._ready.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()


class Bus:
    """Publish and subscribe within one event loop."""

    def __init__(self) -> None:
        self._latest: dict[type[Event], Event] = {}
        self._subscriptions: list[Subscription] = []

    def publish(self, event: Event) -> None:
        """Hand `event` to every subscriber of its class, and keep it when its class is retained."""
        if event.retained:
            self._latest[type(event)] = event
        for subscription in self._subscriptions:
            if isinstance(event, subscription.classes):
                subscription._put(event)

    def latest(self, cls: type[E]) -> E | None:
        """The newest event of exactly this retained class, or None."""
        return cast("E | None", self._latest.get(cls))

    @contextmanager
    def subscribe(
        self, *classes: type[Event], name: str, replay: bool = False, length: int = QUEUE_LENGTH
    ) -> Iterator[Subscription]:
        """Events of `classes` (all when none is named) from now on; `replay` puts the retained ones first."""
        subscription = Subscription(name, classes or (Event,), length)
        if replay:
            for event in self._latest.values():
                if isinstance(event, subscription.classes):
                    subscription._put(event)
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
