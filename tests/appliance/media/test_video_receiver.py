"""One received stream from its packets to its watchers: requests by the clock, and none while nobody watches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import av
import numpy as np
import pytest

from appliance.media.parity import parity
from appliance.media.payload import packetize_h264, packetize_vp8
from appliance.media.video_encoder import VideoEncoder
from appliance.media.video_in import RemoteVideo
from appliance.media.video_receiver import VideoReceiver


class Port:
    """Where the requests go."""

    def __init__(self) -> None:
        self.nacks: list[list[int]] = []
        self.plis = 0

    def send_nack(self, lost: list[int]) -> None:
        self.nacks.append(lost)

    def send_pli(self) -> None:
        self.plis += 1

    def rtt_s(self) -> float | None:
        return 0.02


class Received:
    def __init__(self) -> None:
        self.opened: list[tuple[str, int]] = []
        self.refused = False
        self.video = RemoteVideo()
        self.receiver = VideoReceiver(self.video, self._open)
        self.port = Port()
        self.receiver.attach(self.port)
        self._encoders = {name: VideoEncoder(codec, 64, 64, 30) for name, codec in (("H264", "h264"), ("VP8", "vp8"))}  # type: ignore[arg-type]
        self._number = self._picture = 0

    def _open(self, codec: str, timestamp: int, data: bytes) -> bytes | None:
        self.opened.append((codec, timestamp))
        return None if self.refused else data

    def send(self, codec: str = "H264", *, keyframe: bool = False, lost: bool = False) -> list[tuple[int, int, bytes]]:
        """One picture in three packets; with `lost`, its last one does not come. Returns the packets."""
        packets = self.made(codec, keyframe=keyframe)
        for packet in packets[:-1] if lost else packets:
            self.feed(codec, packet, marker=packet is packets[-1])
        return packets

    def made(self, codec: str, *, keyframe: bool = False) -> list[tuple[int, int, bytes]]:
        """The packets of the next picture."""
        frame = av.VideoFrame.from_ndarray(
            np.random.default_rng(self._picture).integers(0, 255, (96, 64), np.uint8), "yuv420p"
        )
        made = self._encoders[codec].encode(
            frame, self._picture * 3000, keyframe=keyframe, bitrate_bps=2_000_000, now_s=0.0
        )
        assert made is not None
        limit = len(made.data) // 2
        payloads = packetize_h264(made.data, limit) if codec == "H264" else packetize_vp8(made.data, 1, limit)
        assert len(payloads) > 1
        packets = []
        for payload in payloads:
            packets.append((self._number & 0xFFFF, self._picture * 3000, bytes(payload)))
            self._number += 1
        self._picture += 1
        return packets

    def feed(self, codec: str, packet: tuple[int, int, bytes], *, marker: bool, retransmitted: bool = False) -> None:
        number, timestamp, payload = packet
        self.receiver.on_packet(codec, number, timestamp, marker, payload, retransmitted=retransmitted)


@asynccontextmanager
async def received() -> AsyncIterator[Received]:
    it = Received()
    thread = threading.Thread(target=it.receiver.run_decoder, args=(asyncio.get_running_loop(),))
    thread.start()
    try:
        yield it
    finally:
        await it.receiver.close()
        thread.join(2)
        assert not thread.is_alive()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # counters raise no event
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_the_last_packet_of_the_last_picture_is_asked_for_and_shown(codec: str) -> None:
    async with received() as it:
        with it.video.watch():
            it.send(codec, keyframe=True)
            packets = it.send(codec, lost=True)
            await until(lambda: len(it.port.nacks) >= 2)  # nothing came meanwhile
            assert it.port.nacks[0] == [packets[-1][0]]
            it.feed(codec, packets[-1], marker=True, retransmitted=True)
            await until(lambda: it.video.stats().frames_decoded == 2)
            asked = len(it.port.nacks)
            it.feed(codec, packets[-1], marker=True, retransmitted=True)
            await asyncio.sleep(0.03)
            assert len(it.port.nacks) <= asked + 1  # the next picture may be missed by now
            stats = it.video.stats()
            assert (stats.frames_received, stats.key_frames, stats.pli_count) == (2, 1, it.port.plis)
            assert stats.nack_count == sum(map(len, it.port.nacks))


async def test_nobody_watches_nothing_is_asked_for_and_pictures_are_still_opened() -> None:
    async with received() as it:
        it.send(keyframe=True)
        it.send(lost=True)
        it.send()
        await asyncio.sleep(0.06)
        it.send()
        assert (it.port.nacks, it.port.plis) == ([], 0)
        assert ("H264", 0) in it.opened
        assert it.video.stats().frames_decoded == 0
        with it.video.watch():
            assert it.port.plis == 1
            it.send(keyframe=True)
            await until(lambda: it.video.stats().frames_shown == 1)
        asked = len(it.port.nacks)
        it.send(lost=True)
        it.send()
        await asyncio.sleep(0.03)
        assert len(it.port.nacks) == asked


async def test_a_picture_that_is_refused_is_not_decoded_and_a_broken_one_asks_for_a_key_frame() -> None:
    async with received() as it:
        with it.video.watch():
            it.send(keyframe=True)
            await until(lambda: it.video.stats().frames_decoded == 1)
            it.refused = True
            it.send()
            assert it.video.stats().frames_received == 2
            it.refused = False
            it.receiver.on_packet("H264", it._number, 999_000, True, b"\x65\xff", retransmitted=False)
            it._number += 1
            await until(lambda: it.port.plis == 1)
            assert it.video.stats().corrupted == 1
            it.receiver.request_keyframe()
            assert it.port.plis == 1  # one is under way
            it.receiver.on_packet("H264", it._number, 999_000, True, b"\x7f", retransmitted=False)
            assert it.video.stats().malformed == 1


async def test_another_codec_goes_on_with_its_key_frame() -> None:
    async with received() as it:
        with it.video.watch():
            it.send("H264", keyframe=True)
            await until(lambda: it.video.stats().frames_decoded == 1)
            it.send("VP8", keyframe=True)
            await until(lambda: it.video.stats().frames_decoded == 2)


async def test_pictures_wait_for_their_sound_and_the_newest_counts() -> None:
    async with received() as it:
        video = it.video
        now_s = time.monotonic()
        video.lip_sync.video.report(0.0, 0)
        video.lip_sync.audio.report(0.0, 0)
        video.heard = lambda: (0, now_s + 0.2)  # sound is heard 200 ms after it was captured
        with video.watch():
            it.send(keyframe=True)
            await until(lambda: video.stats().frames_decoded == 1)
            assert video.latest is None
            await asyncio.wait_for(video.wait_frame(), 5)
            assert time.monotonic() - now_s > 0.1
            assert video.stats().hold_ms > 50
        assert not video._held


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_what_a_parity_brings_back_is_shown_and_not_asked_for(codec: str) -> None:
    async with received() as it:
        with it.video.watch():
            it.send(codec, keyframe=True)
            it.receiver.on_parity(0, parity(0, [b"of another picture"] * 2, ends=True))
            for lost in (0, 1):
                packets = it.made(codec)
                for packet in packets:
                    if packet is not packets[lost]:
                        it.feed(codec, packet, marker=packet is packets[-1])
                first, timestamp = packets[0][:2]
                it.receiver.on_parity(timestamp, parity(first, [payload for *_, payload in packets], ends=True))
            await until(lambda: it.video.stats().frames_decoded == 3)
            assert it.video.stats().recovered == 2
            it.receiver.on_parity(0, b"no")
            assert it.video.stats().malformed == 1
            assert it.port.nacks == []
