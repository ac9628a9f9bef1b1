"""Peer connections: how they connect and end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpTransceiver

CANCEL_AGAIN_S = 0.02  # before 3.12 `wait_for`, in a handshake, loses a cancellation that comes with a packet


class Connecting:
    """The tasks in which `pc` connects: watched for errors, and ended before it is closed."""

    def __init__(self, pc: RTCPeerConnection, on_error: Callable[[Exception], None]) -> None:
        self.attempts = 0
        self._pc = pc
        self._tasks: set[asyncio.Task[Any]] = set()
        inner: Any = pc
        connect = inner._RTCPeerConnection__connect

        async def watched() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.set_name("leg-connect")
            self._tasks.add(task)
            self.attempts += 1
            try:
                await connect()
            except Exception as exc:
                on_error(exc)
            finally:
                self._tasks.discard(task)

        inner._RTCPeerConnection__connect = watched

    async def close(self) -> None:
        """Closes the peer connection; no task, thread or socket of it is left."""
        while self._tasks:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.wait(self._tasks, timeout=CANCEL_AGAIN_S)
        await self._pc.close()


def passive_offer(sdp: str) -> str:
    """An offer that makes aiortc the DTLS server.

    As DTLS client it sends its ClientHello as soon as ICE has nominated a pair for it. An offerer whose own checks are
    not through by then drops it, and OpenSSL repeats it after 1.0 s. As server it waits for a peer that is ready.
    """
    return sdp.replace("a=setup:actpass", "a=setup:active")


def negotiated_codec(transceiver: RTCRtpTransceiver) -> str:
    """The codec that is sent, in lower case; after the answer."""
    inner: Any = transceiver
    name: str = inner._codecs[0].name
    return name.lower()
