"""The few ioctls of V4L2 that PyAV's capture does not do: what a device is, offers and can be told.

Structures and numbers: linux/videodev2.h and linux/v4l2-controls.h, whose layout is the same on every 32 and 64 bit
machine for those used here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

CAP_VIDEO_CAPTURE = 0x00000001
CAP_VIDEO_M2M_MPLANE, CAP_VIDEO_M2M = 0x00004000, 0x00008000
CAP_STREAMING = 0x04000000
CAP_DEVICE_CAPS = 0x80000000
BUF_TYPE_VIDEO_CAPTURE = 1
FRMSIZE_DISCRETE = FRMIVAL_DISCRETE = 1
CTRL_FLAG_DISABLED = 0x0001

CID_BITRATE = 0x009909CF
CID_FORCE_KEY_FRAME = 0x009909E5
CID_GOP_SIZE = 0x009909CB
CID_H264_I_PERIOD = 0x00990A66

_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FMTDESC = struct.Struct("=III32sI16x")
_FRMSIZE = struct.Struct("=III6I8x")
_FRMIVAL = struct.Struct("=5I6I8x")
_CONTROL = struct.Struct("=Ii")
_QUERYCTRL = struct.Struct("=II32siiiiI8x")

_MAX_ENTRIES = 256  # of one enumeration: a driver that never ends it is broken

Ioctl = Callable[[int, int, bytearray], int]


def _request(direction: int, number: int, size: int) -> int:
    """_IOC(direction, 'V', number, size) of asm-generic/ioctl.h."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


_READ, _READ_WRITE = 2, 3
QUERYCAP = _request(_READ, 0, _CAPABILITY.size)
ENUM_FMT = _request(_READ_WRITE, 2, _FMTDESC.size)
G_CTRL = _request(_READ_WRITE, 27, _CONTROL.size)
S_CTRL = _request(_READ_WRITE, 28, _CONTROL.size)
QUERYCTRL = _request(_READ_WRITE, 36, _QUERYCTRL.size)
ENUM_FRAMESIZES = _request(_READ_WRITE, 74, _FRMSIZE.size)
ENUM_FRAMEINTERVALS = _request(_READ_WRITE, 75, _FRMIVAL.size)


@dataclass(frozen=True, slots=True)
class Capability:
    """`caps` are those of this node, not of the whole device."""

    driver: str
    card: str
    bus: str
    caps: int

    @property
    def captures(self) -> bool:
        """Whether pictures can be taken from it (a codec takes and gives, and is none)."""
        return (
            self.caps & CAP_VIDEO_CAPTURE != 0
            and self.caps & CAP_STREAMING != 0
            and not self.caps & (CAP_VIDEO_M2M | CAP_VIDEO_M2M_MPLANE)
        )


@dataclass(frozen=True, slots=True)
class Size:
    """A size that is offered, or a range of sizes: from `width`x`height` to the largest, in steps."""

    width: int
    height: int
    max_width: int
    max_height: int
    step_width: int
    step_height: int

    def nearest(self, width: int, height: int) -> tuple[int, int]:
        """The size of this range that is nearest to the one wanted."""

        def side(wanted: int, least: int, most: int, step: int) -> int:
            wanted = max(least, min(most, wanted))
            return least + (wanted - least) // max(1, step) * max(1, step)

        return (
            side(width, self.width, self.max_width, self.step_width),
            side(height, self.height, self.max_height, self.step_height),
        )


@dataclass(frozen=True, slots=True)
class Control:
    minimum: int
    maximum: int
    default: int


class Node:
    """One /dev/videoN, opened for questions and controls; pictures come by another way. OSError as the kernel says."""

    def __init__(self, path: str, *, ioctl: Ioctl = fcntl.ioctl) -> None:
        self.path = path
        self._ioctl = ioctl
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def close(self) -> None:
        """Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def capability(self) -> Capability:
        driver, card, bus, _version, all_caps, caps = _CAPABILITY.unpack(self._call(QUERYCAP, _CAPABILITY))
        return Capability(_text(driver), _text(card), _text(bus), caps if all_caps & CAP_DEVICE_CAPS else all_caps)

    def formats(self) -> Iterator[str]:
        """The fourcc of each pixel format that it delivers: "YUYV", "MJPG", "H264"."""
        for index in range(_MAX_ENTRIES):
            answer = self._enumerate(ENUM_FMT, _FMTDESC, index, BUF_TYPE_VIDEO_CAPTURE, 0, b"", 0)
            if answer is None:
                return
            yield _FMTDESC.unpack(answer)[4].to_bytes(4, "little").decode("latin-1")

    def sizes(self, fourcc: str) -> Iterator[Size]:
        for index in range(_MAX_ENTRIES):
            answer = self._enumerate(ENUM_FRAMESIZES, _FRMSIZE, index, _code(fourcc), *[0] * 7)
            if answer is None:
                return
            _, _, kind, *values = _FRMSIZE.unpack(answer)
            if kind == FRMSIZE_DISCRETE:
                yield Size(values[0], values[1], values[0], values[1], 1, 1)
            else:
                yield Size(values[0], values[3], values[1], values[4], values[2], values[5])
                return  # one range is all there is

    def rates(self, fourcc: str, width: int, height: int) -> Iterator[float]:
        """Pictures a second that are offered at this size; of a range its ends."""
        for index in range(_MAX_ENTRIES):
            answer = self._enumerate(ENUM_FRAMEINTERVALS, _FRMIVAL, index, _code(fourcc), width, height, *[0] * 7)
            if answer is None:
                return
            *_, kind, a, b, c, d, _, _ = _FRMIVAL.unpack(answer)
            for numerator, denominator in [(a, b)] if kind == FRMIVAL_DISCRETE else [(a, b), (c, d)]:
                if numerator and denominator:
                    yield denominator / numerator
            if kind != FRMIVAL_DISCRETE:
                return

    def control(self, cid: int) -> Control | None:
        """The range of a control; None if it has none of this kind."""
        answer = self._ask(QUERYCTRL, _QUERYCTRL.pack(cid, 0, b"", 0, 0, 0, 0, 0))
        if answer is None:
            return None
        _, _, _, minimum, maximum, _step, default, flags = _QUERYCTRL.unpack(answer)
        return None if flags & CTRL_FLAG_DISABLED else Control(minimum, maximum, default)

    def get(self, cid: int) -> int | None:
        """The value of a control; None where it cannot be read."""
        answer = self._ask(G_CTRL, _CONTROL.pack(cid, 0))
        return None if answer is None else int(_CONTROL.unpack(answer)[1])

    def set(self, cid: int, value: int) -> None:
        """OSError where the device does not take it."""
        set_control(self._fd, cid, value, ioctl=self._ioctl)

    def _call(self, request: int, layout: struct.Struct) -> bytes:
        buffer = bytearray(layout.size)
        self._ioctl(self._fd, request, buffer)
        return bytes(buffer)

    def _enumerate(self, request: int, layout: struct.Struct, *values: int | bytes) -> bytes | None:
        return self._ask(request, layout.pack(*values))

    def _ask(self, request: int, question: bytes) -> bytes | None:
        """None: there is no such thing, or no such question."""
        buffer = bytearray(question)
        try:
            self._ioctl(self._fd, request, buffer)
        except OSError as exc:
            if exc.errno in (errno.EINVAL, errno.ENOTTY, errno.EACCES, errno.ENODATA):
                return None
            raise
        return bytes(buffer)


def set_control(fd: int, cid: int, value: int, *, ioctl: Ioctl = fcntl.ioctl) -> None:
    """VIDIOC_S_CTRL on a file that somebody else opened. OSError where the device does not take it."""
    ioctl(fd, S_CTRL, bytearray(_CONTROL.pack(cid, value)))


def _code(fourcc: str) -> int:
    return int.from_bytes(fourcc.encode("latin-1"), "little")


def _text(raw: bytes) -> str:
    return raw.split(b"\x00", 1)[0].decode(errors="replace")
