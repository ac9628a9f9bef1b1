"""Microphone and speaker on sound cards, in one lock-step thread.

    read 10 ms -> the microphone's sink -> the speaker's source -> write 10 ms -> read ...

So each block that is heard comes right before the one that is played, which is what an echo canceller needs. Two cards
have two clocks: the microphone's is followed, and what is written is stretched by the drift between them. Either end
opens, closes and gets lost by itself; a speaker without a microphone is paced by its own queue.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, BlockSink, HardwareError, OnLost, Samples, SoundStats
from hw.alsa import LEAD_FRAMES, PERIODS, CapturePcm, Direction, MixerControl, Pcm, PlaybackPcm, mixer_control
from hw.alsa_cards import identity, others, pcm_name, sound_cards
from hw.drift import DriftLoop, Stretcher

logger = logging.getLogger(__name__)

BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ
_LATE_S = 2 * BLOCK_S  # a microphone that is so late no longer paces the speaker
_SHORTEST_S = 0.001
_CLOSE_S = 1.0


@dataclass(slots=True, eq=False)
class _Capture:
    owner: AlsaMicrophone
    pcm: CapturePcm
    sink: BlockSink
    on_lost: OnLost
    switch: MixerControl | None
    switched: bool | None = None
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True, eq=False)
class _Playback:
    pcm: PlaybackPcm
    source: Callable[[], Samples]
    on_lost: OnLost
    drift: DriftLoop = field(default_factory=DriftLoop)
    stretch: Stretcher | None = None
    queued: int = 0  # frames, with the last block
    looked_s: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)


class _End:
    """What both ends share. `device_id` is an ALSA name or "usb", the first USB card that has one, looked for at each
    `start`; then it is the id of the card's device that was found, and `label` its name.

    `volume` 0..100 is set on the card's mixer at each start, None leaves it. `xruns` counts over all of them.
    """

    def __init__(self, duplex: AlsaDuplex, direction: Direction, wanted: str, volume: int | None) -> None:
        self.device_id = wanted
        self.label = ""
        self.duplex = duplex
        self._direction = direction
        self._wanted = wanted
        self._volume = volume
        self._past_xruns = 0
        self._lane: _Capture | _Playback | None = None

    @property
    def xruns(self) -> int:
        lane = self._lane
        return self._past_xruns + (lane.pcm.xruns if lane is not None else 0)

    def close(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            self.duplex.detach(lane)
            self._past_xruns += lane.pcm.xruns

    def _find(self) -> str:
        """The name to open, which it is by id and label from now on."""
        cards = sound_cards()
        name = pcm_name(self._wanted, self._direction, cards)
        self.device_id, self.label = identity(name, self._direction, cards)
        return name

    def _stats(self, pcm: Pcm, waiting_frames: int, drift_ppm: float | None = None) -> SoundStats:
        latency_ms = 1000 * waiting_frames / SAMPLE_RATE_HZ
        return SoundStats(pcm.period_frames, pcm.buffer_frames, self.xruns, round(latency_ms, 1), drift_ppm)


class AlsaMicrophone(_End):
    """A card's capture end; `muted` is where its capture switch is to be."""

    def __init__(self, duplex: AlsaDuplex, wanted: str, volume: int | None) -> None:
        super().__init__(duplex, "capture", wanted, volume)
        self.muted = False

    @property
    def stats(self) -> SoundStats | None:
        lane = self._lane
        if not isinstance(lane, _Capture):
            return None
        return self._stats(lane.pcm, lane.pcm.waiting + lane.pcm.period_frames)  # a period is only told of when whole

    def start(self, sink: BlockSink, on_lost: OnLost) -> None:
        self.close()
        name = self._find()
        lane = _Capture(self, CapturePcm(name), sink, on_lost, mixer_control("capture", name, "Mute"))
        _set_volume("capture", name, self._volume)
        self._lane = lane
        self.duplex.attach(capture=lane)

    def set_muted(self, muted: bool) -> None:
        """Flips the card's capture switch, soon and where it has one: behind the mute gate, never instead of it."""
        self.muted = muted


class AlsaSpeaker(_End):
    """A card's playback end; `drift_ppm` is how much faster its clock runs than the microphone's, if another's."""

    def __init__(self, duplex: AlsaDuplex, wanted: str, volume: int | None) -> None:
        super().__init__(duplex, "playback", wanted, volume)

    @property
    def drift_ppm(self) -> float:
        lane = self._lane
        return lane.drift.ppm if isinstance(lane, _Playback) else 0.0

    @property
    def stats(self) -> SoundStats | None:
        lane = self._lane
        if not isinstance(lane, _Playback):
            return None
        drift_ppm = round(lane.drift.ppm, 1) if lane.stretch is not None else None
        return self._stats(lane.pcm, lane.queued, drift_ppm)

    def start(self, source: Callable[[], Samples], on_lost: OnLost) -> None:
        self.close()
        name = self._find()
        lane = _Playback(PlaybackPcm(name), source, on_lost)
        _set_volume("playback", name, self._volume)
        self._lane = lane
        self.duplex.attach(playback=lane)


class AlsaDuplex:
    """`microphone` and `speaker` of one unit, and the thread that serves both while at least one is open.

    Another microphone or speaker takes the place of the one that is open.
    """

    def __init__(
        self,
        microphone: str = "default",
        speaker: str = "default",
        *,
        microphone_volume: int | None = None,
        speaker_volume: int | None = None,
    ) -> None:
        self.microphone = AlsaMicrophone(self, microphone, microphone_volume)
        self.speaker = AlsaSpeaker(self, speaker, speaker_volume)
        self._volumes = microphone_volume, speaker_volume
        self._lock = threading.Lock()  # held only to change the three below
        self._capture: _Capture | None = None
        self._playback: _Playback | None = None
        self._thread: threading.Thread | None = None
        self._served: tuple[_Capture | None, _Playback | None] = (None, None)  # by the thread, now
        self._chance = random.Random()

    def other_microphones(self) -> tuple[AlsaMicrophone, ...]:
        """Every other microphone that the machine has now, USB cards first."""
        names = others("capture", (self.microphone.device_id,), sound_cards())
        return tuple(AlsaMicrophone(self, name, self._volumes[0]) for name in names)

    def other_speakers(self) -> tuple[AlsaSpeaker, ...]:
        names = others("playback", (self.speaker.device_id,), sound_cards())
        return tuple(AlsaSpeaker(self, name, self._volumes[1]) for name in names)

    def attach(self, *, capture: _Capture | None = None, playback: _Playback | None = None) -> None:
        """The thread takes an opened end, and owns it from now on."""
        with self._lock:
            self._capture = capture or self._capture
            self._playback = playback or self._playback
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alsa", daemon=True)
                self._thread.start()

    def detach(self, lane: _Capture | _Playback) -> None:
        """Returns when the end is closed, and after the last one when the thread is gone."""
        self._drop(lane)
        with self._lock:
            thread = self._thread
            is_last = self._capture is None and self._playback is None
        if thread is threading.current_thread():
            return
        deadline_s = time.monotonic() + _CLOSE_S
        lane.ended.wait(_CLOSE_S)
        if thread is not None and is_last:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _drop(self, lane: _Capture | _Playback) -> bool:
        with self._lock:
            if lane is self._capture:
                self._capture = None
            elif lane is self._playback:
                self._playback = None
            else:
                return False
            return True

    # --- the thread

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as exc:
            logger.exception("sound cards: their thread failed")
            self._fail(HardwareError(f"sound cards: {type(exc).__name__}: {exc}"))

    def _serve(self) -> None:
        capture: _Capture | None = None
        playback: _Playback | None = None
        while True:
            with self._lock:
                wanted = self._capture, self._playback
                if wanted == (None, None) and (capture, playback) == (None, None):
                    self._thread = None
                    return
            for old, new in ((capture, wanted[0]), (playback, wanted[1])):
                if old is not None and old is not new:
                    old.pcm.close()
                    old.ended.set()
            if playback is not None and playback is wanted[1] and capture is not wanted[0]:
                playback.drift.restart()
            capture, playback = self._served = wanted
            if playback is not None:
                self._turn(capture, playback)
            elif capture is not None:
                self._hear(capture)

    def _fail(self, error: HardwareError) -> None:
        """A sink or a source that raised, or a fault in here: both ends are lost, and can be opened again."""
        with self._lock:
            attached = self._capture, self._playback
            self._capture = self._playback = self._thread = None
        for lane in (*self._served, *(lane for lane in attached if lane not in self._served)):
            if lane is not None:
                lane.pcm.close()
                lane.ended.set()
                if lane in attached:
                    lane.on_lost(error)

    def _turn(self, capture: _Capture | None, playback: _Playback) -> None:
        """One block in and one out."""
        try:
            if capture is not None and not _is_one_card(capture.pcm, playback.pcm):
                self._look(capture, playback)
            heard = capture is not None and self._hear(capture)
            queued = playback.pcm.queued()
            due = blocks_due(queued, heard)
            for _ in range(due):
                self._play(capture, playback)
            playback.drift.shift(BLOCK_FRAMES * (due - heard))
            playback.queued = queued + due * BLOCK_FRAMES
            if capture is None and not due:
                time.sleep(max(_SHORTEST_S, min(BLOCK_S, (queued - LEAD_FRAMES) / SAMPLE_RATE_HZ)))
        except HardwareError as exc:
            self._lose(playback, exc)

    def _look(self, capture: _Capture, playback: _Playback) -> None:
        """How much both cards hold, at any point of the period, by chance; a thread that is late does not look."""
        try:
            is_late = capture.pcm.ready_by(time.monotonic() + self._chance.random() * BLOCK_S)
        except HardwareError as exc:
            self._lose(capture, exc)
            return
        queued = playback.pcm.queued()
        if is_late or playback.pcm.stands:
            return
        now_s = time.monotonic()
        playback.drift.update(capture.pcm.waiting + queued, now_s - playback.looked_s)
        playback.looked_s = now_s

    def _hear(self, capture: _Capture) -> bool:
        """Whether a block came in time."""
        try:
            self._switch(capture)
            read = capture.pcm.read(_LATE_S)
        except HardwareError as exc:
            self._lose(capture, exc)
            return False
        if read is None:
            return False
        capture.sink(AudioBlock(*read))
        return True

    def _play(self, capture: _Capture | None, playback: _Playback) -> None:
        """Writes a block, stretched by the drift where the microphone's card paces another one."""
        samples = playback.source()
        if capture is not None and not _is_one_card(capture.pcm, playback.pcm):
            if playback.stretch is None:
                playback.stretch = Stretcher()
            samples = playback.stretch(samples, playback.drift.correction_ppm)
        if playback.pcm.write(samples):
            playback.drift.ran_dry()

    def _switch(self, capture: _Capture) -> None:
        muted = capture.owner.muted
        if capture.switch is None or capture.switched == muted:
            return
        capture.switched = muted
        try:
            capture.switch.set_muted(muted)
        except HardwareError as exc:
            logger.warning("%s; the mute gate alone mutes", exc)
            capture.switch = None

    def _lose(self, lane: _Capture | _Playback, error: HardwareError) -> None:
        if self._drop(lane):
            lane.on_lost(error)


def blocks_due(queued: int, heard: bool) -> int:
    """How many blocks the speaker gets now. One for each that was heard, but for a queue that would grow beyond its
    buffer; where nothing was heard, as many as keep the queue from running dry."""
    if heard:
        return int(queued + BLOCK_FRAMES <= PERIODS * BLOCK_FRAMES)
    return max(0, (LEAD_FRAMES - queued) // BLOCK_FRAMES + 1)


def _is_one_card(capture: CapturePcm, playback: PlaybackPcm) -> bool:
    return capture.card is not None and capture.card == playback.card


def _set_volume(direction: Direction, name: str, volume: int | None) -> None:
    if volume is None:
        return
    control = mixer_control(direction, name, "Volume")
    if control is None:
        logger.warning("%s: the card has no %s volume to set", name, direction)
        return
    try:
        control.set_volume(volume)
    except HardwareError as exc:
        logger.warning("%s", exc)
