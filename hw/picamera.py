"""Camera on a Raspberry Pi's camera port, by picamera2: the Pi's own H.264 where it has an encoder, else pictures.

Pi Zero 2, 3 and 4 have one, behind /dev/video11; a Pi 5 has none, and this unit encodes in software by itself.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hw import HardwareError, OnLost, PictureSink
from hw.picamera_run import Running, load, reason
from hw.v4l2_formats import EncoderUse
from hw.v4l2_ioctl import CID_BITRATE, CID_FORCE_KEY_FRAME, Node

logger = logging.getLogger(__name__)

ENCODER = "/dev/video11"
ENCODER_CARD = "bcm2835-codec-encode"
_CLOSE_S = 1.0
_SILENT_FRAMES = 30  # of the sensor without one access unit: this encoder does not work


def is_installed() -> bool:
    """Whether picamera2 could be imported: Debian's python3-picamera2, on a Pi."""
    return importlib.util.find_spec("picamera2") is not None


def cameras() -> list[str]:
    """The ids of the cameras that libcamera finds, those on USB left out. HardwareError: picamera2 does not load."""
    return [info["Id"] for info in _camera_info(load("picamera2"))]


def has_encoder(path: str = ENCODER, *, open_node: Callable[[str], Node] = Node) -> bool:
    """Whether this machine has a Pi's H.264 encoder."""
    try:
        node = open_node(path)
    except OSError:
        return False
    try:
        return node.capability().card == ENCODER_CARD
    except OSError:
        return False
    finally:
        node.close()


class PiCamera:
    """`camera`: a part of libcamera's id, "" for the first. `upside_down` and `mirror` are done by the sensor.

    Without an encoder, or with `encoder` "software", it delivers pictures only.
    """

    def __init__(
        self,
        camera: str = "",
        width: int = 1280,
        height: int = 720,
        fps: int = 30,
        *,
        upside_down: bool = False,
        mirror: bool = False,
        encoder: EncoderUse = "auto",
        find_encoder: Callable[[], bool] = has_encoder,
    ) -> None:
        self.device_id = camera or "picamera2"
        self.width, self.height, self.fps = width, height, fps
        self._camera = camera
        self._flips = {"hflip": upside_down != mirror, "vflip": upside_down}
        self._encoder, self._find_encoder = encoder, find_encoder
        self._pictures_wanted = False
        self._running: Running | None = None
        self._closing: threading.Thread | None = None

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        """Takes a second or two: libcamera looks for cameras, and the sensor starts."""
        self.close()
        if self._closing is not None and self._closing.is_alive():
            raise HardwareError(
                f"camera {self.device_id}: libcamera still holds it, though told to let go; restart the unit"
            )
        picamera2 = load("picamera2")
        number, self.device_id = self._find(picamera2)
        size = (self.width, self.height)
        running = Running(self.device_id, size, self.fps, self._wants_encoder(), sink, on_lost)
        running.pictures_wanted = self._pictures_wanted
        try:
            running.open(picamera2, number, self._flips)
        except Exception as exc:  # picamera2 and libcamera raise whatever they like
            with suppress(Exception):
                running.close()
            if isinstance(exc, HardwareError):
                raise
            raise HardwareError(
                f"camera {self.device_id}: {reason(exc)}; does another program use it? (fuser -v /dev/media*)"
            ) from exc
        self._running = running

    def request_keyframe(self) -> None:
        if self._running is not None:
            self._running.to_set[CID_FORCE_KEY_FRAME] = 1

    def set_bitrate(self, bps: int) -> None:
        if self._running is not None:
            self._running.to_set[CID_BITRATE] = bps

    def want_pictures(self, wanted: bool) -> None:
        self._pictures_wanted = wanted
        if self._running is not None:
            self._running.pictures_wanted = wanted

    def close(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        if running.encodes and running.frames >= _SILENT_FRAMES and not running.units:
            logger.warning("camera %s: the Pi's encoder gave nothing; encoding in software from now on", self.device_id)
            self._encoder = "software"
        self._closing = threading.Thread(target=running.close, name="picamera2-close", daemon=True)
        self._closing.start()
        self._closing.join(_CLOSE_S)

    def _find(self, picamera2: Any) -> tuple[int, str]:
        found = _camera_info(picamera2)
        for info in found:
            if self._camera in info["Id"]:
                return info["number"], info["Id"]
        if found:
            names = ", ".join(info["Id"] for info in found)
            raise HardwareError(f"camera {self._camera} is not there; libcamera finds {names}")
        raise HardwareError(
            "libcamera finds no camera: switch off, check both ends of the ribbon cable, and try rpicam-hello"
        )

    def _wants_encoder(self) -> bool:
        if self._encoder == "software":
            return False
        found = self._find_encoder()
        if not found and self._encoder == "hardware":
            logger.warning("camera %s: this machine has no H.264 encoder; encoding in software", self.device_id)
        return found


def _camera_info(picamera2: Any) -> list[dict[str, Any]]:
    try:
        found = picamera2.Picamera2.global_camera_info()
    except Exception as exc:
        raise HardwareError(f"libcamera: {reason(exc)}; may this user read /dev/media*? (group video)") from exc
    return [info | {"number": number} for number, info in enumerate(found) if "/usb" not in info["Id"]]
