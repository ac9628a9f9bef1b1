"""Echo, both talking and noise: the unit's near end in simulated rooms, those that the repository carries and random
ones, against the targets; and controls, which have to miss them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import AsyncIterator
from itertools import product

import numpy as np

from appliance.media.echo import NearEnd, NearEndSettings
from appliance.media.far_end import FarEnd
from appliance.media.trace import Trace
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, Samples
from hw.mock import MockSpeaker
from tests.appliance.media.acoustics import Room, Wave, speech
from tests.appliance.media.echo_scene import Heard, estoi, scene
from tests.bench.table import Row, row

ERLE_DB, DRIFT_ERLE_DB, XRUN_ERLE_DB = 30.0, 25.0, 20.0
LOST_DB, ESTOI, ALONE_LOST_DB, NOISE_DB = 6.0, 0.42, 2.0, 8.0
CPU_SHARE = 0.03
RANDOM_ROOMS = 12
CPU_S = 20

FAR, NEAR = ("far1", "far2"), ("near1", "near2")
WHOLE = NearEndSettings(echo_cancellation=True, noise_suppression=1, gain_control=True)


async def rows() -> AsyncIterator[Row]:
    yield _cost()
    for part in (_echo, _talk, _controls):
        for each in part():
            yield each


def _echo() -> list[Row]:
    carried = min(
        scene(talk(name), None, Room(delay_ms=delay_ms)).erle_db(2, 8)
        for name, delay_ms in product(FAR, (40, 80, 120, 160, 200))
    )
    seed = random.randrange(10**6)
    drift = min(
        scene(talk(name, 12), None, Room(delay_ms=90, drift_ppm=ppm)).erle_db(2, 12)
        for name, ppm in product(FAR, (50, -50))
    )
    xrun = min(_after_xrun(name, lost_ms) for name, lost_ms in product(FAR, (60.0, -60.0, 20.0)))
    return [
        at_least("echo taken away (ERLE), worst of 10 rooms", "dB", carried, ERLE_DB),
        at_least(f"ERLE, worst of {RANDOM_ROOMS} random rooms (seed {seed})", "dB", _random_rooms(seed), ERLE_DB),
        at_least("ERLE, clocks 50 ppm apart", "dB", drift, DRIFT_ERLE_DB),
        at_least("ERLE, 0.5 to 1.5 s after an xrun", "dB", xrun, XRUN_ERLE_DB),
    ]


def _random_rooms(seed: int) -> float:
    draw = random.Random(seed)
    return min(
        scene(
            talk(draw.choice(FAR)),
            None,
            Room(delay_ms=draw.uniform(40, 200), seed=seed + number, echo_db=draw.uniform(-6, 4)),
        ).erle_db(2.5, 8)
        for number in range(RANDOM_ROOMS)
    )


def _after_xrun(name: str, lost_ms: float, *, told: bool = True) -> float:
    room = Room(delay_ms=130, xruns={400: lost_ms})
    return scene(talk(name, 6), None, room, xruns_told=told).erle_db(4.5, 5.5)


def _talk() -> list[Row]:
    both = [scene(talk(far), talk(near, 9, from_s=4), Room(delay_ms=80)) for far, near in product(FAR, NEAR)]
    alone = [scene(talk("far1") * 0, talk(near), Room(delay_ms=80)) for near in NEAR]
    noise_dbov = -42.0
    noisy = scene(talk("far1", 4) * 0, None, Room(delay_ms=80, noise_dbov=noise_dbov))
    left_dbov = float(10 * np.log10((noisy.out[2 * SAMPLE_RATE_HZ :] ** 2).mean()))
    return [
        at_most("near talk lost while both talk as loud", "dB", max(-_gain(one, 4) for one in both), LOST_DB),
        at_least("ESTOI of it", "", min(estoi(*one.near_and_out(4, 7.9)) for one in both), ESTOI),
        at_most("near talk lost when alone", "dB", max(-_gain(one, 1) for one in alone), ALONE_LOST_DB),
        at_least("steady noise taken away", "dB", noise_dbov - left_dbov, NOISE_DB),
    ]


def _gain(heard: Heard, from_s: float) -> float:
    return heard.near_gain_db(from_s, 7.9)


def _controls() -> list[Row]:
    def late(played: list[Samples], turn: int) -> Samples:
        return played[max(0, turn - 2)]

    other = (talk("far2") * 32_768).astype(np.int16).reshape(-1, BLOCK_FRAMES)
    room, far = Room(delay_ms=40), talk("far1")
    bypass = scene(far, None, room, settings=NearEndSettings(noise_suppression=1))
    behind = scene(far, None, Room(delay_ms=5), reference=late)
    wrong = scene(far, None, Room(delay_ms=40), reference=lambda _played, turn: other[turn])
    untold = min(_after_xrun(name, 60.0, told=False) for name in FAR)
    return [
        at_most("control: no canceller, ERLE", "dB", max(0.0, bypass.erle_db(2, 8)), ERLE_DB),
        at_most("control: a reference 15 ms late, ERLE", "dB", max(0.0, behind.erle_db(2, 8)), ERLE_DB),
        at_most("control: another reference, ERLE", "dB", max(0.0, wrong.erle_db(2, 8)), ERLE_DB),
        at_most("control: no reset after an xrun, ERLE", "dB", max(0.0, untold), XRUN_ERLE_DB),
    ]


def _cost() -> Row:
    """CPU of the whole chain, both ends talking, as a share of a core: the median of its seconds."""
    far, near = _blocks(talk("far1")), _blocks(talk("near1"))
    far_end = FarEnd()
    far_end.restart(MockSpeaker())
    near_end = NearEnd(WHOLE, far_end, Trace())
    shares = []
    for second in range(CPU_S):
        started_s = time.process_time()
        for number in range(100 * second, 100 * second + 100):
            near_end.process(AudioBlock(near[number % len(near)], number * 0.01))
            far_end.play(far[number % len(far)])
        shares.append(time.process_time() - started_s)
    return at_most("CPU of echo, noise and gain", "cores", statistics.median(shares), CPU_SHARE)


def _blocks(wave: Wave) -> Samples:
    return (wave * 32_768).astype(np.int16).reshape(-1, BLOCK_FRAMES)


def talk(name: str, seconds: float = 8.0, *, from_s: float = 0.0) -> Wave:
    """Silence before `from_s`."""
    wave = np.resize(speech(name), round(seconds * SAMPLE_RATE_HZ)).copy()
    wave[: round(from_s * SAMPLE_RATE_HZ)] = 0.0
    return wave


def at_most(measure: str, unit: str, ours: float, limit: float) -> Row:
    return row(measure, unit, ours, limit, 1.0, peer="the limit")


def at_least(measure: str, unit: str, ours: float, target: float) -> Row:
    """Its ratio is the target by ours: as of everything here, less is better."""
    ratio = round(target / max(ours, 1e-9), 3)
    return Row(measure, unit, round(ours, 3), "the target", target, ratio, 1.0, ratio <= 1.0)
