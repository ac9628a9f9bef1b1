"""One sound's whole way on a virtual clock: microphone, encoder, a bad network, buffer, decoder, mixer, speaker.

Minutes of stream in seconds, the same in each run. Sender and speaker have clocks of their own; times are of a third,
true one. A talker who says 40 ms twice a second is timed from the sample that enters the microphone to the sample that
leaves the speaker.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from appliance.media.audio_out import AudioOut
from appliance.media.frames import CodedFrame
from appliance.media.mixer import Mixer
from appliance.media.opus_encoder import SHORT_FRAMES
from appliance.media.playout import PullClock
from appliance.media.remote_audio import AudioInStats, RemoteAudio
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, Samples

BURST_S = 0.040
PERIOD_S = 0.5
BURST_HZ = 1000
AMPLITUDE = 9_000
HEARD = 0.3  # of the burst's amplitude: its beginning is where the sound first reaches that
START_S = 1_000.0  # of the receiver's clock; the sender's is another one
SENDER_START_S = 77.7
ENCODING_S = 0.0005
LISTEN_S = 0.42  # from a burst on; the next one follows at 0.5 s

Signal = Callable[[int], Samples]  # the block of a number


@dataclass(frozen=True, slots=True)
class Network:
    """Times in seconds, shares 0..1. `jitter_s` is evenly spread; a stall holds everything up for `stall_s`."""

    loss: float = 0.0
    burst_loss: float = 0.0  # share of losses that take the packet after them as well
    delay_s: float = 0.025
    jitter_s: float = 0.002
    reordered: float = 0.0  # share that comes 30 ms later than its turn
    doubled: float = 0.0
    stall_s: float = 0.0
    stall_period_s: float = 5.0
    until_s: float = math.inf  # all of it, but for the delay; then the network is clean


@dataclass
class Scene:
    """`sender_ppm` and `speaker_ppm`: how much too slow their crystals are."""

    duration_s: float = 60.0
    network: Network = field(default_factory=Network)
    sender_ppm: float = 0.0
    speaker_ppm: float = 0.0
    pull_s: float = 0.0037  # of the first block
    pull_jitter_s: float = 0.001
    noise: float = 0.0  # of the room, amplitude of int16
    seed: int = 1
    signal: Signal | None = None  # in place of the talker
    packet_frames: int = SHORT_FRAMES


@dataclass
class Heard:
    """`mouth_to_ear_s` of each burst that was heard, by the time of its beginning; `missed`, those that weren't."""

    mouth_to_ear_s: dict[float, float]
    missed: list[float]
    stats: AudioInStats
    sent: int
    sent_bytes: int
    delays_ms: list[float]  # of the stream, after each block
    sound: Samples

    def percentile_ms(self, share: float, since_s: float = 0.0, until_s: float = math.inf) -> float:
        chosen = sorted(age for at_s, age in self.mouth_to_ear_s.items() if since_s <= at_s < until_s)
        return 1000 * chosen[min(len(chosen) - 1, int(share * len(chosen)))]


def burst_starts(duration_s: float) -> Iterator[int]:
    """First samples of the bursts, in the microphone's count; not all at the same place of a packet."""
    for number in itertools.count(2):
        first = round(number * PERIOD_S * SAMPLE_RATE_HZ) + number * 137 % 960
        if first >= (duration_s - 1.0) * SAMPLE_RATE_HZ:
            return
        yield first


def _burst() -> Samples:
    times = np.arange(round(BURST_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    edges = np.minimum(1.0, np.minimum(times, BURST_S - times) / 0.001)
    return (AMPLITUDE * edges * np.sin(2 * np.pi * BURST_HZ * times)).astype(np.int16)


@cache
def talker(duration_s: float, noise: float) -> Signal:
    """Of a talker in a room with some noise."""
    rng = np.random.default_rng(1)
    samples = (rng.standard_normal(round((duration_s + 1) * SAMPLE_RATE_HZ)) * noise).astype(np.int16)
    burst = _burst()
    for first in burst_starts(duration_s):
        samples[first : first + burst.size] += burst
    return lambda number: samples[number * BLOCK_FRAMES : (number + 1) * BLOCK_FRAMES]


@cache
def _encoded(signal: Signal, duration_s: float, loss: float, packet_frames: int) -> list[tuple[CodedFrame, ...]]:
    """What comes out of the encoder with each block."""
    outgoing: list[CodedFrame] = []
    out = AudioOut(lambda epoch, frame: outgoing.append(frame))
    out.wanted = True
    out.frame_frames = packet_frames
    out.loss = loss
    frames = []
    for number in range(round(duration_s * SAMPLE_RATE_HZ) // BLOCK_FRAMES):
        out.on_block(AudioBlock(signal(number), SENDER_START_S + (number + 1) * BLOCK_FRAMES / SAMPLE_RATE_HZ))
        frames.append(tuple(outgoing))
        outgoing.clear()
    return frames


class _Wire:
    """Packets on their way, by the true time of their arrival."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._rng = random.Random(seed)
        self._ways: list[tuple[float, int, int, int, bytes]] = []
        self._takes_next = False
        self._count = 0

    def send(self, now_s: float, sequence_number: int, frame: CodedFrame) -> None:
        network, rng = self._network, self._rng
        rough = now_s < network.until_s
        if rough and (self._takes_next or rng.random() < network.loss):
            self._takes_next = not self._takes_next and rng.random() < network.burst_loss
            return
        self._takes_next = False
        arrival_s = now_s + network.delay_s
        if rough:
            arrival_s += rng.random() * network.jitter_s + (0.030 if rng.random() < network.reordered else 0.0)
            if network.stall_s and (into_s := now_s % network.stall_period_s) < network.stall_s:
                arrival_s += network.stall_s - into_s
        copies = 2 if rough and rng.random() < network.doubled else 1
        for copy in range(copies):
            self._count += 1
            way = (arrival_s + 0.007 * copy, self._count, sequence_number, frame.timestamp, frame.data)
            heapq.heappush(self._ways, way)

    def arrived(self, now_s: float) -> Iterator[tuple[float, int, int, bytes]]:
        while self._ways and self._ways[0][0] <= now_s:
            arrival_s, _, sequence_number, timestamp, payload = heapq.heappop(self._ways)
            yield arrival_s, sequence_number, timestamp, payload


def run(scene: Scene) -> Heard:
    """Plays the scene through."""
    rng = random.Random(scene.seed + 1)
    wire = _Wire(scene.network, scene.seed)
    signal = scene.signal or talker(scene.duration_s, scene.noise)
    coming = _encoded(signal, scene.duration_s, scene.network.loss, scene.packet_frames)
    audio, mixer, clock = RemoteAudio("talker"), Mixer(), PullClock()
    microphone_s = BLOCK_FRAMES / SAMPLE_RATE_HZ * (1 + scene.sender_ppm * 1e-6)
    speaker_s = BLOCK_FRAMES / SAMPLE_RATE_HZ * (1 + scene.speaker_ppm * 1e-6)
    blocks: list[Samples] = []
    delays_ms: list[float] = []
    captured = played = sent = sent_bytes = 0
    while (captured + 1) * microphone_s < scene.duration_s:
        pull_s = scene.pull_s + played * speaker_s + rng.random() * scene.pull_jitter_s
        while (captured + 1) * microphone_s <= pull_s:
            for frame in coming[captured] if captured < len(coming) else ():
                wire.send((captured + 1) * microphone_s + ENCODING_S, sent % 65_536, frame)
                sent += 1
                sent_bytes += len(frame.data)
            captured += 1
        for arrival_s, sequence_number, timestamp, payload in wire.arrived(pull_s):
            audio.push(sequence_number, timestamp, payload, START_S + arrival_s)
        blocks.append(mixer.mix([audio.render(clock.tick(START_S + pull_s))]))
        delays_ms.append(audio.stats().delay_ms)
        played += 1
    sound = np.concatenate(blocks)
    ages, missed = _ages(scene, sound, microphone_s, speaker_s)
    return Heard(ages, missed, audio.stats(), sent, sent_bytes, delays_ms, sound)


def _ages(
    scene: Scene, sound: Samples, microphone_s: float, speaker_s: float
) -> tuple[dict[float, float], list[float]]:
    ages: dict[float, float] = {}
    missed: list[float] = []
    if scene.signal is not None:
        return ages, missed
    loud = np.abs(sound.astype(np.int32)) > HEARD * AMPLITUDE
    for first in burst_starts(scene.duration_s):
        said_s = first / BLOCK_FRAMES * microphone_s
        since = math.ceil((said_s - scene.pull_s) / speaker_s * BLOCK_FRAMES)
        found = np.flatnonzero(loud[since : since + round(LISTEN_S * SAMPLE_RATE_HZ)])
        if found.size:
            ages[said_s] = scene.pull_s + (since + int(found[0])) / BLOCK_FRAMES * speaker_s - said_s
        else:
            missed.append(said_s)
    return ages, missed


def drift_growth_ms(duration_s: float = 600.0, ppm: float = 100.0) -> tuple[float, float]:
    """p95 from mouth to ear of the first and of the last minute, the worse of a slow and of a fast sender."""
    pairs = []
    for sender_ppm in (ppm, -ppm):
        heard = run(Scene(duration_s, sender_ppm=sender_ppm))
        pairs.append((heard.percentile_ms(0.95, 0, 60), heard.percentile_ms(0.95, duration_s - 60)))
    return max(pairs, key=lambda pair: pair[1] - pair[0])
