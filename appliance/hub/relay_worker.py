"""The thread of one relay task: at even steps it composes, encodes and hands on what came of it.

Late steps are left out, so that time in the stream is time on the clock. Sound that is missing is silence, sound that
is too much is dropped: both run along the same clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import av
import numpy as np

from appliance.hub.recordings import Recording
from appliance.hub.relay_compositor import Compositor
from appliance.hub.relay_encoder import FPS, Coded, RelayEncoder
from appliance.hub.relay_images import load_images
from appliance.hub.relay_layout import Key, canvas_size
from appliance.hub.relay_sound import Outlet
from appliance.room.signaling_tasks import RtmpTask, TaskLayout
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ

logger = logging.getLogger(__name__)

LATE_S = 0.2  # steps are made up for until here; what is later is left out
SOUND_SLACK_S = 0.3  # of the sound against the clock
SOUND_BEHIND_S = 0.1  # where silence brings it
_SILENCE = np.zeros(BLOCK_FRAMES, np.int16)

Pictures = Callable[[], Mapping[Key, av.VideoFrame]]


class RelayWorker:
    """`on_begun` gets the encoder when it is there, `on_coded` what each step gave, `on_problems` the images that
    cannot be shown, `on_failed` the end in words: all of them called in the thread. `pictures` is asked there too.
    """

    def __init__(
        self,
        task: RtmpTask,
        pictures: Pictures,
        outlet: Outlet,
        *,
        images: Path | None,
        recording: Recording | None,
        on_begun: Callable[[RelayEncoder], None],
        on_coded: Callable[[list[Coded]], None],
        on_problems: Callable[[list[str]], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._task = task
        self._pictures = pictures
        self._outlet = outlet
        self._images = images
        self._recording = recording
        self._on_begun, self._on_coded = on_begun, on_coded
        self._on_problems, self._on_failed = on_problems, on_failed
        self._layout: TaskLayout | None = None  # the next one
        self._keyframe = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"relay-{task.task_id}"[:31], daemon=True)

    def start(self) -> None:
        self._thread.start()

    def set_layout(self, layout: TaskLayout) -> None:
        """Of the same canvas size; from the next picture on."""
        self._layout = layout

    def want_keyframe(self) -> None:
        self._keyframe.set()

    def close(self) -> None:
        """Waits for the thread: some pictures' time, and the disk. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._recording is not None:
            self._recording.close()

    # --- the thread

    def _run(self) -> None:
        try:
            width, height = canvas_size(self._task.layout.canvas)
            encoder = RelayEncoder(self._task, width, height, self._recording.write if self._recording else None)
            try:
                self._on_begun(encoder)
                self._pace(encoder)
            finally:
                encoder.close()
        except OSError as exc:
            self._on_failed(f"the recording cannot be written: {exc.strerror or exc}")
        except Exception as exc:
            logger.exception("relay task %s failed", self._task.task_id)
            self._on_failed(f"it cannot be encoded: {exc}")

    def _pace(self, encoder: RelayEncoder) -> None:
        compositor = None
        if encoder.has_video:
            compositor = Compositor(self._task.layout, self._load(self._task.layout))
        start_s = time.monotonic()
        samples = 0
        number = 0
        self._outlet.take()  # of the time before
        while not self._stop.wait(max(0.0, start_s + number / FPS - time.monotonic())):
            late_s = time.monotonic() - start_s - number / FPS
            if late_s > LATE_S:
                number += int(late_s * FPS)
            coded: list[Coded] = []
            if compositor is not None:
                if (layout := self._layout) is not None:
                    self._layout = None
                    compositor.set_layout(layout, self._load(layout))
                keyframe = self._keyframe.is_set()
                self._keyframe.clear()
                coded = encoder.picture(compositor.compose(self._pictures()), number, keyframe=keyframe)
            samples = self._add_sound(encoder, coded, samples, time.monotonic() - start_s)
            self._on_coded(coded)
            number += 1

    def _load(self, layout: TaskLayout) -> list[av.VideoFrame | None]:
        images, problems = load_images(layout.images, self._images)
        if problems:
            self._on_problems(problems)
        return images

    def _add_sound(self, encoder: RelayEncoder, coded: list[Coded], samples: int, elapsed_s: float) -> int:
        """The new number of samples so far."""
        blocks = self._outlet.take()
        for block in blocks:
            if samples / SAMPLE_RATE_HZ > elapsed_s + SOUND_SLACK_S:
                break
            coded += encoder.sound(block)
            samples += block.size
        if samples / SAMPLE_RATE_HZ < elapsed_s - SOUND_SLACK_S:
            while samples / SAMPLE_RATE_HZ < elapsed_s - SOUND_BEHIND_S:
                coded += encoder.sound(_SILENCE)
                samples += BLOCK_FRAMES
        return samples
