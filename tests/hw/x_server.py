"""A real X server with a screen in memory (Debian's xvfb), and what stands on it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

WIDTH, HEIGHT = 1280, 720


class XServer:
    def __init__(self, display: str, framebuffer: Path) -> None:
        self.display = display
        self._framebuffer = framebuffer

    def picture(self) -> npt.NDArray[np.uint8]:
        """HEIGHT x WIDTH x 3, RGB: what is on the screen now (xwd's file format, version 7)."""
        data = self._framebuffer.read_bytes()
        header = struct.unpack(">25I", data[:100])
        start = header[0] + 12 * header[19]  # behind the header and the colormap
        width, height, stride = header[4], header[5], header[12]
        lines = np.frombuffer(data, np.uint8, stride * height, start).reshape(height, stride)[:, : 4 * width]
        return lines.reshape(height, width, 4)[:, :, 2::-1].copy()


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
        yield XServer(f":{number}", directory / "Xvfb_screen0")
    finally:
        process.terminate()
        process.wait(10)
