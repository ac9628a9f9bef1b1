"""The unit's one port: the socket is bound before anything else starts, so that a port in use is said at once."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

from aiohttp import web

from appliance.connections import Places, accept
from appliance.errors import ConfigError

BACKLOG = 128
SHUTDOWN_S = 0.25  # for requests under way when the server ends
KEEP_ALIVE_S = 75.0  # between two requests, and for the whole head of the second
LINGER_S = 2.0  # for a body that nobody wants, behind the answer


class Listener:
    """A listening socket. `port` is known from the start, also when any free one was asked for.

    Raises `ConfigError` when the address cannot be had.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self._socket: socket.socket | None = _bind(host, port)
        self.port = int(self._socket.getsockname()[1])
        self.serving = asyncio.Event()

    async def serve(
        self,
        application: web.Application,
        tls: ssl.SSLContext | None,
        plain: socket.socket | None = None,
        places: Places | None = None,
    ) -> None:
        """Serve until cancelled; may be called again. Nothing is left open after it.

        `plain` is a second listening socket, without TLS; it stays its owner's. `places`: how many connections there
        may be, if not as many as a unit has.
        """
        runner = web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
            handle_signals=False,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=LINGER_S,
        )
        places = places if places is not None else Places()
        try:
            await runner.setup()
            server = runner.server
            assert server is not None
            taken, self._socket = self._socket or _bind(self.host, self.port), None
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(accept(taken, tls, places, server), name=f"accept on port {self.port}")
                if plain is not None:
                    tasks.create_task(accept(plain.dup(), None, places, server), name="accept on the set-up network")
                self.serving.set()
        finally:
            self.serving.clear()
            await runner.cleanup()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        return socket.create_server(
            (str(address[0]), port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::"
        )
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} on {host} is in use; end the other program or take another port") from exc
        raise ConfigError(f"cannot listen on {host}, port {port}: {exc.strerror or exc}") from exc
