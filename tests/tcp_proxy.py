"""A TCP relay on 127.0.0.1 that can be cut, black-holed and restored: the wire that the tests impair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal


class TcpProxy:
    """Forwards `port` to `target_port`. Made by `tcp_proxy`."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.connections = 0  # accepted so far
        self._mode: Literal["forward", "refuse", "black-hole"] = "forward"
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Close every connection and refuse new ones, as when the other machine's program died."""
        assert self._server is not None
        self._server.close()
        await self._drop()
        self._server = None

    def black_hole(self) -> None:
        """Connections stay, new ones are accepted, and nothing passes any more, either way."""
        self._passing.clear()

    async def restore(self) -> None:
        """Forward again. What a black hole swallowed is gone for good, with its connections."""
        if not self._passing.is_set():
            await self._drop()
            self._passing.set()
        if self._server is None:
            await self.start()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._drop()

    async def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self._tasks.add(task)
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            await self._passing.wait()
            far, there = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._writers.add(there)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there), name="tcp-proxy-out")
                group.create_task(self._pump(far, writer), name="tcp-proxy-in")
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, there):
                if one is not None:
                    one.transport.abort()
                    self._writers.discard(one)
            self._tasks.discard(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._passing.wait()
            sink.write(data)
            await sink.drain()
        with suppress(OSError):
            sink.write_eof()


@asynccontextmanager
async def tcp_proxy(target_port: int) -> AsyncIterator[TcpProxy]:
    proxy = TcpProxy(target_port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
