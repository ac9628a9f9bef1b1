"""The camera: grabs a second of pictures and judges the last one."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt

from appliance.devices import FIRST_DELIVERY_S
from appliance.doctor.delivery import Delivery
from appliance.doctor.finding import Fact, Finding
from hw import AccessUnit, Camera, Picture

LOOK_S = 1.0
REMEDY = 'plug it in or mend it, or change [video] driver and device; driver "none" does without'

# Luma 0..255; video black is 16
_BLACK = 32.0
_WHITE = 250.0
_FLAT = 1.0


class _Eye:
    """What the camera's thread delivers: the last picture, or, of one that encodes, the units since the key frame."""

    def __init__(self) -> None:
        self.delivery = Delivery()
        self._pictures_s: list[float] = []
        self._units_s: list[float] = []
        self._picture: Picture | None = None
        self._units: list[AccessUnit] = []
        self._lock = threading.Lock()

    def see(self, picture: Picture | AccessUnit) -> None:
        with self._lock:
            is_first = not self._pictures_s and not self._units_s
            if isinstance(picture, Picture):
                self._pictures_s.append(time.monotonic())
                self._picture = picture
            else:
                self._units_s.append(time.monotonic())
                self._units = [picture] if picture.keyframe else [*self._units, picture]
        if is_first:
            self.delivery.come()

    @property
    def encodes(self) -> bool:
        """It may deliver raw pictures beside."""
        return bool(self._units_s)

    @property
    def fps(self) -> float:
        return fps(self._units_s or self._pictures_s)

    def last_frame(self) -> av.VideoFrame | None:
        with self._lock:
            units, picture = list(self._units), self._picture
        if self.encodes:
            return decode(units) if units[0].keyframe else None
        return picture.frame if picture is not None else None


def check_camera(camera: Camera, timeout_s: float = FIRST_DELIVERY_S, look_s: float = LOOK_S) -> Finding:
    """Blocks for `look_s` after the first picture. Raises what a broken driver raises."""
    eye = _Eye()

    def start() -> None:
        camera.start(eye.see, eye.delivery.lose)
        camera.request_keyframe()

    try:
        silence = f"{camera.device_id} opens, and delivers nothing"
        error = eye.delivery.trouble(start, timeout_s, look_s, silence)
    finally:
        camera.close()
    if error is not None:
        return Finding("camera", "failed", str(error), REMEDY)
    frame = eye.last_frame()
    if frame is None:
        message = f"{camera.device_id} delivers H.264 without a key frame, or that cannot be decoded"
        return Finding("camera", "failed", message, REMEDY)
    return judge(camera, frame, eye.fps, "H.264" if eye.encodes else "raw")


def decode(units: Sequence[AccessUnit]) -> av.VideoFrame | None:
    """The last picture of H.264 that begins with a key frame; None when there is none."""
    decoder = av.CodecContext.create("h264", "r")
    last: av.VideoFrame | None = None
    try:
        for unit in units:
            for frame in decoder.decode(av.Packet(unit.data)):
                last = frame if isinstance(frame, av.VideoFrame) else last
        for frame in decoder.decode(None):
            last = frame if isinstance(frame, av.VideoFrame) else last
    except av.FFmpegError:
        return last
    return last


def fps(times_s: Sequence[float]) -> float:
    """Pictures a second between the first and the last; 0 of fewer than two."""
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return 0.0
    return (len(times_s) - 1) / (times_s[-1] - times_s[0])


def judge(camera: Camera, frame: av.VideoFrame, rate: float, encoded: str) -> Finding:
    """Size, rate and brightness of what was seen."""
    light = luma(frame)
    mean, spread, bright = float(light.mean()), float(light.std()), float(np.percentile(light, 99))
    percent = round(100 * mean / 255)
    facts: dict[str, Fact] = {
        "device": camera.device_id,
        "encoding": encoded,
        "width": frame.width,
        "height": frame.height,
        "fps": round(rate, 1),
        "brightness_percent": percent,
    }
    words = (
        f"{camera.device_id} delivers {frame.width}x{frame.height} at {rate:.0f} fps ({encoded}), "
        f"brightness {percent} %"
    )
    if bright < _BLACK:
        remedy = "take off the lens cap, open the shutter, or switch on a light"
        return Finding("camera", "warning", f"{words}: the picture is black", remedy, facts)
    if mean > _WHITE:
        remedy = "turn it away from the light"
        return Finding("camera", "warning", f"{words}: the picture is white", remedy, facts)
    if spread < _FLAT:
        remedy = "is something close before the lens? A loose ribbon cable looks so too"
        return Finding("camera", "warning", f"{words}: one even gray", remedy, facts)
    if rate < camera.fps / 2:
        remedy = f"{camera.fps} fps were asked for: more light, a shorter cable, or a smaller [video] width and height"
        return Finding("camera", "warning", f"{words}: slow", remedy, facts)
    return Finding("camera", "ok", words, facts=facts)


def luma(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """Height x width, uint8, of a planar YUV picture."""
    plane = frame.planes[0]
    rows: npt.NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]
