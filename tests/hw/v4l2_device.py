"""A V4L2 device of bytes: it answers the ioctls of its node out of kernel structures laid out here a second time, by
ctypes, after linux/videodev2.h."""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass, field

U32, I32, CHARS = ctypes.c_uint32, ctypes.c_int32, ctypes.c_char * 32


class Capability(ctypes.Structure):
    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", CHARS),
        ("bus_info", CHARS),
        ("version", U32),
        ("capabilities", U32),
        ("device_caps", U32),
        ("reserved", U32 * 3),
    )


class FmtDesc(ctypes.Structure):
    _fields_ = (
        ("index", U32),
        ("type", U32),
        ("flags", U32),
        ("description", CHARS),
        ("pixelformat", ctypes.c_char * 4),
        ("mbus_code", U32),
        ("reserved", U32 * 3),
    )


class FrmSize(ctypes.Structure):
    """`union`: discrete width, height; stepwise min_width, max_width, step_width, the same of the height."""

    _fields_ = (
        ("index", U32),
        ("pixel_format", ctypes.c_char * 4),
        ("type", U32),
        ("union", U32 * 6),
        ("reserved", U32 * 2),
    )


class FrmIval(ctypes.Structure):
    """`union`: discrete numerator, denominator; stepwise those of min, max and step."""

    _fields_ = (
        ("index", U32),
        ("pixel_format", ctypes.c_char * 4),
        ("width", U32),
        ("height", U32),
        ("type", U32),
        ("union", U32 * 6),
        ("reserved", U32 * 2),
    )


class Control(ctypes.Structure):
    _fields_ = (("id", U32), ("value", I32))


class QueryCtrl(ctypes.Structure):
    _fields_ = (
        ("id", U32),
        ("type", U32),
        ("name", CHARS),
        ("minimum", I32),
        ("maximum", I32),
        ("step", I32),
        ("default_value", I32),
        ("flags", U32),
        ("reserved", U32 * 2),
    )


STRUCTS = {0: Capability, 2: FmtDesc, 27: Control, 28: Control, 36: QueryCtrl, 74: FrmSize, 75: FrmIval}
Sizes = dict[tuple[int, int], list[float]]  # rates by size


@dataclass
class Device:
    """`formats`: sizes and rates by fourcc; a list of six numbers instead of sizes is a range. `values`: controls."""

    formats: dict[str, Sizes | list[int]] = field(default_factory=dict)
    values: dict[int, int] = field(default_factory=dict)
    driver: str = "uvcvideo"
    card: str = "A webcam"
    caps: int = 0x04200001
    refuses: int = 0  # errno of every S_CTRL
    was_set: list[tuple[int, int]] = field(default_factory=list)

    def ioctl(self, _fd: int, request: int, buffer: bytearray) -> int:
        number, size = request & 0xFF, request >> 16 & 0x3FFF
        structure = STRUCTS[number]
        assert (request >> 8 & 0xFF, size, len(buffer)) == (ord("V"), ctypes.sizeof(structure), size)
        answer = getattr(self, f"_answer_{number}")(structure.from_buffer_copy(buffer))
        if answer is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        buffer[:] = bytes(answer)
        return 0

    def _answer_0(self, asked: Capability) -> Capability:
        asked.driver, asked.card, asked.bus_info = self.driver.encode(), self.card.encode(), b"usb-1"
        asked.capabilities, asked.device_caps = 0x84A00001, self.caps
        return asked

    def _answer_2(self, asked: FmtDesc) -> FmtDesc | None:
        if asked.type != 1 or asked.index >= len(self.formats):
            return None
        asked.pixelformat, asked.description = list(self.formats)[asked.index].encode(), b"some words"
        return asked

    def _answer_74(self, asked: FrmSize) -> FrmSize | None:
        sizes = self.formats.get(asked.pixel_format.decode(), {})
        if asked.index >= (1 if isinstance(sizes, list) else len(sizes)):
            return None
        if isinstance(sizes, list):
            asked.type, asked.union = 3, (U32 * 6)(*sizes)
        else:
            asked.type, asked.union = 1, (U32 * 6)(*list(sizes)[asked.index])
        return asked

    def _answer_75(self, asked: FrmIval) -> FrmIval | None:
        sizes = self.formats.get(asked.pixel_format.decode(), {})
        if isinstance(sizes, list):
            asked.type, asked.union = 2, (U32 * 6)(1, 60, 1, 5, 1, 1)
            return asked if asked.index == 0 else None
        rates = sizes.get((asked.width, asked.height), [])
        if asked.index >= len(rates):
            return None
        asked.type, asked.union = 1, (U32 * 6)(1000, round(rates[asked.index] * 1000))
        return asked

    def _answer_36(self, asked: QueryCtrl) -> QueryCtrl | None:
        if asked.id not in self.values:
            return None
        asked.minimum, asked.maximum, asked.step, asked.default_value = -5, 25_000_000, 1, self.values[asked.id]
        return asked

    def _answer_27(self, asked: Control) -> Control | None:
        if asked.id not in self.values:
            return None
        asked.value = self.values[asked.id]
        return asked

    def _answer_28(self, asked: Control) -> Control | None:
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        self.was_set.append((asked.id, asked.value))
        self.values[asked.id] = asked.value
        return asked
