"""Access units of a camera that encodes: refused or passed on, untouched, and what the camera is asked meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from appliance.media.gate import Gate
from appliance.media.merge import BitrateRequests, KeyframeRequests
from hw import AccessUnit
from hw.annexb import is_keyframe, parse_access_unit


@dataclass(frozen=True, slots=True)
class CameraCalls:
    """What is asked of the camera, from its own thread. They return at once."""

    keyframe: Callable[[], None]
    bitrate: Callable[[int], None]


class PassThrough:
    """One camera, from its start to its end. `request_keyframe` and `want_bitrate` in any thread."""

    def __init__(self, bitrate_bps: int, calls: CameraCalls) -> None:
        self._calls = calls
        self._lock = threading.Lock()
        self._keyframes = KeyframeRequests()
        self._bitrate = BitrateRequests(bitrate_bps)
        self._epoch: int | None = None  # of the gate, when the last unit passed
        self._broken = False  # what comes refers to a picture that did not

    def request_keyframe(self) -> None:
        """Asked of the camera with its next access unit, and again until one comes."""
        with self._lock:
            self._keyframes = self._keyframes.request()

    def want_bitrate(self, bps: int) -> None:
        """Told to the camera with one of its next access units."""
        with self._lock:
            self._bitrate = self._bitrate.want(bps)

    def refused(self) -> None:
        """A unit was none: receivers cannot decode on before the next key frame."""
        self._broken = True
        self.request_keyframe()

    def take(self, gate: Gate, unit: AccessUnit, now_s: float) -> bool | None:
        """Whether a good unit is a key frame; None: it must not go out.

        The first that passes an opened gate is a key frame.
        """
        keyframe = is_keyframe(parse_access_unit(unit.data))
        passes = gate.passes(unit.captured_s)
        if passes and gate.epoch != self._epoch and not self._broken:
            self._broken = True
            with self._lock:
                self._keyframes = KeyframeRequests(asked=True)  # at once, whenever the last one was
        if passes:
            self._epoch = gate.epoch
            self._ask(keyframe, now_s)
        if not passes or (self._broken and not keyframe):
            return None
        self._broken = False
        return keyframe

    def _ask(self, keyframe: bool, now_s: float) -> None:
        with self._lock:
            if keyframe:
                self._keyframes = self._keyframes.made(now_s)
            ask = self._keyframes.due(now_s)
            if ask:
                self._keyframes = KeyframeRequests(asked=True, last_s=now_s)
            tell = self._bitrate.due(now_s)
            if tell:
                self._bitrate = self._bitrate.told(now_s)
            bps = self._bitrate.wanted_bps
        if ask:
            self._calls.keyframe()
        if tell:
            self._calls.bitrate(bps)
