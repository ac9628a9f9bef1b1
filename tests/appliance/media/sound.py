"""Sounds of the audio tests: made, encoded, sent over a bad network, listened to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from appliance.media.opus_encoder import LONG_FRAMES, OpusEncoder
from appliance.media.remote_audio import RemoteAudio
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, Samples

PACKET_S = LONG_FRAMES / SAMPLE_RATE_HZ
BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ


def tone(frequency_hz: float, duration_s: float, amplitude: float = 0.3) -> Samples:
    t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (np.sin(2 * np.pi * frequency_hz * t) * amplitude * 32_767).astype(np.int16)


def voice(duration_s: float) -> Samples:
    """Eleven harmonics of a wandering pitch round 140 Hz, in syllables."""
    t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 0.7 * t)) / SAMPLE_RATE_HZ
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 12))
    return np.asarray(harmonics * (0.55 + 0.45 * np.sin(2 * np.pi * 2.3 * t)) * 6_000).astype(np.int16)


def encode(samples: Samples) -> list[bytes]:
    encoder = OpusEncoder()
    frames = samples.size // LONG_FRAMES
    return [encoder.encode(samples[i * LONG_FRAMES : (i + 1) * LONG_FRAMES]) for i in range(frames)]


def largest_step(sound: npt.NDArray[np.float32]) -> float:
    """The largest difference of two neighbouring samples: a click is far above the sound's own."""
    return float(np.abs(np.diff(sound)).max())


def frequency_hz(sound: npt.NDArray[np.float32]) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
    return float(np.argmax(spectrum)) * SAMPLE_RATE_HZ / sound.size


@dataclass
class Heard:
    """What came out of a stream, block by block, and the delay after each block."""

    audio: RemoteAudio
    sound: npt.NDArray[np.float32]
    delays_ms: list[float] = field(default_factory=list)


def arrivals(
    payloads: Sequence[bytes],
    *,
    jitter_s: float = 0.002,
    loss: float = 0.0,
    stall: tuple[float, float] | None = None,
    drift: float = 0.0,
    seed: int = 1,
) -> list[tuple[float, int, int, bytes]]:
    """(arrival, sequence number, timestamp, payload), sorted; sent from 0 s on. `stall`: (start, duration) in s."""
    rng = random.Random(seed)
    packets = []
    for index, payload in enumerate(payloads):
        arrival_s = index * PACKET_S * (1 + drift)
        if stall is not None and stall[0] <= arrival_s < sum(stall):
            arrival_s = sum(stall) + index * 1e-6
        arrival_s += rng.random() * jitter_s
        if rng.random() >= loss:
            timestamp = (index * LONG_FRAMES + 2**32 - 100_000) % 2**32
            packets.append((arrival_s, (index + 65_400) % 2**16, timestamp, payload))
    return sorted(packets)


def listen(packets: Sequence[tuple[float, int, int, bytes]], *, tail_s: float = 0.0, start_s: float = 500.0) -> Heard:
    """Plays the packets through a RemoteAudio with a clock of its own; 10 ms are pulled each 10 ms."""
    audio = RemoteAudio("bob")
    heard = Heard(audio, np.zeros(0, np.float32))
    blocks = []
    queue = list(packets)
    now_s, end_s = 0.003, packets[-1][0] + tail_s
    while now_s <= end_s:
        while queue and queue[0][0] <= now_s:
            arrival_s, sequence_number, timestamp, payload = queue.pop(0)
            audio.push(sequence_number, timestamp, payload, start_s + arrival_s)
        blocks.append(audio.render(start_s + now_s))
        heard.delays_ms.append(audio.stats().delay_ms)
        now_s += BLOCK_S
    heard.sound = np.concatenate(blocks)
    return heard
