"""What PulseAudio never does, on a scripted device: capture xruns, odd periods, short reads, a driver's error codes."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from hw import BLOCK_FRAMES, HardwareError, Samples
from hw import alsa as alsa_module
from hw.alsa import CapturePcm, PlaybackPcm

WAIT_S = 1.0


class ScriptedError(Exception):
    pass


class ScriptedPcm:
    """Counts its samples upwards. `steps` says what the next looks at it find: more frames, or a negative errno."""

    def __init__(self, period_frames: int = BLOCK_FRAMES) -> None:
        self.period_frames = period_frames
        self.steps: list[int] = []
        self.running = False
        self.waiting = 0
        self.broken = 0
        self.breaks_read = False  # the next read finds an xrun that the look before it did not
        self.count = 0
        self.written: list[int] = []
        self.closed: list[str] = []
        self._ends = os.pipe()  # stays readable, as a device that is ready

    def info(self) -> dict[str, object]:
        return {
            "rate": 48_000,
            "channels": 1,
            "format_name": "S16_LE",
            "card_no": 2,
            "period_size": self.period_frames,
            "buffer_size": 4 * BLOCK_FRAMES,
        }

    def polldescriptors(self) -> list[tuple[int, int]]:
        os.write(self._ends[1], b".")
        return [(self._ends[0], 1)]

    def avail(self) -> int:
        if self.steps and self.running:
            step = self.steps.pop(0)
            self.broken = min(step, 0)
            self.waiting += max(step, 0)
        return self.broken or self.waiting

    def read(self) -> tuple[int, bytes]:
        if self.breaks_read and self.waiting:
            self.breaks_read, self.broken = False, -errno.EPIPE
        if self.broken:
            code, self.broken = self.broken, 0
            self.running = False
            self.waiting = 0
            return code, b""
        self.running = True
        frames = min(self.waiting, self.period_frames)
        self.waiting -= frames
        samples = np.arange(self.count, self.count + frames).astype(np.int16)
        self.count += frames
        return frames, samples.tobytes()

    def write(self, data: bytes) -> int:
        if self.broken:
            code, self.broken = self.broken, 0
            self.waiting = 4 * BLOCK_FRAMES
            return code
        self.running = True
        self.written += np.frombuffer(data, np.int16).tolist()
        return len(data) // 2

    def drop(self) -> None:
        self.closed.append("drop")
        raise ScriptedError("No such device")

    def close(self) -> None:
        self.closed.append("close")
        for end in self._ends:
            os.close(end)


@pytest.fixture
def pcm(monkeypatch: pytest.MonkeyPatch) -> ScriptedPcm:
    pcm = ScriptedPcm()
    library = SimpleNamespace(
        ALSAAudioError=ScriptedError,
        PCM_CAPTURE=1,
        PCM_PLAYBACK=0,
        PCM_NONBLOCK=1,
        PCM_FORMAT_S16_LE=2,
        PCM=lambda *_, **__: pcm,
    )
    monkeypatch.setattr(alsa_module, "library", lambda: library)
    return pcm


@pytest.fixture
def capture(pcm: ScriptedPcm) -> Iterator[CapturePcm]:
    capture = CapturePcm("hw:2")
    yield capture
    capture.close()


def samples_of(read: tuple[Samples, float] | None) -> list[int]:
    assert read is not None
    return [int(sample) for sample in read[0]]


def test_short_reads_make_whole_blocks(pcm: ScriptedPcm, capture: CapturePcm) -> None:
    pcm.steps = [100, 380, 480]
    assert samples_of(capture.read(WAIT_S)) == list(range(480))
    assert samples_of(capture.read(WAIT_S)) == list(range(480, 960))
    assert capture.card == 2


def test_other_periods_make_whole_blocks(pcm: ScriptedPcm) -> None:
    pcm.period_frames = 441
    capture = CapturePcm("hw:2")
    pcm.steps = [441] * 4
    assert [sample for _ in range(3) for sample in samples_of(capture.read(WAIT_S))] == list(range(1440))
    capture.close()


def test_nothing_comes_in_time(capture: CapturePcm) -> None:
    assert capture.read(0.02) is None


def test_what_was_captured_waits_and_is_older(pcm: ScriptedPcm, capture: CapturePcm) -> None:
    pcm.steps = [960]
    first, second = capture.read(WAIT_S), capture.read(WAIT_S)
    assert first is not None
    assert second is not None
    assert second[1] - first[1] == pytest.approx(0.01, abs=0.008)


def test_what_comes_in_a_burst_is_not_older_than_what_came_late(pcm: ScriptedPcm, capture: CapturePcm) -> None:
    pcm.steps = [480, 0, 1440]
    times = [read[1] for _ in range(4) if (read := capture.read(WAIT_S)) is not None]
    assert len(times) == 4
    assert times == sorted(times)
    assert times[-1] <= time.monotonic()


def test_a_device_that_says_ready_and_gives_nothing(pcm: ScriptedPcm, capture: CapturePcm) -> None:
    pcm.steps = [480]
    capture.read(WAIT_S)
    pcm.steps = [480]
    pcm.period_frames = 0
    assert capture.read(0.02) is None


def test_a_capture_xrun_starts_anew(pcm: ScriptedPcm, capture: CapturePcm) -> None:
    pcm.steps = [480, 100, -errno.EPIPE, 480]
    capture.read(WAIT_S)
    assert samples_of(capture.read(WAIT_S)) == list(range(480, 960))  # not the 100 from before
    assert capture.xruns == 1


def test_a_block_never_spans_an_xrun(pcm: ScriptedPcm) -> None:
    pcm.period_frames = 240
    capture = CapturePcm("hw:2")
    pcm.steps = [240, -errno.EPIPE, 240, 240]
    assert samples_of(capture.read(WAIT_S)) == list(range(240, 720))
    capture.close()


def test_an_xrun_between_a_look_and_a_read(pcm: ScriptedPcm, capture: CapturePcm) -> None:
    pcm.steps = [480, 0]
    capture.read(WAIT_S)
    pcm.steps = [480]
    pcm.breaks_read = True
    assert capture.read(0.02) is None
    pcm.steps = [480]
    assert len(samples_of(capture.read(WAIT_S))) == 480
    assert capture.xruns == 1


def test_a_device_that_is_gone(pcm: ScriptedPcm, capture: CapturePcm) -> None:
    pcm.steps = [480, -errno.ENODEV]
    capture.read(WAIT_S)
    with pytest.raises(HardwareError, match=r"^microphone hw:2: No such device; plug it in$"):
        capture.read(WAIT_S)
    capture.close()
    capture.close()
    assert pcm.closed == ["drop", "close"]  # a device that is gone cannot be dropped, and is closed all the same


def test_silence_goes_ahead_at_first_and_after_an_xrun(pcm: ScriptedPcm) -> None:
    playback = PlaybackPcm("hw:2")
    block = np.ones(480, np.int16)
    assert playback.queued() == 960
    assert playback.write(block)
    assert not playback.write(block)
    assert pcm.written == [0] * 960 + [1] * 960
    pcm.steps = [1000, -errno.EPIPE]
    assert playback.queued() == 920
    assert playback.queued() == 960
    assert playback.xruns == 1
    pcm.written.clear()
    assert playback.write(block)
    assert pcm.written == [0] * 960 + [1] * 480
    playback.close()


def test_what_an_xrun_swallows_is_written_again(pcm: ScriptedPcm) -> None:
    playback = PlaybackPcm("hw:2")
    playback.write(np.ones(480, np.int16))
    pcm.written.clear()
    pcm.broken = -errno.EPIPE
    assert playback.write(np.full(480, 7, np.int16))
    assert pcm.written == [0] * 960 + [7] * 480
    assert playback.xruns == 1
    playback.close()


def test_a_raw_device_that_cannot_do_it_names_the_one_that_can(pcm: ScriptedPcm) -> None:
    pcm.period_frames = 4096
    with pytest.raises(HardwareError, match=r'grants periods of 4096 frames; .*; "plughw:2" converts'):
        PlaybackPcm("hw:2")
    assert pcm.closed == ["drop", "close"]
