"""Microphone and speaker: records a second, plays a chime, and listens whether it comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from appliance.chime import NOTES_HZ, chime
from appliance.devices import FIRST_DELIVERY_S
from appliance.doctor.delivery import Delivery
from appliance.doctor.finding import Fact, Finding
from appliance.doctor.person import Person
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, Microphone, Samples, Speaker
from hw.level import dbov

RECORD_S = 1.0
ECHO_S = 0.5  # until what was played is heard: buffers of the card and the way through the air
OFF_PACE = 0.15  # of real time
REMEDY = 'plug it in or mend it, or change [audio] driver and device; driver "none" does without'

_FAINT_DBOV = -85.0
_CLIPPED = 0.001  # of the samples
_HEARD_DB = 12.0  # over what was there before
_WINDOW = BLOCK_FRAMES * 10
_BESIDE, _CLEAR_DB = 1.06, 10.0  # a semitone away it is so much weaker
_SILENCE: Samples = np.zeros(BLOCK_FRAMES, np.int16)


class _Ear:
    """Collects what the microphone's thread delivers."""

    def __init__(self) -> None:
        self.delivery = Delivery()
        self._blocks: list[Samples] = []

    def hear(self, block: AudioBlock) -> None:
        self._blocks.append(block.samples)
        if len(self._blocks) == 1:
            self.delivery.come()

    def take(self) -> Samples:
        """Everything since the last call."""
        blocks, self._blocks[:] = list(self._blocks), []
        return np.concatenate([np.zeros(0, np.int16), *blocks])


class _Mouth:
    """Plays `samples`, then silence, from the speaker's thread."""

    def __init__(self, samples: Samples) -> None:
        self.delivery = Delivery()
        self._blocks = list(samples.reshape(-1, BLOCK_FRAMES))
        self._times_s: list[float] = []

    def next(self) -> Samples:
        self._times_s.append(time.monotonic())
        number = len(self._times_s) - 1
        if number == len(self._blocks):
            self.delivery.come()
        return self._blocks[number] if number < len(self._blocks) else _SILENCE

    @property
    def pace(self) -> float:
        """How fast it was asked for samples: 1 is real time."""
        took_s = self._times_s[-1] - self._times_s[0]
        return (len(self._times_s) - 1) * BLOCK_FRAMES / SAMPLE_RATE_HZ / took_s if took_s > 0 else 0.0


def check_sound(
    microphone: Microphone | None, speaker: Speaker | None, person: Person, timeout_s: float = FIRST_DELIVERY_S
) -> Iterator[Finding]:
    """One finding for each that is there. Blocks for some seconds. Raises what a broken driver raises."""
    ear = _Ear()
    before: Samples | None = None
    try:
        if microphone is not None:
            finding, before = _record(microphone, ear, timeout_s)
            yield finding
        if speaker is not None:
            yield _play(speaker, ear if before is not None else None, before, person, timeout_s)
    finally:
        if microphone is not None:
            microphone.close()


def _record(microphone: Microphone, ear: _Ear, timeout_s: float) -> tuple[Finding, Samples | None]:
    silence = f"{microphone.device_id} opens, and delivers nothing"
    error = ear.delivery.trouble(lambda: microphone.start(ear.hear, ear.delivery.lose), timeout_s, RECORD_S, silence)
    if error is not None:
        return Finding("microphone", "failed", str(error), REMEDY), None
    samples = ear.take()
    return judge_recording(microphone.device_id, samples), samples


def judge_recording(device_id: str, samples: Samples) -> Finding:
    """How loud a second was; digital silence is a switch or a mixer that is shut."""
    level = dbov(samples)
    clipped = float(np.mean(np.abs(samples.astype(np.int32)) >= 32_767))
    facts: dict[str, Fact] = {"device": device_id, "level_dbov": round(level, 1), "clipped": round(clipped, 4)}
    words = f"{device_id} hears {level:.0f} dBov"
    if not samples.any():
        remedy = "it is muted: its own switch, or alsamixer (F4, the capture channel, Space)"
        return Finding("microphone", "warning", f"{device_id} delivers nothing but zeros", remedy, facts)
    if level < _FAINT_DBOV:
        remedy = "turn it up: [audio] microphone_volume = 80, or alsamixer (F4)"
        return Finding("microphone", "warning", f"{words}: almost nothing", remedy, facts)
    if clipped > _CLIPPED:
        remedy = "turn it down: a lower [audio] microphone_volume, no microphone boost"
        return Finding("microphone", "warning", f"{words}, overdriven", remedy, facts)
    return Finding("microphone", "ok", words, facts=facts)


def _play(speaker: Speaker, ear: _Ear | None, before: Samples | None, person: Person, timeout_s: float) -> Finding:
    samples = chime_samples()
    mouth = _Mouth(samples)
    try:
        error = mouth.delivery.trouble(
            lambda: speaker.start(mouth.next, mouth.delivery.lose),
            timeout_s + 2 * samples.size / SAMPLE_RATE_HZ,
            ECHO_S,
            f"{speaker.device_id} opens, and does not play a chime",
        )
    finally:
        speaker.close()
    if error is not None:
        return Finding("speaker", "failed", str(error), REMEDY)
    is_heard = heard(before, ear.take()) if ear is not None and before is not None else None
    return judge_chime(speaker.device_id, mouth.pace, is_heard, person.ask("A chime was played. Did you hear it?"))


def judge_chime(device_id: str, pace: float, heard_back: bool | None, person_heard: bool | None) -> Finding:
    """`heard_back` by the microphone is a hint: a headset or a far microphone does not hear what was well played."""
    facts: dict[str, Fact] = {
        "device": device_id,
        "pace": round(pace, 2),
        "heard_back": heard_back,
        "person_heard": person_heard,
    }
    words = f"{device_id} played a chime"
    if heard_back is not None:
        words += "; the microphone heard it" if heard_back else "; the microphone did not hear it, as with headphones"
    if person_heard is False:
        remedy = "turn it up: [audio] speaker_volume = 80, or alsamixer; is it the right output, [audio] speaker?"
        return Finding("speaker", "failed", f"{device_id} played a chime that nobody heard", remedy, facts)
    if abs(pace - 1) > OFF_PACE:
        remedy = "choose the card by its name (aplay -L) instead of a plug-in that resamples"
        return Finding("speaker", "warning", f"{words}; at {pace:.2f} times the right pace", remedy, facts)
    return Finding("speaker", "ok", words, facts=facts)


def chime_samples() -> Samples:
    """The chime, in whole blocks."""
    samples = (chime() * 32_767).astype(np.int16)
    return np.append(samples, np.zeros(-samples.size % BLOCK_FRAMES, np.int16))


def heard(before: Samples, after: Samples) -> bool:
    """Whether each note of the chime stands out of `after` as it does not out of `before`."""
    return all(
        _strongest(after, note_hz) > _strongest(before, note_hz) * 10 ** (_HEARD_DB / 10) + 1.0 for note_hz in NOTES_HZ
    )


def _strongest(samples: Samples, note_hz: float) -> float:
    """The power at `note_hz` in the 0.1 s where it is strongest, of those where it stands out: a click has all."""
    count = samples.size // _WINDOW
    windows = samples[: count * _WINDOW].reshape(count, _WINDOW) * np.hanning(_WINDOW)

    def power(tone_hz: float) -> npt.NDArray[np.float64]:
        wave = np.exp(-2j * np.pi * tone_hz * np.arange(_WINDOW) / SAMPLE_RATE_HZ)
        strength: npt.NDArray[np.float64] = np.abs(windows @ wave) ** 2 / _WINDOW
        return strength

    note, beside = power(note_hz), np.maximum(power(note_hz / _BESIDE), power(note_hz * _BESIDE))
    return float(np.max(note, where=note > beside * 10 ** (_CLEAR_DB / 10), initial=0.0))
