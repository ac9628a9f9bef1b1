"""Camera on a USB webcam or HDMI bridge: /dev/videoN through PyAV's v4l2 input."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
from av.container import InputContainer
from av.error import InvalidDataError

from hw import AccessUnit, HardwareError, Picture
from hw.fit import Fit
from hw.plug import OnLost

_POLL_S = 0.004  # how often an empty device is asked again: a small part of a frame
_CLOSE_S = 1.0


class V4l2Camera:
    """`start` raises HardwareError naming the device. The driver may deliver another size; pictures are scaled."""

    def __init__(self, device: str = "/dev/video0", width: int = 1280, height: int = 720, fps: int = 30) -> None:
        self.device_id = device
        self.width, self.height, self.fps = width, height, fps
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: OnLost) -> None:
        self.close()
        container = self._open()
        self._stop = stop = threading.Event()

        def run() -> None:
            try:
                self._capture(container, stop, sink)
            except (av.FFmpegError, OSError) as error:
                if not stop.is_set():
                    on_lost(self._error(error))
            finally:
                container.close()

        self._thread = threading.Thread(target=run, name="v4l2-camera", daemon=True)
        self._thread.start()

    def request_keyframe(self) -> None:
        pass

    def set_bitrate(self, bps: int) -> None:
        pass

    def close(self) -> None:
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_S)

    def _error(self, error: Exception) -> HardwareError:
        reason = getattr(error, "strerror", error)
        return HardwareError(f"camera {self.device_id}: {reason}; is it plugged in and free?")

    def _open(self) -> InputContainer:
        if not Path(self.device_id).exists():
            raise HardwareError(f"camera {self.device_id} is not there; plug it in or choose another device")
        options = {
            "video_size": f"{self.width}x{self.height}",
            "framerate": str(self.fps),
            "fflags": "4",  # AVFMT_FLAG_NONBLOCK: a camera that stands still must not hold up close()
        }
        try:
            return av.open(self.device_id, format="v4l2", options=options)
        except (av.FFmpegError, OSError) as error:
            raise self._error(error) from error

    def _capture(
        self, container: InputContainer, stop: threading.Event, sink: Callable[[Picture | AccessUnit], None]
    ) -> None:
        fit = Fit(self.width, self.height)
        while not stop.is_set():
            try:
                for frame in container.decode(video=0):
                    sink(Picture(fit(frame), time.monotonic()))
                    if stop.is_set():
                        return
            except BlockingIOError:
                stop.wait(_POLL_S)
            except InvalidDataError:  # a torn MJPEG picture, common at start
                continue
