"""One push to an RTMP server: connects to an address that the owner allows, publishes, sends, notices its end.

Contract:
- `open` ends when the server takes the stream; `RtmpError` says why not. Every step is bounded in time.
- `send` never waits. A server that takes nothing for `STALLED_S`, or lets too much wait, has lost the stream.
- `wait_lost` raises `RtmpError` at the end; `close` says goodbye where it can and frees everything, from any state.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable

from appliance.hub.relay_target import Target, Targets
from appliance.hub.rtmp import RtmpError, RtmpPublisher

RESOLVE_S, CONNECT_S, PUBLISH_S = 5.0, 5.0, 8.0
STALLED_S = 8.0  # what was sent is not taken any more
MAX_WAITING_BYTES = 4 * 1024 * 1024  # 10 s and more of a 720p stream
GOODBYE_S = 1.0
READ_BYTES = 16 * 1024

Make = Callable[[RtmpPublisher], bytes]


class RtmpPush:
    def __init__(self, target: Target, targets: Targets) -> None:
        self._target = target
        self._targets = targets
        self._publisher = RtmpPublisher(target.app, target.tc_url, target.key)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._moved_s = 0.0  # when what waits last became less
        self._waiting = 0

    async def open(self) -> None:
        self._reader, self._writer = await self._connect(await self._resolve())
        try:
            async with asyncio.timeout(PUBLISH_S):
                self._writer.write(self._publisher.hello())
                while not self._publisher.is_publishing:
                    await self._read()
        except TimeoutError:
            raise RtmpError(f"{self._target.host} does not take the stream within {PUBLISH_S:g} s") from None

    async def wait_lost(self) -> None:
        """Raises `RtmpError` when the stream is lost."""
        self._moved_s = time.monotonic()
        tasks = [
            asyncio.create_task(self._watch(), name="rtmp-watch"),
            asyncio.create_task(self._read_on(), name="rtmp-read"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        raise next((result for result in results if isinstance(result, RtmpError)), RtmpError("the stream ended"))

    def send(self, make: Make) -> None:
        """What `make` gives; nothing once the stream is lost."""
        writer = self._writer
        if writer is not None and not writer.is_closing() and self._publisher.is_publishing:
            writer.write(make(self._publisher))

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            async with asyncio.timeout(GOODBYE_S):
                if self._publisher.is_publishing and not writer.is_closing():
                    writer.write(self._publisher.goodbye())
                    await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError):
            pass
        finally:
            writer.transport.abort()

    # --- inside

    async def _resolve(self) -> list[str]:
        host, port = self._target.host, self._target.port
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (TimeoutError, OSError, UnicodeError) as exc:
            raise RtmpError(f"no address for {host}") from exc
        allowed = self._targets.allowed(self._target, [str(entry[4][0]) for entry in found])
        if not allowed:
            raise RtmpError(f"{host} has no address that this hub's owner lets it use")
        return allowed

    async def _connect(self, addresses: list[str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = self._target
        why = "no address"
        for address in addresses[:4]:
            try:
                async with asyncio.timeout(CONNECT_S):
                    return await asyncio.open_connection(
                        address,
                        target.port,
                        ssl=await asyncio.to_thread(ssl.create_default_context) if target.secure else None,
                        server_hostname=target.host if target.secure else None,
                    )
            except TimeoutError:
                why = f"no answer within {CONNECT_S:g} s"
            except ssl.SSLError as exc:
                why = f"TLS: {getattr(exc, 'verify_message', '') or exc.reason}"
            except OSError as exc:
                why = os.strerror(exc.errno) if exc.errno else str(exc)
        raise RtmpError(f"cannot connect to {target.host}: {why}")

    async def _read(self) -> None:
        assert self._writer is not None
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError as exc:
            raise RtmpError(f"the connection is lost: {exc.strerror or exc}") from exc
        if not data:
            raise RtmpError("the server closed the connection")
        answer = self._publisher.receive(data)
        if answer and not self._writer.is_closing():
            self._writer.write(answer)

    async def _read_on(self) -> None:
        while True:
            await self._read()

    async def _watch(self) -> None:
        while self._writer is not None:
            waiting = self._writer.transport.get_write_buffer_size()
            now_s = time.monotonic()
            if waiting < self._waiting or not waiting:
                self._moved_s = now_s
            self._waiting = waiting
            if waiting > MAX_WAITING_BYTES or now_s - self._moved_s > STALLED_S:
                self._writer.transport.abort()
                raise RtmpError(f"the server takes the stream too slowly: {waiting} bytes wait")
            await asyncio.sleep(0.5)
