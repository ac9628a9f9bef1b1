"""What gets through to a video decoder."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.media.decoder_queue import MAX_UNDECODED, DecoderQueue

KEY = b"\x10\x02\x00\x9d\x01\x2a\x40"
DELTA = b"\x11\x02\x00"


@dataclass
class Codec:
    name: str = "VP8"


@dataclass
class Picture:
    data: bytes


class Decoder:
    def __init__(self) -> None:
        self.wanted = True
        self.behind = 0
        self.queue = DecoderQueue(lambda: self.wanted, self._on_behind)

    def _on_behind(self) -> None:
        self.behind += 1

    def put(self, *pictures: bytes) -> int:
        for data in pictures:
            self.queue.put((Codec(), Picture(data)))
        return self.queue.qsize()


def test_decoding_starts_with_a_key_frame() -> None:
    assert Decoder().put(DELTA, DELTA, KEY, DELTA) == 2


def test_nothing_is_decoded_while_nobody_watches_and_then_from_a_key_frame_on() -> None:
    decoder = Decoder()
    assert decoder.put(KEY) == 1
    decoder.wanted = False
    assert decoder.put(DELTA, KEY) == 1
    decoder.wanted = True
    assert decoder.put(DELTA) == 1
    assert decoder.put(KEY, DELTA) == 3


def test_a_decoder_that_is_behind_starts_anew_with_a_key_frame() -> None:
    decoder = Decoder()
    assert decoder.put(KEY, *[DELTA] * MAX_UNDECODED) == MAX_UNDECODED
    assert decoder.behind == 1
    decoder.queue.get()
    decoder.queue.get()
    assert decoder.put(DELTA) == MAX_UNDECODED - 2
    assert decoder.put(KEY) == MAX_UNDECODED - 1


def test_the_end_overtakes_what_waits() -> None:
    decoder = Decoder()
    decoder.put(KEY, DELTA)
    decoder.queue.put(None)
    assert decoder.queue.get() is None
    assert decoder.queue.empty()


def test_h264_is_told_by_its_own_key_frames() -> None:
    decoder = Decoder()
    decoder.queue.put((Codec("H264"), Picture(b"\x00\x00\x01\x41a")))
    assert decoder.queue.empty()
    decoder.queue.put((Codec("H264"), Picture(b"\x00\x00\x01\x65a")))
    assert decoder.queue.qsize() == 1
