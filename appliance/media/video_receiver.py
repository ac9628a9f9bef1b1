"""One received video stream: packets in, pictures to the decoder, requests back to the sender; on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from appliance.media.assembler import NOTHING, Assembled, CodedPicture, VideoAssembler, VideoPacket
from appliance.media.depacketize import DEPACKETIZERS, Part, PayloadError
from appliance.media.parity import ParityError, Recovered, Recovery
from appliance.media.video_decoder import VideoDecoder
from appliance.media.video_in import RemoteVideo

OpenPicture = Callable[[str, int, bytes], bytes | None]

IDLE_WAKE_S = 0.01  # too soon by less, a timer may fire for nothing: cheaper than another one for each packet
_END_S = 0.5  # a decoder ends with the picture that it is at


class FeedbackPort(Protocol):
    """Where requests go. Nothing of it raises."""

    def send_nack(self, lost: list[int]) -> None: ...
    def send_pli(self) -> None: ...
    def rtt_s(self) -> float | None: ...


class VideoReceiver:
    """`open_picture` gets the codec's name, "H264" or "VP8", the RTP timestamp and the bytes of each whole picture,
    watched or not, and gives the bytes for the decoder; None: it is dropped.
    """

    def __init__(self, video: RemoteVideo, open_picture: OpenPicture = lambda codec, timestamp, data: data) -> None:
        self.decoder = VideoDecoder(video.counters, video.on_decoded, self.request_keyframe)
        self._video, self._counters = video, video.counters
        self._open = open_picture
        self._port: FeedbackPort | None = None
        self._assembler = VideoAssembler()
        self._recovery: Recovery | None = None  # from the first parity on
        self._codec = ""
        self._timer: asyncio.TimerHandle | None = None
        self._undecodable = 0  # of this assembler, counted already
        self._running = False
        self._ended = asyncio.Event()
        self._closed = False
        video.on_wanted = self._on_wanted

    def attach(self, port: FeedbackPort) -> None:
        """Before the first packet."""
        self._port = port

    def on_packet(
        self, codec: str, sequence_number: int, timestamp: int, marker: bool, payload: bytes, *, retransmitted: bool
    ) -> None:
        """An RTP packet of the media stream, unwrapped if it came as RTX; one without payload is padding."""
        self._take(codec, sequence_number, timestamp, marker, payload, retransmitted=retransmitted)
        if self._recovery is not None:
            self._recover(lambda recovery: recovery.packet(sequence_number, payload))

    def on_parity(self, timestamp: int, payload: bytes) -> None:
        """A packet that protects others of this picture."""
        if self._recovery is None:
            self._recovery = Recovery()
            self._assembler.expect_parity()
        self._recover(lambda recovery: recovery.parity(timestamp, payload))

    def _recover(self, look: Callable[[Recovery], list[Recovered]]) -> None:
        assert self._recovery is not None
        try:
            recovered = look(self._recovery)
        except ParityError:
            self._counters.malformed += 1
            return
        for packet in recovered:
            self._counters.recovered += 1
            self.on_packet(
                self._codec, packet.number, packet.timestamp, packet.marker, packet.payload, retransmitted=True
            )

    def _take(
        self, codec: str, sequence_number: int, timestamp: int, marker: bool, payload: bytes, *, retransmitted: bool
    ) -> None:
        try:
            part = DEPACKETIZERS[codec](payload) if payload else Part(b"")
        except PayloadError:
            self._counters.malformed += 1
            return
        now_s = time.monotonic()
        if codec != self._codec:
            self._change_codec(codec, now_s)
        result = self._assembler.add(VideoPacket(sequence_number, timestamp, marker, part, retransmitted), now_s)
        if result is NOTHING:
            self._arm()
        else:
            self._act(result)

    def request_keyframe(self) -> None:
        """Pictures cannot be decoded without one. Many requests become one."""
        if self._video.wanted and not self._closed:
            now_s = time.monotonic()
            self._assembler.refuse(now_s)
            self._act(self._assembler.tick(now_s))

    def run_decoder(self, loop: asyncio.AbstractEventLoop) -> None:
        """The thread of the decoder."""
        self._running = True
        self.decoder.run(loop)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._ended.set)

    async def close(self) -> None:
        """No picture comes after this. Waits for the decoder's thread, but not for long."""
        self._closed = True
        self._disarm()
        self.decoder.end()
        if self._running:
            with suppress(TimeoutError):  # who joins the thread will wait
                async with asyncio.timeout(_END_S):
                    await self._ended.wait()
        self._video.close()

    def _change_codec(self, codec: str, now_s: float) -> None:
        if self._codec:
            self._assembler, self._recovery = VideoAssembler(), None
            self._undecodable = 0
        self._codec = codec
        if self._video.wanted:
            self._assembler.watch(now_s)

    def _on_wanted(self) -> None:
        now_s = time.monotonic()
        self.decoder.forget()
        if self._video.wanted:
            self._assembler.watch(now_s)
            self._act(self._assembler.tick(now_s))
        else:
            self._assembler.unwatch()

    def _act(self, result: Assembled) -> None:
        for picture in result.pictures:
            self._hand_on(picture)
        port, counters = self._port, self._counters
        counters.frames_dropped += self._assembler.undecodable - self._undecodable
        self._undecodable = self._assembler.undecodable
        if port is not None and (result.nack or result.pli):
            if result.nack:
                counters.nack_count += len(result.nack)
                port.send_nack(result.nack)
            if result.pli:
                counters.pli_count += 1
                port.send_pli()
        self._arm()

    def _hand_on(self, picture: CodedPicture) -> None:
        counters = self._counters
        counters.frames_received += 1
        counters.key_frames += picture.keyframe
        counters.last_frame_s = picture.complete_s
        opened = self._open(self._codec, picture.timestamp, picture.data)
        if opened is not None and self._video.wanted:
            picture.data = opened
            counters.jitter_buffer.add(picture.complete_s - picture.first_s)
            self.decoder.put(self._codec, picture)

    def _arm(self) -> None:
        due_s = self._assembler.due_s
        if due_s is None or self._closed:
            return
        if self._timer is not None and self._timer.when() <= due_s < self._timer.when() + IDLE_WAKE_S:
            return
        self._disarm()
        self._timer = asyncio.get_running_loop().call_at(due_s, self._on_time)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        if self._port is not None and (rtt_s := self._port.rtt_s()) is not None:
            self._assembler.set_rtt(rtt_s)
        self._act(self._assembler.tick(time.monotonic()))
