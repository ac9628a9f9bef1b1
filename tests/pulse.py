"""Sound cards without hardware: Debian's PulseAudio in user space, with null sinks that ALSA names as devices.

    with pulseaudio(directory) as sound:
        sound.environment                        # for programs that are to see the cards
        with sound.humming(1000):                # a tone into the microphone
            ...
        with sound.recorder() as record:         # what the speaker plays
            samples = record(0.5)
        sound.speaker.unplug(); sound.speaker.plug()

In ALSA "card" has both ends; "ear" is its microphone and "mouth" its speaker, each with a mixer. They are two servers:
one that loses a sink moves what played there to another sink, where a card that is unplugged says so. The speaker's
clock can be made to run `speaker_ppm` faster than this machine's, as that of another card does.
A machine without PulseAudio or pyalsaaudio skips the test and names what is missing; under CI=true it fails.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from hw import SAMPLE_RATE_HZ, Samples

START_TIMEOUT_S = 15.0
_FAKETIME = "usr/lib/*/faketime/libfaketime.so.1"
_PLUGINS = ("usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so", "usr/lib*/alsa-lib/libasound_module_pcm_pulse.so")
_CONFIG = """
</usr/share/alsa/alsa.conf>
pcm.ear {{ type pulse server "{ear}" device "end.monitor" }}
pcm.mouth {{ type pulse server "{mouth}" device "end" }}
pcm.card {{ type asym playback.pcm "mouth" capture.pcm "ear" }}
ctl.ear {{ type pulse server "{ear}" source "end.monitor" sink "end" }}
ctl.mouth {{ type pulse server "{mouth}" sink "end" source "end.monitor" }}
"""
_OPTIONS = ("--daemonize=no", "--exit-idle-time=-1", "--realtime=no", "--use-pid-file=no", "--disable-shm=yes")
_SINK = ("module-null-sink", "sink_name=end", "rate=48000", "channels=1", "norewinds=1")


def require_sound(*, drift: bool = False) -> None:
    """Skips or, under CI=true, fails, where PulseAudio, ALSA's plug-in for it, pyalsaaudio or soxr is missing.

    And libfaketime, for a clock that drifts.
    """
    missing = [
        package
        for package, program in (("pulseaudio", "pulseaudio"), ("pulseaudio-utils", "pactl"))
        if shutil.which(program) is None
    ]
    if not any(any(Path("/").glob(pattern)) for pattern in _PLUGINS):
        missing.append("libasound2-plugins")
    if drift and not any(Path("/").glob(_FAKETIME)):
        missing.append("libfaketime")
    missing += [
        package
        for package, module in (("pyalsaaudio", "alsaaudio"), ("soxr", "soxr"))
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        reason = f"no sound cards to test with; missing: {', '.join(missing)} (make peers names the packages)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class End:
    """One PulseAudio server with one null sink; `start` and `stop` are its fixture's."""

    def __init__(self, directory: Path, environment: Mapping[str, str], ppm: float = 0.0) -> None:
        directory.mkdir()
        self.address = f"unix:{directory}/native"
        self._socket = directory / "native"
        self._log = directory / "log"
        self._environment = {**environment, "PULSE_RUNTIME_PATH": str(directory)}
        self._clock = {}
        if ppm:
            library = next(Path("/").glob(_FAKETIME))
            self._clock = {"LD_PRELOAD": str(library), "FAKETIME": f"+0 x{1 + ppm * 1e-6:.6f}"}
        self._process: subprocess.Popen[bytes] | None = None
        self._sink = ""

    def start(self) -> None:
        native = f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ("pulseaudio", "-n", *_OPTIONS, "-L", native),
                env=self._environment | self._clock,
                stdout=log,
                stderr=log,
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._socket.exists():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline_s, self._log.read_text()
            time.sleep(0.02)
        self.plug()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def plug(self) -> None:
        self._sink = self.pactl("load-module", *_SINK)

    def unplug(self) -> None:
        self.pactl("unload-module", self._sink)

    def pactl(self, *arguments: str) -> str:
        command = ("pactl", "-s", self.address, *arguments)
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=True, timeout=START_TIMEOUT_S
        ).stdout.strip()

    @contextmanager
    def stream(self, program: str, device: str) -> Iterator[subprocess.Popen[bytes]]:
        command = (program, "-s", self.address, "-d", device, "--raw", "--format=s16le", "--channels=1")
        process = subprocess.Popen(
            (*command, f"--rate={SAMPLE_RATE_HZ}", "--latency-msec=20", "--process-time-msec=10"),
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


class SoundCards:
    def __init__(self, directory: Path, speaker_ppm: float = 0.0) -> None:
        config = directory / "asound.conf"
        self.environment = {"ALSA_CONFIG_PATH": str(config), "XDG_RUNTIME_DIR": str(directory)}
        self.microphone = End(directory / "ear", os.environ | self.environment)
        self.speaker = End(directory / "mouth", os.environ | self.environment, speaker_ppm)
        config.write_text(_CONFIG.format(ear=self.microphone.address, mouth=self.speaker.address))

    @contextmanager
    def humming(self, frequency_hz: float, amplitude: int = 8000) -> Iterator[None]:
        """A tone into the microphone, as long as the context lasts."""
        turns = 2 * np.pi * frequency_hz * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        second = (amplitude * np.sin(turns)).astype("<i2").tobytes()
        with self.microphone.stream("pacat", "end") as process:
            assert process.stdin is not None
            thread = threading.Thread(target=_repeat, args=(process.stdin, second), name="humming", daemon=True)
            thread.start()
            try:
                yield
            finally:
                process.kill()
                thread.join()

    @contextmanager
    def voice(self) -> Iterator[Callable[[Samples], None]]:
        """A function that plays samples into the microphone, at once."""
        with self.microphone.stream("pacat", "end") as process:
            stdin = process.stdin
            assert stdin is not None

            def say(samples: Samples) -> None:
                stdin.write(samples.astype("<i2").tobytes())
                stdin.flush()

            yield say

    @contextmanager
    def recorder(self) -> Iterator[Callable[[float], Samples]]:
        """A function that gives the next so many seconds of what the speaker plays."""
        with self.speaker.stream("parec", "end.monitor") as process:
            stdout = process.stdout
            assert stdout is not None

            def record(seconds: float) -> Samples:
                data = stdout.read(2 * round(seconds * SAMPLE_RATE_HZ))
                return np.frombuffer(data, "<i2").astype(np.int16)

            yield record


def _repeat(pipe: IO[bytes], data: bytes) -> None:
    try:
        while True:
            pipe.write(data)
    except (BrokenPipeError, ValueError):  # the player was killed
        return


@contextmanager
def pulseaudio(directory: Path, *, speaker_ppm: float = 0.0) -> Iterator[SoundCards]:
    """A microphone and a speaker, plugged in; sockets and files are in `directory`, whose path must be short."""
    require_sound(drift=bool(speaker_ppm))
    cards = SoundCards(directory, speaker_ppm)
    try:
        cards.microphone.start()
        cards.speaker.start()
        yield cards
    finally:
        cards.microphone.stop()
        cards.speaker.stop()


def loudest_hz(samples: Samples) -> float | None:
    """The strongest frequency; None in silence."""
    if samples.size == 0 or int(np.abs(samples.astype(np.int32)).max()) < 300:
        return None
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / samples.size)


def purity_db(samples: Samples, frequency_hz: float) -> float:
    """Power of a tone over everything else: gaps and clicks show."""
    power = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    at = round(frequency_hz * samples.size / SAMPLE_RATE_HZ)
    tone = power[at - 4 : at + 5].sum()
    return float(10 * np.log10(tone / (power.sum() - tone)))
