"""Proof that sound and pictures crossed: tones found by their frequency, pictures by their frame code."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path

import av
import numpy as np

from hw.frame_code import draw_code, read_code
from tests.integration.browser import write_clip
from tests.integration.programs import POLL_S, STEP_TIMEOUT_S, Unit

RATE_HZ = 48_000
LOUD = 300  # of 32767; what is quieter counts as silence


def loudest_hz(wav: bytes, last_s: float = 1.0) -> float | None:
    """The strongest frequency of the last second of a WAV; None when it is silent."""
    with wave.open(io.BytesIO(wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")[-round(last_s * RATE_HZ) :]
    if samples.size < RATE_HZ * last_s / 2 or np.abs(samples.astype(np.int32)).max() < LOUD:
        return None
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * RATE_HZ / samples.size)


async def until_played(unit: Unit, frequency_hz: float, tolerance_hz: float = 25.0) -> None:
    """Until the speaker of `unit` played this tone above everything else."""
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    while True:
        heard_hz = loudest_hz(await unit.speaker())
        if heard_hz is not None and abs(heard_hz - frequency_hz) < tolerance_hz:
            return
        assert time.monotonic() < deadline_s, f"{frequency_hz} Hz never played; {heard_hz} Hz is"
        await asyncio.sleep(POLL_S)


def coded_clip(path: Path, first: int, count: int = 60) -> Path:
    """A camera file whose pictures count from `first`."""

    def luma(number: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        plane = np.full((360, 640), 110, np.uint8)
        plane[40:200, number * 10 % 560 : number * 10 % 560 + 80] = 190
        draw_code(plane, first + number)
        return plane

    return write_clip(path, (luma(number) for number in range(count)))


def jpeg_code(jpeg: bytes) -> int | None:
    """The frame code in a JPEG."""
    with av.open(io.BytesIO(jpeg), "r", format="jpeg_pipe") as container:
        frame = next(container.decode(container.streams.video[0]))
    return read_code(frame.reformat(format="gray").to_ndarray().astype(np.uint8))


async def two_codes(read: Callable[[], Awaitable[int | None]]) -> tuple[int, int]:
    """Two different frame codes, one after the other: the picture moves."""
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    first: int | None = None
    while True:
        code = await read()
        if code is not None and first is not None and code != first:
            return first, code
        first = first if code is None or first is not None else code
        assert time.monotonic() < deadline_s, f"no two frame codes were read, only {first}"
        await asyncio.sleep(POLL_S)
