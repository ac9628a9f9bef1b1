"""The appliance's own media path, both ways at once: what a call costs."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import av

from appliance.media.echo import NearEndSettings
from appliance.media.uplink import UplinkSettings
from hw import Speaker
from tests.bench.ours_receiver import Receiver
from tests.bench.ours_sender import Sender
from tests.bench.recorded import Kind, PlainSpeaker, camera


class _Sender(Sender):
    settings = UplinkSettings(near_end=NearEndSettings("full", True, 1, True))


class Party(Receiver):
    """As the unit calls with the settings that it comes with: echo, noise and gain are seen to, as in Chromium's party.

    Nobody reads its pictures and its sound for codes: that is no part of a call, and Chromium's party does not either.
    """

    camera: Kind = "raw"

    def __init__(self) -> None:
        super().__init__()
        self._sender = _Sender()

    async def start(self) -> None:
        await super().start()
        self._directory = tempfile.TemporaryDirectory()
        self._sender.begin(await camera(self.camera, Path(self._directory.name)), self._playout.far_end)

    def speaker(self) -> Speaker:
        return PlainSpeaker()

    def age_ms(self, frame: av.VideoFrame, now_s: float) -> None:
        return None

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
        await asyncio.to_thread(self._directory.cleanup)


class EncodedParty(Party):
    """With a camera that encodes by itself, as the device's own does."""

    camera = "h264"
