from __future__ import annotations

import numpy as np
import pytest

from appliance.media.stretch import MAX_SHIFT_FRAMES, MIN_SHIFT_FRAMES, Sound, cross_fade, join, lengthen, shorten
from hw import Samples
from tests.appliance.media.sound import frequency_hz, largest_step, tone, voice


def as_sound(samples: Samples) -> Sound:
    return samples.astype(np.float32) / np.float32(32_768)


@pytest.mark.parametrize("change", [shorten, lengthen])
@pytest.mark.parametrize("pitch_hz", [110, 200, 440])
def test_whole_periods_go_and_come_unheard(change: object, pitch_hz: int) -> None:
    assert callable(change)
    sound = as_sound(tone(pitch_hz, 0.02))
    changed: Sound = change(sound, MAX_SHIFT_FRAMES)
    shift = abs(changed.size - sound.size)
    assert MIN_SHIFT_FRAMES <= shift <= MAX_SHIFT_FRAMES
    periods = shift * pitch_hz / 48_000
    assert periods == pytest.approx(round(periods), abs=0.05)
    assert changed[0] == sound[0]
    assert changed[-1] == sound[-1]
    assert largest_step(changed) <= 1.2 * largest_step(sound)


def test_a_voice_said_faster_keeps_its_pitch() -> None:
    sound = as_sound(voice(1.0))
    parts = [shorten(part, 480) for part in np.split(sound, 50)]
    changed = np.concatenate(parts)
    assert changed.size < 0.9 * sound.size
    assert frequency_hz(changed[:19_200]) == pytest.approx(frequency_hz(sound[:19_200]), rel=0.15)
    assert largest_step(changed) <= 1.5 * largest_step(sound)


def test_never_more_than_asked() -> None:
    sound = as_sound(tone(300, 0.02))
    assert sound.size - shorten(sound, 250).size <= 250
    assert lengthen(sound, 250).size - sound.size <= 250
    assert shorten(sound, MIN_SHIFT_FRAMES - 1) is sound
    assert lengthen(sound, 0) is sound


def test_noise_has_no_seam_but_silence_has() -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, 960).astype(np.float32)
    assert shorten(noise, 480) is noise
    silence = noise * np.float32(1e-4)
    assert shorten(silence, 480).size == 480


@pytest.mark.parametrize("size", [120, 240, 480, 2_880])
def test_packets_of_any_length(size: int) -> None:
    sound = as_sound(tone(300, 0.06))[:size]
    assert sound.size - 576 <= shorten(sound, 576).size <= sound.size <= lengthen(sound, 576).size


def test_join_removes_the_step_and_nothing_else() -> None:
    sound = as_sound(tone(440, 0.02))
    joined = join(-0.25, sound)
    assert joined[0] == pytest.approx(-0.25)
    assert np.array_equal(joined[120:], sound[120:])
    assert largest_step(joined) <= 2 * largest_step(sound)
    assert join(0.5, sound[:0]).size == 0


def test_cross_fade_begins_with_one_and_ends_with_the_other() -> None:
    faded = cross_fade(np.zeros(240, np.float32), np.ones(240, np.float32))
    assert (faded[0], faded[-1]) == (0.0, 1.0)
    assert largest_step(faded) < 0.005
