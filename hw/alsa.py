"""ALSA devices by name, and the only file that imports pyalsaaudio: PCM ends that never block, and mixer controls.

A PCM is mono signed 16 bit at 48 kHz, opened in periods of 10 ms, four to a buffer, and what is granted is checked. It
is used from one thread. Every failure is a `HardwareError`; an xrun is none: it is counted and healed.
"""

from __future__ import annotations

import errno
import importlib.util
import math
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal

import numpy as np

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, HardwareError, Samples
from hw.alsa_cards import control_device, pick_control
from hw.alsa_log import silence

Direction = Literal["capture", "playback"]

PERIODS = 4
LEAD_FRAMES = 2 * BLOCK_FRAMES  # what a late thread may be late by
MAX_PERIOD_FRAMES = 2 * BLOCK_FRAMES  # a device that wakes us less often than each 20 ms is no use in a conversation
_FRAME_BYTES = 2
_SHORTEST_WAIT_S = 0.001  # where a device says "ready" and gives nothing
_KIND = {"capture": "microphone", "playback": "speaker"}
_REMEDY = {
    errno.ENOENT: "plug it in, or choose one that `arecord -L` or `aplay -L` names",
    errno.ENODEV: "plug it in",
    errno.EBUSY: "another program holds it",
    errno.EACCES: "this user must be in the group audio",
    errno.EPERM: "this user must be in the group audio",
}


def library() -> ModuleType:
    """pyalsaaudio; HardwareError where it is not installed or older than 0.11, as Debian's own package is."""
    remedy = "apt-get install gcc libc6-dev python3-dev libasound2-dev, then pip install 'pyalsaaudio>=0.11' soxr"
    try:
        import alsaaudio
    except ImportError as exc:
        raise HardwareError(f"sound cards need pyalsaaudio: {remedy}") from exc
    if not hasattr(alsaaudio.PCM, "avail"):
        raise HardwareError(f"this pyalsaaudio is too old, 0.11 is needed: {remedy}")
    silence()
    module: ModuleType = alsaaudio
    return module


def is_installed() -> bool:
    return importlib.util.find_spec("alsaaudio") is not None


class Pcm:
    """One open end of a sound card. `xruns` counts; `card` is the card's number, None behind a sound server."""

    def __init__(self, direction: Direction, name: str) -> None:
        alsa = library()
        self.device_id = name
        self.xruns = 0
        self._kind = _KIND[direction]
        self._error_type: type[Exception] = alsa.ALSAAudioError
        with self._failing():
            self._pcm: Any = alsa.PCM(
                alsa.PCM_CAPTURE if direction == "capture" else alsa.PCM_PLAYBACK,
                alsa.PCM_NONBLOCK,
                device=name,
                rate=SAMPLE_RATE_HZ,
                channels=1,
                format=alsa.PCM_FORMAT_S16_LE,
                periodsize=BLOCK_FRAMES,
                periods=PERIODS,
            )
        granted = self._pcm.info()
        self.card: int | None = granted["card_no"] if granted["card_no"] >= 0 else None
        self.period_frames: int = granted["period_size"]
        self.buffer_frames: int = granted["buffer_size"]
        if problem := granted_problem(granted):
            self.close()
            converts = f'; "plug{name}" converts' if name.startswith("hw:") else ""
            raise HardwareError(f"{self._kind} {name}: {problem}{converts}")

    def close(self) -> None:
        """At once: what is queued is dropped, not drained. Again is harmless; a device that is gone closes too."""
        pcm, self._pcm = self._pcm, None
        if pcm is not None:
            for step in (pcm.drop, pcm.close):
                try:
                    step()
                except self._error_type:
                    continue

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except self._error_type as exc:
            raise self._failed(str(exc)) from exc

    def _failed(self, why: str) -> HardwareError:
        remedy = next((remedy for code, remedy in _REMEDY.items() if why.startswith(os.strerror(code))), "")
        return HardwareError(f"{self._kind} {self.device_id}: {why}" + (f"; {remedy}" if remedy else ""))

    def _checked(self, result: int) -> int:
        if result < 0 and result != -errno.EPIPE:
            raise self._failed(os.strerror(-result))
        return result


class CapturePcm(Pcm):
    """`waiting` frames were captured and not read when it was last looked at."""

    def __init__(self, name: str) -> None:
        super().__init__("capture", name)
        self.waiting = 0
        self._looked_s = self._captured_s = 0.0
        self._rest = b""
        self._started = False
        self._poll = select.poll()
        for descriptor, events in self._pcm.polldescriptors():
            self._poll.register(descriptor, events)

    def ready_by(self, deadline_s: float) -> bool:
        """Waits until a block can be read, or until then (monotonic); afterwards `waiting` is as it is now."""
        is_ready = False
        while len(self._rest) < BLOCK_FRAMES * _FRAME_BYTES:
            available = self._available()
            self.waiting = available + len(self._rest) // _FRAME_BYTES
            if available >= min(BLOCK_FRAMES, self.period_frames):
                return True
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            if is_ready:  # it said so, and gives less than a period
                time.sleep(min(_SHORTEST_WAIT_S, left_s))
            is_ready = bool(self._poll.poll(math.ceil(1000 * left_s)))
        return True

    def read(self, timeout_s: float) -> tuple[Samples, float] | None:
        """The next 480 frames and the monotonic time of the last of them, which never goes back; None when they do not
        come in time.

        After an xrun what was captured before it is gone.
        """
        deadline_s = time.monotonic() + timeout_s
        size = BLOCK_FRAMES * _FRAME_BYTES
        while len(self._rest) < size:
            if not self.ready_by(deadline_s):
                return None
            if not self._take():
                if time.monotonic() > deadline_s:
                    return None
                time.sleep(_SHORTEST_WAIT_S)
        block, self._rest = self._rest[:size], self._rest[size:]
        self.waiting -= BLOCK_FRAMES
        # What comes in bursts looks older than the block before it, which only came late.
        self._captured_s = max(self._captured_s, self._looked_s - self.waiting / SAMPLE_RATE_HZ)
        return np.frombuffer(block, np.int16), self._captured_s

    def _available(self) -> int:
        """Frames that can be read now. Starts the device, at first and after an xrun."""
        with self._failing():
            if not self._started:
                self._checked(self._pcm.read()[0])  # a first read of nothing is what starts it
                self._started = True
            self._looked_s = time.monotonic()
            available = self._checked(self._pcm.avail())
            if available < 0:
                self._checked(self._pcm.read()[0])  # gives the xrun's -EPIPE, and prepares
                self._lost_all()
        return max(0, available)

    def _take(self) -> int:
        with self._failing():
            result, data = self._pcm.read()
        frames = self._checked(result)
        if frames < 0:
            self._lost_all()
            return 0
        self._rest += data[: frames * _FRAME_BYTES]
        return frames

    def _lost_all(self) -> None:
        self.xruns += 1
        self._rest = b""
        self._started = False


class PlaybackPcm(Pcm):
    """Stands still when it is new and after an xrun; then silence goes ahead of the sound, as a reserve."""

    def __init__(self, name: str) -> None:
        super().__init__("playback", name)
        self.stands = True

    def queued(self) -> int:
        """Frames that are to be played before what is written now."""
        with self._failing():
            room = self._checked(self._pcm.avail())
            if room < 0:
                self._checked(self._pcm.write(bytes(_FRAME_BYTES)))  # gives the xrun's -EPIPE, and prepares
                self._stop()
        return LEAD_FRAMES if self.stands else max(0, self.buffer_frames - room)

    def write(self, samples: Samples) -> bool:
        """Queues what fits of `samples`. True when it had stood still."""
        stood = self.stands
        if not stood and self._write(samples.tobytes()) < 0:
            self._stop()
        if self.stands:
            self.stands = self._write(bytes(_FRAME_BYTES * LEAD_FRAMES) + samples.tobytes()) < 0
            return True
        return stood

    def _write(self, data: bytes) -> int:
        with self._failing():
            return self._checked(self._pcm.write(data))

    def _stop(self) -> None:
        self.xruns += 1
        self.stands = True


def granted_problem(granted: dict[str, Any]) -> str:
    """What in a PCM's `info()` will not do for a conversation; empty when all will."""
    if granted["rate"] != SAMPLE_RATE_HZ or granted["channels"] != 1 or granted["format_name"] != "S16_LE":
        form = f"{granted['rate']} Hz, {granted['channels']} channels, {granted['format_name']}"
        return f"grants {form}; 48000 Hz, 1 channel, S16_LE is needed"
    if not 0 < granted["period_size"] <= MAX_PERIOD_FRAMES:
        return f"grants periods of {granted['period_size']} frames; 480 is asked for, {MAX_PERIOD_FRAMES} is the most"
    if granted["buffer_size"] < PERIODS * BLOCK_FRAMES:
        return f"grants a buffer of {granted['buffer_size']} frames; {PERIODS * BLOCK_FRAMES} is the least"
    return ""


class MixerControl:
    """The control that sets volume and mute of a PCM's card, opened anew for each step: others turn it too."""

    def __init__(self, direction: Direction, device: str, name: str) -> None:
        self.name = name
        self._direction = direction
        self._device = device

    def set_volume(self, percent: int) -> None:
        """0..100 of the control's range. HardwareError where it has no volume or is gone."""
        alsa = library()
        side = alsa.PCM_CAPTURE if self._direction == "capture" else alsa.PCM_PLAYBACK
        self._do(lambda mixer: mixer.setvolume(percent, pcmtype=side))

    def set_muted(self, muted: bool) -> None:
        """The switch. HardwareError where there is none or it is gone."""
        if self._direction == "capture":
            self._do(lambda mixer: mixer.setrec(not muted))
        else:
            self._do(lambda mixer: mixer.setmute(muted))

    def _do(self, step: Any) -> None:
        alsa = library()
        try:
            mixer = alsa.Mixer(control=self.name, device=self._device)
            try:
                step(mixer)
            finally:
                mixer.close()
        except alsa.ALSAAudioError as exc:
            raise HardwareError(f"mixer control {self.name} of {self._device}: {exc}") from exc


def mixer_control(direction: Direction, pcm_name: str, what: Literal["Volume", "Mute"]) -> MixerControl | None:
    """The control of the card behind `pcm_name` that has such a capability; None when none has or can be asked."""
    alsa = library()
    device = control_device(pcm_name)
    capability = f"{direction.capitalize()} {what}"
    able = []
    try:
        for name in dict.fromkeys(alsa.mixers(device=device)):
            mixer = alsa.Mixer(control=name, device=device)
            try:
                capabilities = mixer.volumecap() if what == "Volume" else mixer.switchcap()
            finally:
                mixer.close()
            if capability in capabilities:
                able.append(name)
    except alsa.ALSAAudioError:
        return None
    name = pick_control(direction, able)
    return None if name is None else MixerControl(direction, device, name)
