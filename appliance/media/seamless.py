"""An Opus stream in which neither losses nor waiting leave a step: decoding, FEC and concealment, cross-faded."""

from __future__ import annotations

import numpy as np

from appliance.media.libopus import OpusError
from appliance.media.mixer import ramped
from appliance.media.opus_decoder import CONCEALED_FRAMES, OpusDecoder, Sound
from appliance.media.opus_encoder import is_silence
from appliance.media.stretch import cross_fade, join
from hw.level import mean_square

_HELD_FRAMES = 1_440  # concealment is believable for 30 ms ...
_FADED_FRAMES = 3_840  # ... and silent after 80 ms: what libopus makes up later is noise, and begins with a step
_PAUSE_FRAMES = 72_000  # a sender that pauses repeats it each 0.4 s; without a word for 1.5 s it is gone
_NOTHING_POWER = 1e-9  # -90 dBov: a muted microphone rather than a quiet room
_OVERLAP_FRAMES = 240  # 5 ms
_SILENT_POWER = 1e-5  # -50 dBov
_MISSED = 4.0  # power of what was lost, by that of what was made up in its place: a beginning that nobody heard


class SeamlessDecoder:
    """One stream; each call gives the sound that follows the last call's. One thread only."""

    def __init__(self) -> None:
        self.concealed_frames = 0  # made up or rebuilt so far, silence not counted
        self._decoder = OpusDecoder()
        self._made_up = _FADED_FRAMES  # frames of concealment since the last packet
        self._spare = np.zeros(0, np.float32)  # concealment made, but not played yet
        self._pause_frames = 0  # of comfort noise still to be made: the sender said that it says nothing
        self._made_up_power = 0.0  # mean square of what was made up last
        self._last = 0.0  # the last sample handed out
        self._cut = True  # the decoder's next sample isn't the one after `_last`

    @property
    def is_silent(self) -> bool:
        """Whether concealment has come to its end, or there was nothing yet."""
        return self._made_up >= _FADED_FRAMES and self._pause_frames <= 0 and self._spare.size == 0

    def decode(self, payload: bytes) -> Sound:
        """The sound of one packet. OpusError if it isn't Opus, then `conceal` what is missing."""
        sound = self._decoder.decode(payload)
        self._made_up = self._pause_frames = 0
        if is_silence(payload):
            if float(np.dot(sound, sound)) < _NOTHING_POWER * sound.size:
                self._made_up = _FADED_FRAMES
            else:
                self._pause_frames = _PAUSE_FRAMES
        return self._follow(sound)

    def recover(self, following: bytes | None, frames: int, play_frames: int) -> Sound:
        """The last `play_frames` of a lost packet of `frames`, out of the FEC in the packet after it, if it has any.

        All of it where it is a beginning that concealment knew nothing of: heard late rather than never.
        """
        if following is None:
            return self.conceal(play_frames)
        try:
            sound = self._decoder.recover(following, frames)
        except OpusError:
            return self.conceal(play_frames)
        if mean_square(sound[: frames - play_frames]) > _MISSED * max(self._made_up_power, _SILENT_POWER):
            play_frames = frames
        self.concealed_frames += play_frames
        self._cut |= play_frames < frames
        return self._follow(sound[frames - play_frames :])

    def conceal(self, frames: int) -> Sound:
        """`frames` of sound made up from what came before; silent after 80 ms, unless the sender itself pauses."""
        while self._spare.size < frames:
            self._spare = np.concatenate((self._spare, self._make_up()))
        sound, self._spare = self._spare[:frames], self._spare[frames:]
        if sound.size:
            self._last = float(sound[-1])
            self._made_up_power = mean_square(sound)
        return sound

    def _make_up(self) -> Sound:
        if self._made_up >= _FADED_FRAMES:
            self._cut = True
            return np.zeros(CONCEALED_FRAMES, np.float32)
        if self._pause_frames > 0:  # comfort noise: libopus goes on with what the room sounded like
            self._pause_frames -= CONCEALED_FRAMES
            return self._decoder.conceal()
        before, after = self._fade(), self._fade(CONCEALED_FRAMES)
        self._made_up += CONCEALED_FRAMES
        self.concealed_frames += CONCEALED_FRAMES
        return ramped(self._decoder.conceal(), before, after)

    def _fade(self, ahead: int = 0) -> float:
        gain = (_FADED_FRAMES - self._made_up - ahead) / (_FADED_FRAMES - _HELD_FRAMES)
        return max(0.0, min(1.0, gain))

    def _follow(self, sound: Sound) -> Sound:
        overlap = min(self._spare.size, sound.size, _OVERLAP_FRAMES)
        if not sound.size:
            return sound
        if overlap:
            sound = np.concatenate((cross_fade(self._spare[:overlap], sound[:overlap]), sound[overlap:]))
        elif self._cut:
            sound = join(self._last, sound)
        self._spare, self._cut = self._spare[:0], False
        self._last = float(sound[-1])
        return sound
