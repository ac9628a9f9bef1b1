"""picamera2 and libcamera as far as `hw.picamera` touches them, in place of a camera port that is not there."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hw import Picture
from hw.encoding import _Encoder
from tests.appliance.media.pictures import picture

PORT_ID = "/base/soc/i2c0mux/i2c@1/imx708@1a"
USB_ID = "/base/scb/pcie@7d500000/usb@0,0-1.2:1.0-046d:0825"


class Output:
    pass


class H264Encoder:
    """Encodes really; `fails` at its start, `silent`: it takes frames and gives nothing."""

    fails = silent = False
    made: list[H264Encoder]

    def __init__(self, bitrate: int, repeat: bool, iperiod: int, framerate: int, profile: str) -> None:
        self.settings = (bitrate, repeat, iperiod, framerate, profile)
        self.firsttimestamp: int | None = None
        self.vd = Path("/dev/null").open("rb")  # noqa: SIM115  # closed by `stop_encoder`
        self.output: Any = None
        self._encoder = _Encoder(framerate)
        self.made.append(self)

    def encode(self, frame: Picture, sensor_us: int) -> None:
        self.firsttimestamp = sensor_us if self.firsttimestamp is None else self.firsttimestamp
        data = self._encoder.encode(frame, 1_000_000, keyframe=False)
        if not self.silent:
            self.output.outputframe(data, True, sensor_us - self.firsttimestamp, None, False)


class Request:
    def __init__(self, number: int, size: tuple[int, int], stride: int, sensor_ns: int) -> None:
        self.frame = picture(number, *size)
        self._padded = np.zeros((size[1] * 3 // 2, stride), np.uint8)
        planes, height = self.frame.to_ndarray(), size[1]
        self._padded[:height, : size[0]] = planes[:height]
        chroma = planes[height:].reshape(height, size[0] // 2)
        self._padded[height:].reshape(height, stride // 2)[:, : size[0] // 2] = chroma
        self.sensor_ns = sensor_ns

    def make_buffer(self, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        assert name == "main"
        return self._padded.reshape(-1).copy()

    def get_metadata(self) -> dict[str, Any]:
        return {"SensorTimestamp": self.sensor_ns, "Lux": 400.0}


class Picamera2:
    """60 frames a second on a thread of its own, as picamera2 has it; its close joins it."""

    found: list[dict[str, Any]]
    made: list[Picamera2]
    busy = False
    granted: tuple[tuple[int, int], int] | None = None  # size and stride that the camera makes of any wish
    format = "YUV420"
    hangs: threading.Event | None = None
    camera_controls = ("AfMode", "FrameDurationLimits")

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.found

    def __init__(self, number: int) -> None:
        if self.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.") from RuntimeError("Device busy")
        self.number = number
        self.post_callback: Callable[[Request], None] = lambda request: None
        self.closed = False
        self.encoder: H264Encoder | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-picamera2", daemon=True)
        self.made.append(self)

    def create_video_configuration(
        self, main: dict[str, Any], transform: Any, controls: dict[str, Any], display: str | None
    ) -> dict[str, Any]:
        assert main["format"] == "YUV420"
        assert display is None
        size, stride = self.granted or (main["size"], main["size"][0])
        granted = {"format": self.format, "size": size, "stride": stride}
        return {"main": granted, "transform": transform, "controls": controls}

    def configure(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration

    def camera_configuration(self) -> dict[str, Any]:
        return self.configuration

    def start_encoder(self, encoder: H264Encoder, output: Output, name: str) -> None:
        assert name == "main"
        assert isinstance(output, Output)
        if encoder.fails:
            encoder.vd.close()
            raise OSError("No such process")
        encoder.output = output
        self.encoder = encoder

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(1 / 60):
            main = self.configuration["main"]
            sensor_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 20_000_000
            request = Request(number, main["size"], main["stride"], sensor_ns)
            self.post_callback(request)
            if self.encoder is not None:
                self.encoder.encode(Picture(request.frame, sensor_ns / 1e9), sensor_ns // 1000)
            number += 1

    def stop_preview(self) -> None:
        if self._thread.ident is None:
            raise RuntimeError("No preview specified.")
        if self.hangs is not None:
            self.hangs.wait()
        self._stopped.set()
        self._thread.join()

    def stop_encoder(self, encoder: H264Encoder) -> None:
        encoder.vd.close()

    def close(self) -> None:
        self.closed = True


class Pi:
    """The installed modules; their classes, made anew for each test, are there to be set and asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.controls: list[tuple[int, int]] = []
        found = [{"Id": USB_ID, "Model": "webcam", "Num": 0}, {"Id": PORT_ID, "Model": "imx708", "Num": 1}]
        self.picamera2: Any = type("Picamera2", (Picamera2,), {"found": found, "made": []})
        self.encoder: Any = type("H264Encoder", (H264Encoder,), {"made": []})
        contents: dict[str, dict[str, Any]] = {
            "picamera2": {"Picamera2": self.picamera2},
            "picamera2.encoders": {},
            "picamera2.encoders.h264_encoder": {"H264Encoder": self.encoder},
            "picamera2.outputs": {"Output": Output},
            "libcamera": {"Transform": lambda **flips: flips},
        }
        for name, members in contents.items():
            module = ModuleType(name)
            module.__dict__.update(members, __path__=[])
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr("hw.picamera_run.set_control", lambda _fd, cid, value: self.controls.append((cid, value)))

    @property
    def opened(self) -> Picamera2:
        camera: Picamera2 = self.picamera2.made[-1]
        return camera
