"""Camera on a USB webcam or HDMI bridge: /dev/videoN through PyAV's v4l2 input."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import av
from av.container import InputContainer
from av.error import InvalidDataError

from hw import HardwareError, OnLost, PictureSink
from hw.v4l2_devices import cameras, encoder_controls, offers
from hw.v4l2_formats import FFMPEG_NAMES, Choice, EncoderUse, choose
from hw.v4l2_ioctl import Node
from hw.v4l2_stream import PictureStream, Stream, UnitStream

logger = logging.getLogger(__name__)

_POLL_S = 0.004  # how often an empty device is asked again: a small part of a frame
_CLOSE_S = 1.0
_TO_DO = {
    errno.EBUSY: "another program uses it: stop that one",
    errno.EACCES: "its user may not open it: add that user to the group video",
    errno.EPERM: "its user may not open it: add that user to the group video",
}

OpenContainer = Callable[[str, Choice], InputContainer]


class V4l2Camera:
    """`device` "": the first camera that is there. `start` raises HardwareError naming the device.

    Pictures are scaled to width x height, with their proportions kept, where the device has no such size; access units
    have the size that it has.
    """

    def __init__(
        self,
        device: str = "",
        width: int = 1280,
        height: int = 720,
        fps: int = 30,
        *,
        encoder: EncoderUse = "auto",
        open_node: Callable[[str], Node] = Node,
        open_container: OpenContainer | None = None,
    ) -> None:
        self.device_id = device or "v4l2"
        self.width, self.height, self.fps = width, height, fps
        self._device, self._encoder = device, encoder
        self._open_node, self._open_container = open_node, open_container or _open
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream: Stream | None = None
        self._pictures_wanted = False

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        self.close()
        self.device_id = device = self._device or self._first()
        if not Path(device).exists():
            raise HardwareError(f"camera {device} is not there; plug it in or choose another device")
        try:
            node = self._open_node(device)
        except OSError as error:
            raise self._error(error) from error
        try:
            choice = self._choose(node)
            container = self._open_container(device, choice)
        except (av.FFmpegError, OSError) as error:
            node.close()
            raise self._error(error) from error
        except BaseException:
            node.close()
            raise
        logger.info("camera %s: %s, %s", device, choice.offer, "passed through" if choice.pass_through else "decoded")
        stream = self._stream = (
            UnitStream(sink, node, self.width, self.height)
            if choice.pass_through
            else PictureStream(sink, self.width, self.height)
        )
        stream.want_pictures(self._pictures_wanted)
        self._stop = stop = threading.Event()

        def run() -> None:
            with closing(node), closing(container):
                try:
                    self._capture(container, stop, stream)
                except Exception as error:  # of whatever kind: a thread that ends says so
                    if not stop.is_set():
                        if not isinstance(error, (av.FFmpegError, OSError)):
                            logger.exception("camera %s", device)
                        on_lost(self._error(error))

        self._thread = threading.Thread(target=run, name="v4l2-camera", daemon=True)
        self._thread.start()

    def request_keyframe(self) -> None:
        if self._stream is not None:
            self._stream.request_keyframe()

    def set_bitrate(self, bps: int) -> None:
        if self._stream is not None:
            self._stream.set_bitrate(bps)

    def want_pictures(self, wanted: bool) -> None:
        self._pictures_wanted = wanted
        if self._stream is not None:
            self._stream.want_pictures(wanted)

    def close(self) -> None:
        self._stop.set()
        self._stream = None
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_S)

    def _first(self) -> str:
        device = next(cameras(open_node=self._open_node), "")
        if not device:
            raise HardwareError("there is no camera at /dev/video*; plug one in, or let this user into the group video")
        return device

    def _choose(self, node: Node) -> Choice:
        if not node.capability().captures:
            raise HardwareError(f"camera {self.device_id}: this device delivers no pictures; choose another one")
        found = offers(node, self.width, self.height, self.fps)
        choice = choose(found, encoder_controls(node), self.width, self.height, self.fps, self._encoder)
        if choice is None:
            formats = ", ".join(node.formats()) or "none"
            raise HardwareError(f"camera {self.device_id}: its formats ({formats}) are not known; choose another one")
        return choice

    def _error(self, error: Exception) -> HardwareError:
        reason = getattr(error, "strerror", error)
        to_do = _TO_DO.get(getattr(error, "errno", None) or 0, "is it plugged in and free?")
        return HardwareError(f"camera {self.device_id}: {reason}; {to_do}")

    def _capture(self, container: InputContainer, stop: threading.Event, stream: Stream) -> None:
        while not stop.is_set():
            try:
                for packet in container.demux(video=0):
                    if packet.size == 0:  # the end, or a buffer that the driver calls corrupt
                        if packet.dts is None:
                            raise OSError(errno.ENODEV, "it delivers no more")
                        continue
                    stream.take(packet, time.monotonic())
                    if stop.is_set():
                        return
            except BlockingIOError:
                stop.wait(_POLL_S)
            except InvalidDataError:  # a torn MJPEG picture, common at start
                continue


def _open(device: str, choice: Choice) -> InputContainer:
    offer = choice.offer
    options = {
        "input_format": FFMPEG_NAMES[offer.fourcc][0],
        "video_size": f"{offer.width}x{offer.height}",
        "framerate": f"{offer.fps:g}",
        "fflags": "4",  # AVFMT_FLAG_NONBLOCK: a camera that stands still must not hold up close()
        "probesize": "32",  # the first buffer says all that is needed
    }
    return av.open(device, format="v4l2", options=options)
