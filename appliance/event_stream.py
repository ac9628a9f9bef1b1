"""Server-sent events (HTML Living Standard 9.2) that end when the server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from aiohttp import web

MAX_STREAMS = 32  # of all clients together
KEEP_ALIVE_S = 10.0  # a comment after so much silence, so that both ends notice a dead link
WRITE_TIMEOUT_S = 20.0  # a client that takes nothing for so long is gone
RETRY_MS = 1000  # how long EventSource waits before it connects again


class EventStreams:
    """Serves streams. Call `close` in `on_shutdown`: it ends those that are open.

    `is_welcome` is asked before each message: whoever was logged out meanwhile hears no more.
    """

    def __init__(self, is_welcome: Callable[[web.Request], bool] = lambda _request: True) -> None:
        self._is_welcome = is_welcome
        self._open: set[asyncio.Task[object]] = set()
        self._closing = False

    async def close(self) -> None:
        self._closing = True
        for task in self._open:
            task.cancel()

    async def serve(self, request: web.Request, messages: AsyncGenerator[bytes]) -> web.StreamResponse:
        """Until either end is done; `messages` are made by `message`. HTTPServiceUnavailable when too many are open."""
        if self._closing or len(self._open) >= MAX_STREAMS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_STREAMS} event streams are open", headers={"Retry-After": "5"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            async with aclosing(messages):
                upcoming = asyncio.ensure_future(anext(messages))  # listens before the client knows that it does
                try:
                    await response.prepare(request)
                    await self._write(response, f"retry: {RETRY_MS}\n\n".encode())
                    while True:
                        await asyncio.wait({upcoming}, timeout=KEEP_ALIVE_S)
                        if not self._is_welcome(request):
                            return response
                        if not upcoming.done():
                            await self._write(response, b": still here\n\n")
                            continue
                        await self._write(response, upcoming.result())
                        upcoming = asyncio.ensure_future(anext(messages))
                finally:
                    upcoming.cancel()
                    await asyncio.gather(upcoming, return_exceptions=True)
        except (StopAsyncIteration, ConnectionError, TimeoutError):
            return response
        finally:
            self._open.discard(task)

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await response.write(data)


def message(event: str, data: bytes) -> bytes:
    """One event; `data` is one line, such as JSON."""
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
