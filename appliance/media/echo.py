"""The near end: what is done to the microphone's sound before the mute gate, in the microphone's own thread.

    heard -> echo canceller (reference: FarEnd) -> noise suppressor -> gain controller -> [voice switch] -> gate

full duplex    the canceller takes the speaker's sound out, and the speaker is ducked while both ends talk
half duplex    one end at a time (`voice_switch`); also where a canceller is wanted and does not work
push to talk   the speaker is silent while the gate is open

Without a speaker there is no echo and nothing to take turns with. All of it goes on while the gate is shut: what the
canceller knows of the room is there when it opens.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from appliance.media import webrtc_audio
from appliance.media.double_talk import DoubleTalk
from appliance.media.erle import ErleMeter
from appliance.media.far_end import FarEnd
from appliance.media.mixer import ramped
from appliance.media.trace import Trace
from appliance.media.voice_switch import VoiceSwitch
from appliance.media.webrtc_audio import WebrtcAudioError
from hw import BLOCK_FRAMES, AudioBlock, Measured, Microphone, Samples
from hw.level import FULL_SCALE, dbov, dbov_of, mean_square

if TYPE_CHECKING:
    from pywebrtc_audio import EchoCanceller, GainController, NoiseSuppressor, VoiceDetector

logger = logging.getLogger(__name__)

Duplex = Literal["full", "half", "push-to-talk"]
EchoState = Literal["cancelled", "off", "no-speaker", "failed"]

GAP_S = 0.1  # a capture time further ahead than this: sound is missing
MAX_COMFORT_DBOV = -50.0
_BLOCK_S = 0.01


@dataclass(frozen=True, slots=True)
class NearEndSettings:
    """`noise_suppression` 0..3, 0: off. As it is, nothing is done to the sound."""

    duplex: Duplex = "full"
    echo_cancellation: bool = False
    noise_suppression: int = 0
    gain_control: bool = False


@dataclass(frozen=True, slots=True)
class NearEndStats:
    """`duplex` as it is: "half" instead of "full" while the wanted canceller has failed, and `error` says why.

    `erle_db`: how much the canceller takes away while only the far end talks, None before it has. `resets`: how often
    it began anew, after an xrun or with another device. `gain_db`: of the gain controller.
    """

    duplex: Duplex
    echo: EchoState
    error: str
    erle_db: float | None
    resets: int
    double_talk: bool
    gain_db: float | None


class NearEnd:
    """`change`, `restart`, `stats` and `is_open` belong to the event loop, `process` to the microphone's thread."""

    def __init__(self, settings: NearEndSettings, far_end: FarEnd, trace: Trace) -> None:
        self.is_open = True  # the mute gate
        self._wanted = settings
        self._lock = threading.Lock()  # a microphone that is slow to close may deliver once more beside the next one
        self._far_end = far_end
        self._trace = trace
        self._microphone: Measured | None = None
        self._xruns = 0
        self._jumps = self._far_end.jumps
        self._is_other = True  # another microphone
        self._captured_s: float | None = None
        self._settings = NearEndSettings()
        self._canceller: EchoCanceller | None = None
        self._suppressor: NoiseSuppressor | None = None
        self._detector: VoiceDetector | None = None
        self._controller: GainController | None = None
        self._error = ""
        self._resets = 0
        self._talk = DoubleTalk()
        self._erle = ErleMeter()
        self._switch: VoiceSwitch | None = None
        self._gain = 1.0  # of the switch
        self._comfort = np.random.default_rng()

    # --- the loop's side

    def change(self, settings: NearEndSettings) -> None:
        """From the next block on."""
        self._wanted = settings

    def restart(self, microphone: Microphone | None) -> None:
        """Another one from now on."""
        self._microphone = microphone if isinstance(microphone, Measured) else None
        self._is_other = True

    def stats(self) -> NearEndStats:
        settings, controller = self._wanted, self._controller
        is_heard = self._far_end.is_heard
        if not settings.echo_cancellation:
            echo: EchoState = "off"
        elif self._error:
            echo = "failed"
        else:
            echo = "cancelled" if is_heard else "no-speaker"
        return NearEndStats(
            duplex="half" if settings.duplex == "full" and echo == "failed" else settings.duplex,
            echo=echo,
            error=self._error,
            erle_db=self._erle.erle_db if echo == "cancelled" else None,
            resets=self._resets,
            double_talk=self._talk.is_double,
            gain_db=round(controller.gain_db, 1) if controller is not None else None,
        )

    # --- the microphone's side

    def process(self, block: AudioBlock) -> AudioBlock:
        """The block that the far end is to hear; its time is earlier by the delay of what was done."""
        self._trace.since("audio-capture", block.captured_s)
        with self._lock:
            return self._processed(block)

    def _processed(self, block: AudioBlock) -> AudioBlock:
        started_s = time.monotonic()
        if self._wanted is not self._settings:
            self._settle(self._wanted)
        far = self._far_end.take()
        self._look_for_gaps(block)
        try:
            samples, delay_s = self._clean(block.samples, far)
        except Exception as exc:
            logger.exception("the sound of the microphone cannot be cleaned; half duplex from now on")
            self._fail(f"{type(exc).__name__}: {exc}")
            samples, delay_s = block.samples, 0.0
        samples = self._turn(block.samples, samples, far)
        self._trace.add("audio-cancel", delay_s + time.monotonic() - started_s)
        return AudioBlock(samples, block.captured_s - delay_s)

    def _settle(self, wanted: NearEndSettings) -> None:
        """Makes what these settings need and is not there yet."""
        before, self._settings = self._settings, wanted
        self._error = ""
        try:
            if wanted.echo_cancellation and self._canceller is None:
                self._canceller = webrtc_audio.echo_canceller()
            if wanted.noise_suppression and wanted.noise_suppression != before.noise_suppression:
                self._suppressor = webrtc_audio.noise_suppressor(wanted.noise_suppression)
            if wanted.echo_cancellation and not wanted.noise_suppression:
                self._detector = webrtc_audio.voice_detector()
            if wanted.gain_control and self._controller is None:
                self._controller = webrtc_audio.gain_controller()
        except WebrtcAudioError as exc:
            logger.warning("no echo cancellation, noise suppression and gain control: %s", exc)
            self._fail(str(exc))
        if not wanted.echo_cancellation:
            self._canceller, self._erle = None, ErleMeter()
        if not wanted.noise_suppression:
            self._suppressor = None
        if not wanted.echo_cancellation or wanted.noise_suppression:
            self._detector = None
        if not wanted.gain_control:
            self._controller = None

    def _fail(self, why: str) -> None:
        self._error = why
        self._canceller = self._suppressor = self._detector = self._controller = None

    def _look_for_gaps(self, block: AudioBlock) -> None:
        """Where what is heard or played does not follow what was before, the canceller's delay is another one."""
        stats = self._microphone.stats if self._microphone is not None else None
        last_s, self._captured_s = self._captured_s, block.captured_s
        gap = self._is_other or (last_s is not None and block.captured_s - last_s > GAP_S)
        if stats is not None:
            gap = gap or stats.xruns != self._xruns
            self._xruns = stats.xruns
        if gap or self._far_end.jumps != self._jumps:
            self._is_other, self._jumps = False, self._far_end.jumps
            if self._canceller is not None:
                self._canceller.reset()
                self._resets += 1
            self._talk = DoubleTalk()

    def _clean(self, heard: Samples, far: Samples) -> tuple[Samples, float]:
        canceller = self._canceller if self._far_end.is_heard else None
        delay_s = webrtc_audio.ECHO_DELAY_S if canceller is not None else 0.0
        if self._suppressor is not None:
            delay_s += webrtc_audio.NOISE_DELAY_S
        samples = np.ascontiguousarray(heard)
        if canceller is not None:
            samples = canceller.process(samples, far)
        left = samples
        voice: float | None = None
        if self._suppressor is not None:
            samples = self._suppressor.process(samples)
            voice = self._suppressor.speech_probability
        elif self._detector is not None:
            voice = self._detector.process(samples)
        if canceller is not None and voice is not None:
            heard_power, left_power = mean_square(heard), mean_square(left)
            self._talk.feed(dbov(far), dbov_of(heard_power), dbov_of(left_power), voice)
            if self._talk.far_active and not self._talk.is_double:
                self._erle.feed(heard_power, left_power)
        if self._controller is not None:
            samples = self._controller.process(samples, voice)
        return samples, delay_s

    def _turn(self, heard: Samples, samples: Samples, far: Samples) -> Samples:
        """Whose turn it is: sets the speaker's gain, and gives what the far end may hear."""
        duplex = self._settings.duplex
        if duplex == "full" and self._error and self._settings.echo_cancellation:
            duplex = "half"
        if duplex != "half" or not self._far_end.is_heard:
            self._switch, self._gain = None, 1.0
            if duplex == "push-to-talk":
                self._far_end.gain = 0.0 if self.is_open else 1.0
            else:
                self._far_end.gain = _linear(self._talk.gain_db) if self._canceller is not None else 1.0
            return samples
        switch = self._switch = self._switch or VoiceSwitch()
        far_dbov = dbov(far) - switch.far_db  # as it was before the switch
        switch.feed(dbov(heard if self._canceller is None else samples), far_dbov)
        self._far_end.gain = _linear(switch.far_db)
        before, self._gain = self._gain, _linear(switch.near_db)
        sound = ramped(samples.astype(np.float32), before, self._gain)
        sound = sound + self._comfort_of(switch) * np.float32(1.0 - self._gain)
        return np.clip(sound, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)

    def _comfort_of(self, switch: VoiceSwitch) -> np.typing.NDArray[np.float32]:
        """The noise of the room as it was when nobody talked, so that the line does not sound dead."""
        quieter_db = webrtc_audio.SUPPRESSED_DB[self._settings.noise_suppression] if self._suppressor else 0.0
        level = FULL_SCALE * _linear(min(MAX_COMFORT_DBOV, switch.noise.dbov - quieter_db))
        return self._comfort.standard_normal(BLOCK_FRAMES, np.float32) * np.float32(level)


def _linear(db: float) -> float:
    return float(10 ** (db / 20))
