"""From a tap to RTP: sound at once, pictures paced, and nothing of what was flushed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from appliance.media.feedback import BitrateEstimate, ReceiverReport
from appliance.media.frames import EncodedFrame
from appliance.media.pacer import MAX_QUEUE_BYTES
from appliance.media.rtp_out import RtpStream, StreamParameters
from appliance.media.stream_sender import StreamSender
from appliance.media.uplink import Uplink

KEY = EncodedFrame((bytes(1100),) * 60, 0, True, None, 0.0)
SMALL = EncodedFrame((b"picture",), 3000, False, None, 0.1)
SOUND = EncodedFrame((b"sound",), 960, True, 30, 0.0)


class Port:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.numbers: list[int] = []  # sequence numbers
        self._sent = asyncio.Event()

    def put(self, header: bytes | bytearray, payload: bytes) -> None:
        self.payloads.append(payload)
        self.numbers.append(int.from_bytes(header[2:4], "big"))
        self._sent.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Looks after each packet."""
        async with asyncio.timeout(5):
            while not condition():
                self._sent.clear()
                await self._sent.wait()

    def flush(self) -> None:
        """Nothing waits here."""


def start(uplink: Uplink, port: Port, *codecs: str) -> list[StreamSender]:
    senders = []
    for codec in codecs:
        sender = StreamSender("audio" if codec == "opus" else "video", uplink)
        sender.codec = codec
        sender.on_start(RtpStream(StreamParameters(1, 96, 90_000), port))
        senders.append(sender)
    return senders


async def test_sound_overtakes_a_key_frame_that_is_spread() -> None:
    uplink, port = Uplink(), Port()
    audio, video = start(uplink, port, "opus", "h264")
    assert audio.tap is not None
    assert video.tap is not None
    video.tap.put(KEY)
    first = len(port.payloads)
    assert 0 < first < 60
    audio.tap.put(SOUND)
    video.tap.put(SMALL)
    assert port.payloads[first:] == [b"sound"]
    await port.until(lambda: port.payloads[-1] == b"picture")
    assert len(port.payloads) == 62
    assert (video.counts().packets, video.counts().frames, video.counts().keyframes) == (61, 2, 1)
    audio.close()
    video.close()
    await uplink.close()


async def test_after_a_flush_nothing_goes_out_that_was_put_before_and_nothing_again() -> None:
    uplink, port = Uplink(), Port()
    (video,) = start(uplink, port, "h264")
    assert video.tap is not None
    video.tap.put(KEY)
    video.tap.flush()
    sent = len(port.payloads)
    video.on_nack(list(range(1 << 16)))
    assert (len(port.payloads), video._timer) == (sent, None)
    video.tap.put(SMALL)  # it cannot be decoded
    assert len(port.payloads) == sent
    video.tap.put(KEY)
    assert len(port.payloads) > sent
    video.close()
    await uplink.close()


async def test_a_leg_that_is_far_too_slow_starts_again_with_a_key_frame() -> None:
    uplink, port = Uplink(), Port()
    (video,) = start(uplink, port, "h264")
    assert video.tap is not None
    huge = EncodedFrame((bytes(1100),) * (MAX_QUEUE_BYTES // 1000), 0, True, None, 0.0)
    video.tap.put(huge)
    video.tap.put(SMALL)
    assert video.tap.dropped == 2
    sent = len(port.payloads)
    video.tap.put(SMALL)
    assert (len(port.payloads), video._timer) == (sent, None)
    video.close()
    await uplink.close()


async def test_while_a_queue_drains_pictures_wait_and_begin_anew_with_a_key_frame() -> None:
    uplink, port = Uplink(), Port()
    (video,) = start(uplink, port, "h264")
    assert video.tap is not None
    assert video.tap.control is not None
    video.tap.put(EncodedFrame((b"first",), 0, True, None, 0.0))
    drained_s = video.tap.control.drained_s = time.monotonic() + 0.2
    video.tap.put(SMALL)
    assert video.tap.dropped == 1
    video.tap.put(EncodedFrame((b"key",), 6000, True, None, 0.2))
    video.tap.put(SMALL)
    assert (port.payloads, video.tap.dropped) == ([b"first"], 1)
    await port.until(lambda: len(port.payloads) == 3)
    assert time.monotonic() >= drained_s
    assert port.payloads[1:] == [b"key", b"picture"]
    video.close()
    await uplink.close()


async def test_what_the_receiver_says_reaches_tap_and_counters() -> None:
    uplink, port = Uplink(), Port()
    (video,) = start(uplink, port, "vp8")
    assert video.tap is not None
    video.tap.put(EncodedFrame((b"a", b"b"), 0, True, None, 0.0))
    report = ReceiverReport(0.25, 3, 9, 0.08, 1.0)
    video.on_feedback(report)
    video.on_feedback(BitrateEstimate(400_000, 1.0))
    assert video.report == report
    assert video.tap.control is not None
    assert video.tap.control.target_bps == 400_000
    video.on_nack(list(range(1 << 16)))
    video.on_keyframe_request()
    assert (video.nacks, video.keyframe_requests, video.counts().retransmitted_packets) == (1 << 16, 1, 2)
    assert sorted(port.payloads) == [b"a", b"a", b"b", b"b"]
    video.close()
    await uplink.close()


def fill_link(sender: StreamSender) -> None:
    """The receiver's word that its link is full."""
    sender.on_feedback(ReceiverReport(0.3, 3, 9, 0.08, time.monotonic()))


async def test_a_key_frame_on_a_full_link_takes_the_place_of_what_waits() -> None:
    uplink, port = Uplink(), Port()
    (video,) = start(uplink, port, "vp8")
    assert video.tap is not None
    video.tap.put(KEY)
    fill_link(video)
    sent = len(port.payloads)
    assert sent < len(KEY.payloads)
    video.tap.put(EncodedFrame((b"another",), 6000, True, None, 0.2))
    await port.until(lambda: port.payloads[-1] == b"another")
    assert len(port.payloads) == sent + 1
    video.on_nack(list(range(1 << 16)))
    assert set(port.payloads[sent:]) == {b"another"}, "what is older is not sent again"
    video.close()
    await uplink.close()


async def test_what_is_sent_again_has_its_share_of_a_full_link() -> None:
    uplink, port = Uplink(), Port()
    (video,) = start(uplink, port, "vp8")
    assert video.tap is not None
    video.tap.put(KEY)
    await port.until(lambda: len(port.payloads) == len(KEY.payloads))
    fill_link(video)
    video.on_nack(list(port.numbers))
    assert 0 < video.counts().retransmitted_packets < len(KEY.payloads)
    video.close()
    await uplink.close()


async def test_pictures_are_protected_once_some_are_lost_and_not_while_the_link_is_full() -> None:
    uplink, port = Uplink(), Port()
    sender = StreamSender("video", uplink)
    sender.codec = "h264"
    sender.on_start(RtpStream(StreamParameters(1, 96, 90_000, 2, 97, parity_payload_type=111), port))
    assert sender.tap is not None
    control = sender.tap.control
    assert control is not None
    picture = EncodedFrame((b"one", b"two"), 0, True, None, 0.0)

    def sent(loss: float) -> int:
        before = len(port.payloads)
        sender.on_feedback(ReceiverReport(loss, 0, 0, 0.05, time.monotonic()))
        assert sender.tap is not None
        sender.tap.put(picture)
        return len(port.payloads) - before

    assert sent(0.0) == 2
    assert sender.tap.media_share == 1.0
    control.congested_s = float("-inf")
    sender.on_feedback(ReceiverReport(0.05, 0, 0, 0.05, time.monotonic()))
    control.congested_s = float("-inf")  # a report of a loss alone cannot tell why
    sender.tap.put(picture)
    assert len(port.payloads) == 5
    assert sender.tap.media_share < 0.95
    share = sender.tap.media_share
    control.congested_s = time.monotonic()
    assert sent(0.5) == 2
    assert (sender.tap.media_share, sender.counts().parity_packets) == (share, 1)
    sender.close()
    await uplink.close()


async def test_sound_goes_out_twice_where_pictures_get_lost_and_there_is_room() -> None:
    uplink, port, beside = Uplink(), Port(), Port()
    (audio,), (video,) = start(uplink, port, "opus"), start(uplink, beside, "h264")
    audio.repeats = video.is_lossy
    assert audio.tap is not None
    assert video.tap is not None
    control = video.tap.control
    assert control is not None

    def copies() -> int:
        before = len(port.payloads)
        assert audio.tap is not None
        audio.tap.put(SOUND)
        assert len(set(port.numbers[before:])) == 1
        return len(port.payloads) - before

    assert copies() == 1
    video.on_feedback(ReceiverReport(0.05, 0, 0, 0.05, time.monotonic()))
    control.congested_s = float("-inf")  # a report of a loss alone cannot tell why
    assert copies() == 2
    control.congested_s = time.monotonic()
    assert copies() == 1
    control.congested_s = float("-inf")
    control.target_bps = 500_000
    assert copies() == 1
    assert (video.tap.media_share, video.counts().parity_packets) == (1.0, 0)  # its receiver knows of no parities
    for sender in (audio, video):
        sender.close()
    await uplink.close()
