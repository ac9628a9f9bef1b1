"""One leg's end of an Uplink: encoded frames, handed on at once or kept in a short queue, and what it reports back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from appliance.media.feedback import Feedback, ReceiverReport
from appliance.media.frames import Codec, EncodedFrame, Kind, Layer
from appliance.media.merge import Report
from appliance.media.send_control import LegControl

AUDIO_FRAMES = 10  # 200 ms
ENOUGH_PACKETS = 50  # of sound, to judge a loss by
VIDEO_FRAMES = 15  # half a second at 30 fps


class TapClosedError(ConnectionError):
    """The tap was closed: no frame will come."""


@dataclass(frozen=True, slots=True)
class TapCalls:
    """What a tap tells its Uplink, on the loop."""

    keyframe: Callable[[], None]
    reported: Callable[[], None]
    closed: Callable[[Tap], None]


class FrameReader(Protocol):
    """Takes a tap's frames as they come."""

    def put(self, frame: EncodedFrame) -> bool:
        """False: it was dropped, and nothing that refers to it can be decoded."""

    def flush(self) -> int:
        """Forgets what it has not sent yet; how many frames that was."""


class Tap:
    """Used on the event loop only. A slow reader loses the oldest sound, or pictures up to the next key frame.

    `layer` is the one that its frames come from now, `next_layer` is ahead of it until that has made a key frame, and
    `wanted_layer` is the receiver's choice. `control` says what the leg may send, of a video.
    """

    def __init__(
        self, kind: Kind, codec: Codec, calls: TapCalls, layer: Layer = "high", control: LegControl | None = None
    ) -> None:
        self.kind = kind
        self.codec = codec
        self.layer = self.next_layer = self.wanted_layer = layer
        self.control = control
        self.media_share = 1.0  # of what the leg may send; the rest protects it
        self.dropped = 0  # frames that this leg was too slow for
        self.loss: Report | None = None  # of sound
        self._calls = calls
        self._reader: FrameReader | None = None
        self._frames: deque[EncodedFrame] = deque()
        self._ready = asyncio.Event()
        self._needs_keyframe = kind == "video"
        self._last_timestamp: int | None = None
        self._put = 0  # frames since the last report
        self._closed = False

    def attach(self, reader: FrameReader) -> None:
        """Frames go to `reader` from now on, in place of `next`."""
        self._reader = reader

    async def next(self) -> EncodedFrame:
        """The next frame, as soon as it is there; video starts with a key frame. Raises TapClosedError."""
        while not self._frames:
            if self._closed:
                raise TapClosedError("the tap is closed")
            self._ready.clear()
            await self._ready.wait()
        return self._frames.popleft()

    def request_keyframe(self) -> None:
        """This leg's receiver cannot go on without one. Merged over all taps."""
        if self.kind == "video" and not self._closed:
            self._calls.keyframe()

    def select_layer(self, layer: Layer) -> None:
        """The receiver's choice. What can be had of it is decided with all other legs: see LayerChoice.

        It goes on with a key frame of the other layer as soon as there is one, and with the pictures of the old one
        till then. Timestamps grow on.
        """
        if self.kind == "video" and not self._closed:
            self.wanted_layer = layer
            self._calls.reported()

    def report(self, feedback: Feedback) -> None:
        """What this leg's receiver says."""
        if self.control is not None:
            self.control.report(feedback)
        elif isinstance(feedback, ReceiverReport):
            self.loss = Report(self._weighed(feedback.loss), feedback.at_s)
        self._calls.reported()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._frames.clear()
            self._ready.set()
            self._calls.closed(self)

    def _weighed(self, loss: float) -> float:
        """One lost of the few packets of a pause is not 20 % loss."""
        before = self.loss.value if self.loss is not None else 0.0
        weight = min(1.0, self._put / ENOUGH_PACKETS)
        self._put = 0
        return before + weight * (loss - before)

    # --- the Uplink's side

    def put(self, frame: EncodedFrame) -> None:
        if self._needs_keyframe and not frame.keyframe:
            return
        self._needs_keyframe = False
        self._put += 1
        if self._reader is not None:
            if not self._reader.put(self._in_order(frame)):
                self.dropped += 1 + self._flush()
                self._calls.keyframe()
            return
        limit = AUDIO_FRAMES if self.kind == "audio" else VIDEO_FRAMES
        if len(self._frames) >= limit:
            if self.kind == "audio" or frame.keyframe:
                self.dropped += 1 if self.kind == "audio" else len(self._frames)
                self._drop(all_of_them=self.kind == "video")
            else:
                self.dropped += len(self._frames) + 1
                self.flush()
                self._calls.keyframe()
                return
        self._frames.append(self._in_order(frame))
        self._ready.set()

    def flush(self) -> None:
        """Forgets what has not been read or sent; video goes on with a key frame."""
        self._flush()

    def _flush(self) -> int:
        waiting = len(self._frames) if self._reader is None else self._reader.flush()
        self._frames.clear()
        self._needs_keyframe = self.kind == "video"
        return waiting

    def _in_order(self, frame: EncodedFrame) -> EncodedFrame:
        """`frame`, a little later where another layer was ahead of this one."""
        last = self._last_timestamp
        if last is not None and (frame.timestamp - last - 1) & 0xFFFFFFFF >= 1 << 31:
            frame = replace(frame, timestamp=(last + 1) & 0xFFFFFFFF)
        self._last_timestamp = frame.timestamp
        return frame

    def _drop(self, *, all_of_them: bool) -> None:
        if all_of_them:
            self._frames.clear()
        else:
            self._frames.popleft()
