"""One leg's end of an Uplink: a short queue of encoded frames, and what this leg reports back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from appliance.media.feedback import BitrateEstimate, Feedback, ReceiverReport
from appliance.media.frames import EncodedFrame, Kind
from appliance.media.merge import Report

AUDIO_FRAMES = 10  # 200 ms
VIDEO_FRAMES = 15  # half a second at 30 fps


class TapClosedError(ConnectionError):
    """The tap was closed: no frame will come."""


@dataclass(frozen=True, slots=True)
class TapCalls:
    """What a tap tells its Uplink, on the loop."""

    keyframe: Callable[[], None]
    reported: Callable[[], None]
    closed: Callable[[Tap], None]


class Tap:
    """Used on the event loop only. A slow reader loses the oldest sound, or pictures up to the next key frame."""

    def __init__(self, kind: Kind, codec: str, calls: TapCalls) -> None:
        self.kind = kind
        self.codec = codec
        self.dropped = 0  # frames that this leg was too slow for
        self.bitrate: Report | None = None
        self.loss: Report | None = None
        self._calls = calls
        self._frames: deque[EncodedFrame] = deque()
        self._ready = asyncio.Event()
        self._needs_keyframe = kind == "video"
        self._closed = False

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

    def report(self, feedback: Feedback) -> None:
        """What this leg's receiver says."""
        match feedback:
            case ReceiverReport(loss=loss, at_s=at_s):
                self.loss = Report(loss, at_s)
            case BitrateEstimate(bitrate_bps=bps, at_s=at_s):
                self.bitrate = Report(bps, at_s)
            case _:
                return
        self._calls.reported()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._frames.clear()
            self._ready.set()
            self._calls.closed(self)

    # --- the Uplink's side

    def put(self, frame: EncodedFrame) -> None:
        if self._needs_keyframe and not frame.keyframe:
            return
        self._needs_keyframe = False
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
        self._frames.append(frame)
        self._ready.set()

    def flush(self) -> None:
        """Forgets what has not been read; video goes on with a key frame."""
        self._frames.clear()
        self._needs_keyframe = self.kind == "video"

    def _drop(self, *, all_of_them: bool) -> None:
        if all_of_them:
            self._frames.clear()
        else:
            self._frames.popleft()
