"""The camera's way out: an encoder thread for each codec and layer that is tapped, fed with the newest picture only."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from appliance.media.frames import VIDEO_CLOCK_HZ, CodedFrame, Layer, VideoCodec
from appliance.media.gate import Gate
from appliance.media.ladder import Rung
from appliance.media.merge import KeyframeRequests
from appliance.media.pass_through import CameraCalls, PassThrough
from appliance.media.plausible import fault
from appliance.media.trace import Trace
from appliance.media.video_encoder import VideoEncoder
from hw import AccessUnit, Picture

logger = logging.getLogger(__name__)

TOOK_GAIN, TOOK_LIFE_S = 0.05, 2.0
RATE_SLACK = 1.1  # a camera of 30.3 pictures a second is one of 30
NEWEST_S = 0.25  # how old a picture may be that an encoder begins with
MAX_WAIT_S = 1.0  # for the next picture: a capture time that jumped back further begins anew

Post = Callable[[int, CodedFrame], None]  # epoch of the gate, frame; called in a thread


class PictureClock:
    """RTP timestamps out of capture times, always growing."""

    def __init__(self) -> None:
        self._last = -1

    def stamp(self, captured_s: float) -> int:
        self._last = max(self._last + 1, round(captured_s * VIDEO_CLOCK_HZ))
        return self._last


class PicturePace:
    """Which pictures a layer takes, so that they come evenly, at most about `fps` a second. Pure."""

    def __init__(self, fps: float) -> None:
        self._interval_s = 1 / (RATE_SLACK * fps)
        self._due_s = float("-inf")

    def takes(self, captured_s: float) -> bool:
        if captured_s < self._due_s < captured_s + MAX_WAIT_S:
            return False
        late_s = min(captured_s, max(self._due_s, captured_s - self._interval_s / 4))
        self._due_s = late_s + self._interval_s
        return True


class EncoderThread:
    """Encodes pictures for one layer in one codec. A picture that comes while another waits takes its place."""

    def __init__(
        self,
        name: str,
        codec: VideoCodec,
        layer: Layer,
        rung: Rung,
        bitrate_bps: int,
        frame_lock: threading.Lock,
        post: Post,
        on_end: Callable[[], None],
        trace: Trace | None = None,
    ) -> None:
        self.codec, self.layer = codec, layer
        self.bitrate_bps = bitrate_bps
        self._took_s = 0.0  # one picture, smoothed
        self._began_s = float("-inf")  # the last one
        self._rung = rung
        self._frame_lock = frame_lock  # encoders share a picture, and encoding sets attributes of it
        self._trace = trace or Trace()
        self._post, self._on_end = post, on_end
        self._condition = threading.Condition()
        self._waiting: tuple[int, Picture] | None = None
        self._requests = KeyframeRequests()
        self._forced = True
        self._stopped = False
        self._pace: PicturePace | None = None
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    @property
    def took_s(self) -> float:
        """One picture, smoothed; 0 while none is encoded."""
        return self._took_s if time.monotonic() - self._began_s < TOOK_LIFE_S else 0.0

    @property
    def rung(self) -> Rung:
        return self._rung

    def limit(self, rung: Rung, *, paced: bool) -> None:
        """Pictures from now on in this size; `paced`: at its rate, else as many as the camera delivers."""
        if (rung, paced) != (self._rung, self._pace is not None):
            with self._condition:
                self._rung = rung
                self._pace = PicturePace(rung.fps) if paced else None

    def put(self, epoch: int, picture: Picture) -> None:
        """The camera's thread; never blocks for an encoder."""
        with self._condition:
            if self._forced or self._pace is None or self._pace.takes(picture.captured_s):
                self._waiting = (epoch, picture)
                self._condition.notify()

    def request_keyframe(self) -> None:
        """The next picture is a key frame, unless one was made less than 500 ms ago: then a later one is."""
        with self._condition:
            self._requests = self._requests.request()

    def flush(self) -> None:
        """The gate has moved: the picture that waits is dropped, and the next one is a key frame."""
        with self._condition:
            self._waiting = None
            self._forced = True

    def stop(self) -> None:
        """Returns at once; `on_end` is called from the thread as its last act."""
        with self._condition:
            self._stopped = True
            self._waiting = None
            self._condition.notify()

    def _run(self) -> None:
        encoder = self._new_encoder()
        clock = PictureClock()
        failing = False
        try:
            while (taken := self._take()) is not None:
                epoch, picture, keyframe = taken
                try:
                    frame = self._encode(encoder, clock, picture, keyframe=keyframe)
                except Exception as exc:  # whatever a picture does to an encoder, the next one must go out
                    if not failing:
                        logger.warning("%s: a picture cannot be encoded, starting a new encoder: %s", self.codec, exc)
                    failing = True
                    encoder = self._new_encoder()
                    continue
                failing = False
                if frame is not None:
                    self._post(epoch, frame)
        finally:
            self._on_end()

    def _new_encoder(self) -> VideoEncoder:
        return VideoEncoder(self.codec, self._rung.width, self._rung.height, self._rung.fps)

    def _take(self) -> tuple[int, Picture, bool] | None:
        with self._condition:
            while self._waiting is None and not self._stopped:
                self._condition.wait()
            if self._waiting is None:
                return None
            (epoch, picture), self._waiting = self._waiting, None
            keyframe = self._forced or self._requests.due(time.monotonic())
            self._forced = False
            return epoch, picture, keyframe

    def _encode(
        self, encoder: VideoEncoder, clock: PictureClock, picture: Picture, *, keyframe: bool
    ) -> CodedFrame | None:
        now_s = time.monotonic()
        timestamp = clock.stamp(picture.captured_s)
        rung = self._rung
        encoder.limit(rung.width, rung.height, rung.fps)
        frame = encoder.scaled(picture.frame)
        with self._frame_lock if frame is picture.frame else nullcontext():
            encoded = encoder.encode(frame, timestamp, keyframe=keyframe, bitrate_bps=self.bitrate_bps, now_s=now_s)
        self._trace.since("video-encode", now_s)
        self._took_s += TOOK_GAIN * (time.monotonic() - now_s - self._took_s)
        self._began_s = now_s
        if encoded is None:
            return None
        if encoded.keyframe:
            with self._condition:
                self._requests = self._requests.made(now_s)
        return CodedFrame(encoded.data, timestamp, encoded.keyframe, None, picture.captured_s)


class VideoOut:
    """`post` takes what a camera encoded itself, in its thread.

    `gate`, `encoders` and `units_wanted` are set on the event loop and read in the camera's thread, in one step;
    `newest` the other way round.

    `captured` counts the pictures that a camera delivered, `refused` what was none. `size` is that of the last raw one.
    """

    def __init__(
        self,
        post: Post,
        bitrate_bps: int,
        calls: CameraCalls,
        trace: Trace | None = None,
    ) -> None:
        self.gate = Gate()
        self.encoders: tuple[EncoderThread, ...] = ()
        self.units_wanted = False  # somebody taps the high layer in H.264
        self.encodes_itself = False  # the camera delivers access units
        self.refused = self.captured = 0
        self.size: tuple[int, int] | None = None
        self._post, self._calls = post, calls
        self._bitrate_bps = bitrate_bps
        self._trace = trace or Trace()
        self._clock = PictureClock()
        self._pass_through = PassThrough(bitrate_bps, calls)
        self.newest: Picture | None = None  # raw, of the camera that is there

    def new_camera(self) -> Callable[[Picture | AccessUnit], None]:
        """The sink for a camera that takes the place of the one before. What the old one still delivers is dropped."""
        self.encodes_itself = False
        mine = self._pass_through = PassThrough(self._bitrate_bps, self._calls)

        def sink(picture: Picture | AccessUnit) -> None:
            if mine is self._pass_through:
                self._on_picture(picture)

        return sink

    def begin(self, encoder: EncoderThread) -> None:
        """Before it is one of `encoders`: the newest picture, for who joins should not wait for the camera's next."""
        picture, gate = self.newest, self.gate
        if picture is not None and time.monotonic() - picture.captured_s < NEWEST_S:
            self._offer(picture, gate, (encoder,))

    def request_keyframe(self) -> None:
        """Of a camera that encodes; due at its next access unit."""
        self._pass_through.request_keyframe()

    def want_bitrate(self, bps: int) -> None:
        """Of a camera that encodes, and of those after it."""
        self._bitrate_bps = bps
        self._pass_through.want_bitrate(bps)

    def _on_picture(self, picture: Picture | AccessUnit) -> None:
        now_s = time.monotonic()
        if why := fault(picture, now_s):
            self.refused += 1
            if self.refused & (self.refused - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...: it may come 30 times a second
                logger.warning("%d pictures of the camera refused, the last one because %s", self.refused, why)
            if isinstance(picture, AccessUnit):
                self._pass_through.refused()
            return
        self._trace.add("video-capture", now_s - picture.captured_s)
        if isinstance(picture, Picture):
            self.size = picture.frame.width, picture.frame.height
        self.captured += isinstance(picture, AccessUnit) == self.encodes_itself
        if isinstance(picture, AccessUnit):
            self._on_access_unit(picture, now_s)
        else:
            self.newest = picture
            self._offer(picture, self.gate, self.encoders)

    def _offer(self, picture: Picture, gate: Gate, encoders: Sequence[EncoderThread]) -> None:
        if gate.passes(picture.captured_s):
            for encoder in encoders:
                if not (self.encodes_itself and encoder.codec == "h264" and encoder.layer == "high"):
                    encoder.put(gate.epoch, picture)

    def _on_access_unit(self, unit: AccessUnit, now_s: float) -> None:
        self.encodes_itself = True
        gate = self.gate
        if not self.units_wanted:
            return
        if (keyframe := self._pass_through.take(gate, unit, now_s)) is not None:
            timestamp = self._clock.stamp(unit.captured_s)
            self._post(gate.epoch, CodedFrame(unit.data, timestamp, keyframe, None, unit.captured_s))
