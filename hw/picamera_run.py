"""One opening of a Pi's camera: picamera2's frames and its encoder's buffers to pictures and access units."""

from __future__ import annotations

import importlib
import logging
import time
from contextlib import suppress
from typing import Any

from hw import AccessUnit, HardwareError, OnLost, Picture, PictureSink
from hw.annexb import InBand
from hw.capture_time import capture_time
from hw.fit import Fit
from hw.v4l2_ioctl import set_control
from hw.yuv import FORMATS, picture_of

logger = logging.getLogger(__name__)

START_BITRATE_BPS = 1_500_000
KEYFRAME_PERIOD_S = 60  # by itself: it makes them when asked
_CONTINUOUS = 2  # libcamera's AfModeEnum, for lenses that focus


class Running:
    """One opening. `to_set` are controls of the encoder, set with the sensor's next frame in picamera2's thread."""

    def __init__(
        self, device_id: str, size: tuple[int, int], fps: int, encodes: bool, sink: PictureSink, on_lost: OnLost
    ) -> None:
        self.encodes = encodes
        self.frames = self.units = 0
        self.to_set: dict[int, int] = {}
        self.pictures_wanted = False
        self._refused: set[int] = set()  # controls, told to the log
        self._device_id, self._sink, self._on_lost = device_id, sink, on_lost
        self._in_band = InBand()
        self._picam2: Any = None
        self._encoder: Any = None
        self._layout = (0, 0, 0, "")  # width, height, bytes in a row, format
        self._size, self._fps = size, fps
        self._fit = Fit(*size)
        self._ended = False

    def open(self, picamera2: Any, number: int, flips: dict[str, bool]) -> None:
        picam2 = self._picam2 = picamera2.Picamera2(number)
        frame_us = 1_000_000 // self._fps
        controls: dict[str, Any] = {"FrameDurationLimits": (frame_us, frame_us)}
        if "AfMode" in picam2.camera_controls:
            controls["AfMode"] = _CONTINUOUS
        picam2.configure(
            picam2.create_video_configuration(
                main={"size": self._size, "format": "YUV420"},
                transform=load("libcamera").Transform(**flips),
                controls=controls,
                display=None,
            )
        )
        granted = picam2.camera_configuration()["main"]
        if granted["format"] not in FORMATS:
            raise HardwareError(f"camera {self._device_id} delivers {granted['format']}, which is not known here")
        self._layout = (*granted["size"], granted["stride"], granted["format"])
        picam2.post_callback = self._on_frame
        if self.encodes:
            self._start_encoder()
        picam2.start()

    def close(self) -> None:
        """May hang with the camera's driver.

        picamera2's thread goes first: its `stop` would wait for ever for one that an error has ended.
        """
        self._ended = True
        picam2, self._picam2 = self._picam2, None
        if picam2 is None:
            return
        with suppress(RuntimeError):  # it did not get so far as to have one
            picam2.stop_preview()
        try:
            if self._encoder is not None:
                picam2.stop_encoder(self._encoder)
        finally:
            picam2.close()

    def _start_encoder(self) -> None:
        try:
            encoders = load("picamera2.encoders.h264_encoder")
            outputs = load("picamera2.outputs")
            output = type("Units", (outputs.Output,), {"outputframe": lambda _, *given: self._on_unit(*given)})()
            encoder = encoders.H264Encoder(
                bitrate=START_BITRATE_BPS,
                repeat=True,
                iperiod=KEYFRAME_PERIOD_S * self._fps,
                framerate=self._fps,
                profile="baseline",
            )
            self._picam2.start_encoder(encoder, output, name="main")
            self._encoder = encoder
        except Exception as exc:
            logger.warning("camera %s: the Pi's encoder does not start, encoding in software: %s", self._device_id, exc)
            self.encodes = False

    def _on_frame(self, request: Any) -> None:
        """In picamera2's thread, which an error would end."""
        if self._ended:
            return
        try:
            self.frames += 1
            self._set_controls()
            if not self.encodes or (self.pictures_wanted and self.units):
                frame = picture_of(request.make_buffer("main"), *self._layout)
                captured_s = _captured_s(request.get_metadata().get("SensorTimestamp"))
                self._sink(Picture(self._fit(frame), captured_s))
        except Exception as exc:
            logger.exception("camera %s", self._device_id)
            self._lose(exc)

    def _on_unit(self, data: Any, _keyframe: bool = True, timestamp_us: Any = None, *_more: object) -> None:
        """In the encoder's thread. Its stamps begin with 0 at its first frame."""
        if self._ended or data is None:
            return
        try:
            taken = self._in_band(bytes(data))
            if taken is None:
                return
            first_us = self._encoder.firsttimestamp
            known = first_us is not None and timestamp_us is not None
            self.units += 1
            self._sink(AccessUnit(*taken, _captured_s((first_us + timestamp_us) * 1000 if known else None)))
        except Exception as exc:
            logger.exception("camera %s", self._device_id)
            self._lose(exc)

    def _set_controls(self) -> None:
        while self._encoder is not None and self.to_set:
            cid, value = self.to_set.popitem()
            try:
                set_control(self._encoder.vd.fileno(), cid, value)
            except (OSError, ValueError) as exc:  # ValueError: it is closed already
                level = logging.DEBUG if cid in self._refused else logging.WARNING  # it may be asked twice a second
                self._refused.add(cid)
                logger.log(level, "camera %s: its encoder does not take control %#x: %s", self._device_id, cid, exc)

    def _lose(self, error: Exception) -> None:
        if not self._ended:
            self._ended = True
            self._on_lost(HardwareError(f"camera {self._device_id}: {reason(error)}"))


def load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except Exception as exc:  # a broken installation fails in many ways
        raise HardwareError(f"{module} does not load ({reason(exc)}): apt install python3-picamera2") from exc


def _captured_s(sensor_ns: int | None) -> float:
    """libcamera's SensorTimestamp is on CLOCK_BOOTTIME."""
    ahead_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return capture_time(None if sensor_ns is None else sensor_ns / 1e9, time.monotonic(), ahead_s)


def reason(error: BaseException) -> str:
    """The first cause: picamera2 wraps what libcamera says in words that say nothing."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
