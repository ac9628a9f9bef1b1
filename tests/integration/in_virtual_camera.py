"""Runs beside a libcamera with its virtual camera: the unit's driver on the real picamera2; prints what came as JSON.

python3 in_virtual_camera.py [raw | encoder | dies]

What picamera2 imports and never needs here is stood in for. The virtual camera has no raw stream, of which picamera2
wants to know the modes, and its buffers are libcamera's own. A Pi's encoder is a device: in its place stands
picamera2's encoder in software, on pictures copied out of the buffers.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import sys
import threading
import time
from types import ModuleType
from typing import Any

ABSENT = {"simplejpeg", "pidng", "pidng.core", "pidng.camdefs", "pykms", "prctl", "jsonschema", "libarchive", "tqdm"}
SIZE = (1280, 720)


class Anything:
    def __getattr__(self, name: str) -> Any:
        return Anything()

    def __call__(self, *_: object, **__: object) -> Any:
        return self


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name in ABSENT else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)
        module.__getattr__ = lambda name: Anything()  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def prepare() -> None:
    sys.meta_path.insert(0, Absent())
    import picamera2
    from picamera2.allocators.libcameraallocator import LibcameraAllocator
    from picamera2.encoders import LibavH264Encoder

    opened = picamera2.Picamera2.__init__

    def open_with_allocator(self: Any, *arguments: object) -> None:
        opened(self, *arguments)
        self.allocator = LibcameraAllocator(self.camera)

    picamera2.Picamera2.__init__ = open_with_allocator
    picamera2.Picamera2._get_raw_modes = lambda self: []
    picamera2.Picamera2._select_native_mode = lambda self, modes: {"size": SIZE, "format": "SRGGB10"}

    class Encoder(LibavH264Encoder):  # type: ignore[misc]
        """With the signature of the Pi's, and a file where that has its device."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.vd = open("/dev/null", "rb")  # noqa: SIM115

        @property
        def format(self) -> str:
            return "YUV420"

        @format.setter
        def format(self, value: str) -> None:
            self._format = "YUV420"

        def _encode(self, stream: Any, request: Any) -> None:
            import av

            if sys.argv[1] == "dies":
                raise OSError("the device is gone")
            planes = request.make_buffer("main")[: SIZE[0] * SIZE[1] * 3 // 2].reshape(-1, SIZE[0])
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = self._timestamp(request)
            for packet in self._stream.codec_context.encode(frame):
                self.outputframe(bytes(packet), packet.is_keyframe, frame.pts, packet, False)

    import picamera2.encoders.h264_encoder as real

    assert real.H264Encoder.__init__.__code__.co_varnames[1:6] == (
        "bitrate",
        "repeat",
        "iperiod",
        "framerate",
        "enable_sps_framerate",
    )
    real.H264Encoder = Encoder


def run(mode: str) -> dict[str, Any]:
    from hw import AccessUnit, Picture
    from hw.picamera import PiCamera, cameras

    camera = PiCamera("", *SIZE, 30, find_encoder=lambda: mode != "raw")
    openings = []
    for number in range(2):
        camera.want_pictures(number == 1)
        items: list[dict[str, Any]] = []
        enough = threading.Event()

        def take(
            item: Picture | AccessUnit, items: list[dict[str, Any]] = items, enough: threading.Event = enough
        ) -> None:
            seen: dict[str, Any] = {"type": type(item).__name__, "age_s": time.monotonic() - item.captured_s}
            if isinstance(item, Picture):
                seen |= {"size": [item.frame.width, item.frame.height], "format": item.frame.format.name}
                seen["luma"] = sorted({int(value) for value in item.frame.to_ndarray()[100, ::80]})
            else:
                seen |= {"keyframe": item.keyframe, "head": item.data[:5].hex()}
            items.append(seen)
            if len(items) >= 20:
                enough.set()
            time.sleep(1 / 60)  # the virtual camera has no pace of its own

        lost: list[str] = []
        camera.start(take, lambda error, lost=lost: lost.append(str(error)))  # type: ignore[misc]
        enough.wait(1 if mode == "dies" else 20)
        closing_s = time.monotonic()
        camera.close()
        took_s = time.monotonic() - closing_s
        openings.append({"items": items[:20], "lost": lost, "close_s": took_s, "device_id": camera.device_id})
    return {"cameras": cameras(), "openings": openings}


if __name__ == "__main__":
    prepare()
    json.dump(run(sys.argv[1]), sys.stdout)
