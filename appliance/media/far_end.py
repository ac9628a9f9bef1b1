"""What the speaker is really given, for who takes its echo out of the microphone's sound; and how loud it may be.

    playback thread   mixed, limited block -> `play` (gain) -> speaker
    capture thread    `take`: the same block, in the turn after it was given to the speaker

So the reference always leads its echo, by what the speaker's queue holds. Where both threads are one, as with a sound
card, a block waits here for the one turn; where they are two, for as many as they jitter.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from appliance.media.mixer import ramped
from hw import BLOCK_FRAMES, Measured, Samples, Speaker

MOST_BLOCKS = 3  # that may wait: with more the reference would come after its echo

_SILENCE: Samples = np.zeros(BLOCK_FRAMES, np.int16)


class FarEnd:
    """One for a unit. `gain` is set in the capture thread, and reached within the next block."""

    def __init__(self) -> None:
        self.gain = 1.0
        self.is_heard = False  # there is a speaker
        self.jumps = 0  # how often what `take` gives did not follow what it gave before
        self._reached = 1.0
        self._waiting: deque[Samples] = deque(maxlen=2 * MOST_BLOCKS)
        self._speaker: Measured | None = None
        self._xruns = 0

    def restart(self, speaker: Speaker | None) -> None:
        """Another speaker from now on, or none."""
        self._speaker = speaker if isinstance(speaker, Measured) else None
        self._xruns = 0
        self.is_heard = speaker is not None
        self._waiting.clear()
        self.jumps += 1

    def play(self, samples: Samples) -> Samples:
        """What the speaker is to be given of `samples` (int16, 480 of them)."""
        gain = self.gain if len(self._waiting) <= MOST_BLOCKS else 1.0  # nobody listens to it
        if gain != 1.0 or self._reached != 1.0:
            samples = ramped(samples.astype(np.float32), self._reached, gain).astype(np.int16)
            self._reached = gain
        if self.is_heard:
            self._waiting.append(samples)
        return samples

    def take(self) -> Samples:
        """The next block of the reference: silence where none was played yet."""
        stats = self._speaker.stats if self._speaker is not None else None
        has_run_dry = stats is not None and stats.xruns != self._xruns
        if has_run_dry or len(self._waiting) > MOST_BLOCKS:
            self.jumps += 1
            while len(self._waiting) > 1:
                self._waiting.popleft()
        if stats is not None:
            self._xruns = stats.xruns
        return self._waiting.popleft() if self._waiting else _SILENCE
