"""The appliance's own media path, both ways at once: what a call costs."""

from __future__ import annotations

from tests.bench.ours_receiver import Receiver
from tests.bench.ours_sender import Sender


class Party(Receiver):
    def __init__(self) -> None:
        super().__init__()
        self._sender = Sender()

    async def start(self) -> None:
        await super().start()
        await self._sender.start()

    async def offer(self) -> str:
        return await self._sender.offer()

    async def accept(self, sdp: str) -> None:
        await self._sender.accept(sdp)

    async def connected(self) -> None:
        if self._in:
            await super().connected()

    async def sent_bytes(self) -> int:
        return await self._sender.sent_bytes()

    async def close(self) -> None:
        await super().close()
        await self._sender.close()
