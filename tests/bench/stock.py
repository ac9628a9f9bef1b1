"""aiortc as it comes: tracks of decoded frames, one encoder a peer connection, its own buffers."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction

import aioice.ice
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from hw import AccessUnit, AudioBlock, Picture
from tests.bench.end import Recording, lost
from tests.bench.sources import BenchCamera, BenchMicrophone, BurstListener, frame_age_ms

FRAME_SAMPLES = 960
VIDEO_CLOCK_HZ = 90_000


def loopback_only() -> None:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class _Track(MediaStreamTrack):
    """Frames from a capture thread, newest kept, as an application of aiortc would do it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._owner = asyncio.get_running_loop()
        self._queue: asyncio.Queue[av.VideoFrame | av.AudioFrame] = asyncio.Queue(4)

    def put(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        def enqueue() -> None:
            if self._queue.full():
                self._queue.get_nowait()
            self._queue.put_nowait(frame)

        self._owner.call_soon_threadsafe(enqueue)

    async def recv(self) -> av.VideoFrame | av.AudioFrame:
        return await self._queue.get()


class Sender(Recording):
    def __init__(self) -> None:
        super().__init__()
        self._connections: list[RTCPeerConnection] = []
        self._relay = MediaRelay()

    async def start(self) -> None:
        loopback_only()
        self._video, self._audio = _Track("video"), _Track("audio")
        self._camera, self._microphone = BenchCamera(), BenchMicrophone()
        self._pending: list[AudioBlock] = []
        self._samples = 0
        self._camera.start(self._on_picture, lost)
        self._microphone.start(self._on_block, lost)

    def _on_picture(self, picture: Picture | AccessUnit) -> None:
        assert isinstance(picture, Picture)
        picture.frame.pts = int(picture.captured_s * VIDEO_CLOCK_HZ)
        picture.frame.time_base = Fraction(1, VIDEO_CLOCK_HZ)
        self._video.put(picture.frame)

    def _on_block(self, block: AudioBlock) -> None:
        self._pending.append(block)
        if len(self._pending) < 2:
            return
        samples = np.concatenate([each.samples for each in self._pending])
        self._pending.clear()
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48_000
        frame.pts = self._samples
        frame.time_base = Fraction(1, 48_000)
        self._samples += FRAME_SAMPLES
        self._audio.put(frame)

    async def offer(self) -> str:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connections.append(pc)
        pc.addTrack(self._relay.subscribe(self._audio))
        sender = pc.addTrack(self._relay.subscribe(self._video))
        for transceiver in pc.getTransceivers():
            transceiver.direction = "sendonly"
            if transceiver.sender is sender:
                profile: dict[str, int | str | None] = {
                    "packetization-mode": "1",
                    "level-asymmetry-allowed": "1",
                    "profile-level-id": "42e01f",
                }
                transceiver.setCodecPreferences(
                    [RTCRtpCodecCapability(mimeType="video/H264", clockRate=VIDEO_CLOCK_HZ, parameters=profile)]
                )
        await pc.setLocalDescription(await pc.createOffer())
        return pc.localDescription.sdp

    async def answer(self, sdp: str) -> str:
        raise RuntimeError("a sender offers")

    async def accept(self, sdp: str) -> None:
        await self._connections[-1].setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def connected(self) -> None:
        await until_connected(self._connections[-1])

    async def sent_bytes(self) -> int:
        if not self._connections:
            return 0
        report = await self._connections[0].getStats()
        return sum(each.bytesSent for each in report.values() if each.type == "outbound-rtp")

    async def close(self) -> None:
        self._camera.close()
        self._microphone.close()
        for pc in self._connections:
            await pc.close()


class Receiver(Recording):
    """Reads every track, as aiortc asks for."""

    def __init__(self) -> None:
        super().__init__()
        self._listener = BurstListener(lambda age_ms: self.taken.sounds_ms.append(age_ms))
        self._connections: list[RTCPeerConnection] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = asyncio.Event()

    async def start(self) -> None:
        loopback_only()

    async def offer(self) -> str:
        raise RuntimeError("a receiver answers")

    async def accept(self, sdp: str) -> None:
        raise RuntimeError("a receiver answers")

    async def answer(self, sdp: str) -> str:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connections.append(pc)
        pc.on("track", self._on_track)
        await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        return pc.localDescription.sdp

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._read(track), name=f"bench-{track.kind}"))

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            now_s = time.monotonic()
            if isinstance(frame, av.VideoFrame):
                self.saw(now_s, frame_age_ms(frame, now_s))
            elif isinstance(frame, av.AudioFrame):
                self._heard.set()
                # The first sample can be played now at the earliest.
                self._listener.hear(frame.to_ndarray().astype(np.int16).reshape(-1)[::2], now_s)

    async def sent_bytes(self) -> int:
        return 0

    async def connected(self) -> None:
        await self._heard.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pc in self._connections:
            await pc.close()


async def until_connected(pc: RTCPeerConnection) -> None:
    done = asyncio.Event()

    @pc.on("connectionstatechange")
    def changed() -> None:
        if pc.connectionState == "connected":
            done.set()

    changed()
    await done.wait()
