"""Listeners of a room client (capabilities U02, OR01).

Contract:
- Events reach the listeners in the order in which they were emitted; one emitted inside a listener waits its turn.
- A plain function is called at once. A coroutine function becomes a task of its own, started in order and owned here:
  it may await any call of the client, even one that waits for a later event.
- A listener that raises is logged and harms nobody. When unfinished calls pile up, events are dropped and logged.
- The event loop's thread only.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from appliance.errors import UnknownEventError
from appliance.events import Event
from appliance.room import events as room_events

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)
Listener = Callable[[E], Awaitable[None] | None]

MAX_UNFINISHED = 256  # calls of one client's coroutine listeners under way

EVENTS: dict[str, type[Event]] = {
    cls.event_name: cls
    for cls in (getattr(room_events, name) for name in room_events.__all__)
    if issubclass(cls, Event)
}


class _Registration:
    def __init__(self, callback: Listener[Any], once: bool) -> None:
        self.callback = callback
        self.once = once
        self.active = True


class Emitter:
    def __init__(self) -> None:
        self._listeners: dict[type[Event], list[_Registration]] = {}
        self._queue: deque[Event] = deque()
        self._draining = False
        self._tasks: set[asyncio.Task[None]] = set()

    def on(self, event: type[E] | str, callback: Listener[E]) -> None:
        """Call `callback` with each event of this class or hyphenated name. Raises `UnknownEventError` (IL28)."""
        self._listeners.setdefault(event_class(event), []).append(_Registration(callback, once=False))

    def once(self, event: type[E] | str, callback: Listener[E]) -> None:
        """Like `on`, for the next event only."""
        self._listeners.setdefault(event_class(event), []).append(_Registration(callback, once=True))

    def off(self, event: type[E] | str, callback: Listener[E]) -> None:
        """Forget `callback`, at once, even for events that wait their turn; one that isn't there is fine."""
        for registration in [r for r in self._listeners.get(event_class(event), []) if r.callback == callback]:
            self._drop(event_class(event), registration)

    def remove_all_listeners(self, event: type[Event] | str | None = None) -> None:
        for cls in list(self._listeners) if event is None else [event_class(event)]:
            for registration in list(self._listeners.get(cls, [])):
                self._drop(cls, registration)

    def listener_count(self, event: type[Event] | str) -> int:
        return len(self._listeners.get(event_class(event), []))

    def emit(self, event: Event) -> None:
        self._queue.append(event)
        if self._draining:
            return
        self._draining = True
        try:
            while self._queue:
                self._deliver(self._queue.popleft())
        finally:
            self._draining = False

    async def close(self) -> None:
        """Forget every listener and end their calls, but the one that this is called from."""
        self.remove_all_listeners()
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, cls: type[Event], registration: _Registration) -> None:
        registration.active = False
        self._listeners[cls].remove(registration)

    def _deliver(self, event: Event) -> None:
        for registration in list(self._listeners.get(type(event), [])):
            if not registration.active:
                continue
            if registration.once:
                self._drop(type(event), registration)
            try:
                result = registration.callback(event)
            except Exception:
                logger.exception("listener of %s failed", event.event_name)
                continue
            if inspect.iscoroutine(result):
                self._spawn(event, result)

    def _spawn(self, event: Event, call: Any) -> None:
        if len(self._tasks) >= MAX_UNFINISHED:
            call.close()
            logger.warning("%d listener calls are unfinished: %s was not delivered", MAX_UNFINISHED, event.event_name)
            return
        task = asyncio.create_task(_guard(event, call), name=f"room-listener-{event.event_name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _guard(event: Event, call: Awaitable[None]) -> None:
    try:
        await call
    except Exception:
        logger.exception("listener of %s failed", event.event_name)


def event_class(event: type[Event] | str) -> type[Event]:
    """The class that a class or hyphenated name stands for."""
    cls = EVENTS.get(event) if isinstance(event, str) else event
    if cls is None or cls not in EVENTS.values():
        name = event if isinstance(event, str) else getattr(event, "__name__", event)
        raise UnknownEventError(f"no event {name!r}; there are {', '.join(sorted(EVENTS))}", operation="on")
    return cls
