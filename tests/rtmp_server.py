"""An RTMP server to push to: Debian's nginx with its RTMP module, on 127.0.0.1.

    with rtmp_server(directory) as server:
        server.url("stream")                     # to push to and to play
        watched = await watch(server.url("stream"), seconds=2.0)
        server.stop(); server.start()            # gone, and back at the same port

A machine without it skips the test; under CI=true it fails.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

START_TIMEOUT_S = 10.0
MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_CONFIG = """
load_module {module};
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 64; }}
rtmp {{
  access_log off;
  server {{
    listen 127.0.0.1:{port};
    application live {{ live on; wait_key on; publish_notify on; sync 10ms; }}
  }}
}}
"""


def require_rtmp_server() -> None:
    """Skips or, under CI=true, fails, where nginx or its RTMP module is missing."""
    if _nginx() is None or not MODULE.exists():
        missing = "no nginx with RTMP (Debian's nginx-light and libnginx-mod-rtmp)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)


def _nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RtmpServer:
    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live/{name}"

    @property
    def log(self) -> str:
        return (self._directory / "error.log").read_text()

    def start(self) -> None:
        config = self._directory / "nginx.conf"
        config.write_text(_CONFIG.format(module=MODULE, directory=self._directory, port=self.port))
        nginx = _nginx()
        assert nginx is not None
        self._process = subprocess.Popen(
            [nginx, "-p", str(self._directory), "-c", str(config)], stderr=subprocess.DEVNULL
        )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self._process.poll() is None, self.log
                assert time.monotonic() < deadline_s, self.log
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Gone without a word, as with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def rtmp_server(directory: Path) -> Iterator[RtmpServer]:
    require_rtmp_server()
    directory.mkdir(parents=True, exist_ok=True)
    server = RtmpServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Watched:
    """What a viewer saw: yuv420p pictures with their times in the stream, one channel of sound at `rate_hz`."""

    pictures: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    sound: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    sound_s: float = 0.0  # when the sound begins
    rate_hz: int = 0
    channels: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    ended: bool = False  # by the server, not by the viewer

    @property
    def size(self) -> tuple[int, int]:
        rows, width = self.pictures[-1].shape
        return width, rows * 2 // 3


def _opened(source: str, options: dict[str, str], streams: int) -> av.container.InputContainer:
    """With all its streams: who comes as a stream begins may see the first of them only."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        container = av.open(source, timeout=10, options=options)
        if len(container.streams) == streams or time.monotonic() > deadline_s:
            return container
        container.close()


def _watch(source: str, seconds: float, until: Callable[[Watched], bool], streams: int) -> Watched:
    seen = Watched()
    blocks: list[npt.NDArray[np.float32]] = []
    options = {} if "://" not in source else {"rtmp_live": "live", "analyzeduration": "2000000"}
    with _opened(source, options, streams) as container:
        seen.metadata = dict(container.metadata)
        begun_s = time.monotonic()
        try:
            for frame in container.decode(list(container.streams)):
                if isinstance(frame, av.AudioFrame):
                    seen.rate_hz, seen.channels = frame.sample_rate, frame.layout.nb_channels
                    seen.sound_s = seen.sound_s if blocks else frame.time or 0.0
                    blocks.append(np.asarray(frame.to_ndarray(), np.float32)[0])
                elif isinstance(frame, av.VideoFrame):
                    seen.pictures.append(np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8))
                    seen.times_s.append(frame.time or 0.0)
                if time.monotonic() - begun_s > seconds or until(seen):
                    break
            else:
                seen.ended = True
        except av.FFmpegError:
            seen.ended = True
    seen.sound = np.concatenate(blocks) if blocks else seen.sound
    return seen


async def watch(
    source: str,
    *,
    seconds: float = 20.0,
    until: Callable[[Watched], Any] = lambda _seen: False,
    streams: int = 2,
) -> Watched:
    """Play a stream, or a file, until it ends, for so many seconds or until a condition is met."""
    return await asyncio.to_thread(_watch, source, seconds, lambda seen: bool(until(seen)), streams)
