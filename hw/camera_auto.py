"""The camera that is there: the one on the Pi's camera port, else the first one of V4L2."""

from __future__ import annotations

from collections.abc import Sequence

from hw import Camera, HardwareError, OnLost, PictureSink, RawPictures


class AutoCamera:
    """At each `start` the first of `candidates` that starts; HardwareError says of each why it did not.

    All candidates have one size and rate; there is at least one.
    """

    def __init__(self, candidates: Sequence[Camera]) -> None:
        first = candidates[0]
        self.device_id = "auto"
        self.width, self.height, self.fps = first.width, first.height, first.fps
        self._candidates = candidates
        self._camera: Camera | None = None
        self._pictures_wanted = False

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        self.close()
        reasons = []
        for camera in self._candidates:
            if isinstance(camera, RawPictures):
                camera.want_pictures(self._pictures_wanted)
            try:
                camera.start(sink, on_lost)
            except HardwareError as exc:
                reasons.append(str(exc))
                continue
            self._camera, self.device_id = camera, camera.device_id
            return
        raise HardwareError("no camera: " + "; or ".join(reasons))

    def request_keyframe(self) -> None:
        if self._camera is not None:
            self._camera.request_keyframe()

    def set_bitrate(self, bps: int) -> None:
        if self._camera is not None:
            self._camera.set_bitrate(bps)

    def want_pictures(self, wanted: bool) -> None:
        self._pictures_wanted = wanted
        if isinstance(self._camera, RawPictures):
            self._camera.want_pictures(wanted)

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
