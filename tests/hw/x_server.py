"""A real X server with a screen in memory (Debian's xvfb), and what stands on it."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

WIDTH, HEIGHT = 1280, 720


class XServer:
    def __init__(self, display: str, framebuffer: Path, pid: int) -> None:
        self.display = display
        self.pid = pid
        self._framebuffer = framebuffer

    def picture(self) -> npt.NDArray[np.uint8]:
        """HEIGHT x WIDTH x 3, RGB: what is on the screen now (xwd's file format, version 7)."""
        data = self._framebuffer.read_bytes()
        header = struct.unpack(">25I", data[:100])
        start = header[0] + 12 * header[19]  # behind the header and the colormap
        width, height, stride = header[4], header[5], header[12]
        lines = np.frombuffer(data, np.uint8, stride * height, start).reshape(height, stride)[:, : 4 * width]
        return lines.reshape(height, width, 4)[:, :, 2::-1].copy()

    def resize_windows(self, width: int, height: int) -> None:
        with self._windows() as (xlib, connection, windows):
            for window in windows:
                xlib.XMoveResizeWindow(connection, window, 0, 0, width, height)

    def hide_windows(self) -> None:
        """And shows them again: an X server forgets what was hidden."""
        with self._windows() as (xlib, connection, windows):
            for window in windows:
                xlib.XUnmapWindow(connection, window)
                xlib.XMapWindow(connection, window)

    @contextmanager
    def _windows(self) -> Iterator[tuple[Any, Any, list[Any]]]:
        """Those that are to be seen, as a window manager finds them."""
        xlib = ctypes.CDLL("libX11.so.6")
        xlib.XOpenDisplay.restype = ctypes.c_void_p
        connection = ctypes.c_void_p(xlib.XOpenDisplay(self.display.encode()))
        xlib.XDefaultRootWindow.restype = ctypes.c_ulong
        root, parent, children = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.POINTER(ctypes.c_ulong)()
        count = ctypes.c_uint()
        try:
            top = ctypes.c_ulong(xlib.XDefaultRootWindow(connection))
            found = (ctypes.byref(each) for each in (root, parent, children, count))
            assert xlib.XQueryTree(connection, top, *found)
            yield xlib, connection, [ctypes.c_ulong(window) for window in children[: count.value]]
        finally:
            xlib.XCloseDisplay(connection)  # sends what was asked


@contextmanager
def x_server(directory: Path) -> Iterator[XServer]:
    program = shutil.which("Xvfb")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Xvfb is missing: apt-get install xvfb")
        pytest.skip("Xvfb is missing: apt-get install xvfb")
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", str(directory)]
    process = subprocess.Popen(
        [*command, "-nolisten", "tcp", "-noreset"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as numbers:
            number = numbers.readline().strip()
        assert number, "Xvfb did not start"
        yield XServer(f":{number}", directory / "Xvfb_screen0", process.pid)
    finally:
        process.terminate()
        process.wait(10)
