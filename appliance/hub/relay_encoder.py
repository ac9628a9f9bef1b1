"""H.264 and AAC for a relay, encoded once for the push and the recording. One thread; PyAV.

The encoders are those of a fragmented MP4: its bytes go to `write`, or nowhere. What was written by then is a whole
file whenever it ends, by a kill too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.video.frame import PictureType

from appliance.hub.relay_compositor import PIXEL_FORMAT, Plane
from appliance.room.signaling_tasks import RtmpTask
from hw import SAMPLE_RATE_HZ, Samples
from hw.annexb import h264_is_keyframe

FPS = 25
KEYFRAME_S = 2.0  # who begins to watch waits as long; a recording loses as much in a kill
BITS_A_PIXEL = 0.08  # 1.8 Mbit/s at 1280 x 720
MIN_BITRATE_BPS = 150_000


@dataclass(frozen=True, slots=True)
class Coded:
    """One picture (Annex B) or AAC frame; `timestamp_ms` since the encoder began."""

    is_video: bool
    timestamp_ms: int
    data: bytes
    keyframe: bool


class RelayEncoder:
    """`write` raises OSError when it cannot keep the file's next bytes: so does the encoder, once, and is of no more
    use then.
    """

    def __init__(self, task: RtmpTask, width: int, height: int, write: Callable[[bytes], None] | None) -> None:
        """0 by 0: sound alone. Raises av.FFmpegError, OSError."""
        self.has_video = width > 0
        self.bitrate_bps = max(MIN_BITRATE_BPS, round(BITS_A_PIXEL * width * height * FPS))
        self._sink = _Sink(write)
        self._container = av.open(
            self._sink,
            "w",
            format="mp4",
            options={
                "movflags": "+frag_keyframe+empty_moov+default_base_moof",
                "flush_packets": "1",
                **({} if self.has_video else {"frag_duration": str(round(KEYFRAME_S * 1e6))}),
            },
        )
        self._is_written = write is not None
        if task.extra_info:
            self._container.metadata["comment"] = task.extra_info
        self._video: Any = self._add_video(width, height) if self.has_video else None
        audio = task.audio
        self._audio: Any = self._container.add_stream("aac", rate=audio.sample_rate_hz)
        self._audio.codec_context.layout = layout = "mono" if audio.channels == 1 else "stereo"
        self._audio.codec_context.bit_rate = audio.bitrate_kbps * 1000
        self._container.start_encoding()
        self._resampler = AudioResampler("fltp", layout, audio.sample_rate_hz, self._audio.codec_context.frame_size)
        self._sample = 0

    def _add_video(self, width: int, height: int) -> Any:
        video: Any = self._container.add_stream("libx264", rate=FPS, options=_x264(self.bitrate_bps))
        video.width, video.height, video.pix_fmt = width, height, PIXEL_FORMAT
        context = video.codec_context
        context.time_base, context.bit_rate = Fraction(1, FPS), self.bitrate_bps
        context.gop_size = round(KEYFRAME_S * FPS)
        context.thread_count = max(1, min(4, (os.cpu_count() or 1) // 2))
        return video

    @property
    def parameter_sets(self) -> bytes:
        """SPS and PPS, Annex B."""
        return bytes(self._video.codec_context.extradata)

    @property
    def audio_specific_config(self) -> bytes:
        return bytes(self._audio.codec_context.extradata)

    def picture(self, canvas: Plane, number: int, *, keyframe: bool) -> list[Coded]:
        """`number` grows, by one for each 1 / FPS s."""
        frame = av.VideoFrame.from_ndarray(canvas, PIXEL_FORMAT)
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        return list(self._coded(self._video.encode(frame), is_video=True))

    def sound(self, block: Samples) -> list[Coded]:
        """The next samples at 48 kHz, one channel."""
        frame = av.AudioFrame.from_ndarray(block[np.newaxis, :], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, self._sample, Fraction(1, SAMPLE_RATE_HZ)
        self._sample += block.size
        coded: list[Coded] = []
        for resampled in self._resampler.resample(frame):
            coded += self._coded(self._audio.encode(resampled), is_video=False)
        return coded

    def close(self) -> None:
        """What is still in the encoders goes into the file."""
        try:
            for stream in (self._video, self._audio) if self.has_video else (self._audio,):
                for _ in self._coded(stream.encode(None), is_video=stream is self._video):
                    pass
        finally:
            self._container.close()
            self._sink.check()

    def _coded(self, packets: list[Any], *, is_video: bool) -> Iterator[Coded]:
        for packet in packets:
            data = bytes(packet)
            pts, base = packet.pts, packet.time_base
            if pts is None or not data:
                continue
            timestamp_ms = max(0, round(pts * base * 1000))
            if self._is_written:
                self._container.mux(packet)
                self._sink.check()
            yield Coded(is_video, timestamp_ms, data, is_video and h264_is_keyframe(data))


class _Sink:
    """A file without `seek`: the muxer writes from its beginning to its end. Its error waits for `check`."""

    def __init__(self, write: Callable[[bytes], None] | None) -> None:
        self._write = write
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            if self._write is not None:
                self._write(data)
        except OSError as exc:
            self._error, self._write = exc, None
        return len(data)

    def check(self) -> None:
        """Raises it, the first time."""
        error, self._error = self._error, None
        if error is not None:
            raise error


def _x264(bitrate_bps: int) -> dict[str, str]:
    return {
        "preset": "superfast",
        "tune": "zerolatency",
        "profile": "main",
        "forced-idr": "1",
        "maxrate": str(bitrate_bps),
        "bufsize": str(bitrate_bps),
        "x264-params": "scenecut=0:repeat-headers=0",
    }
