"""GStreamer's webrtcbin as a sender: see gstreamer_peer.py, which is a process of its own."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from appliance.media.opus_encoder import COMPLEXITY
from tests.bench import encoded
from tests.bench.end import Recording

PYTHON = "/usr/bin/python3"  # Debian's, which python3-gi is for
ELEMENTS = ("webrtcbin", "nicesrc", "rtph264pay", "qtdemux", "rawvideoparse", "clocksync", "opusenc", "x264enc")
PACKAGES = "gstreamer1.0-plugins-base, -good, -bad, -ugly, gstreamer1.0-nice, gir1.2-gst-plugins-bad-1.0, python3-gi"


def missing() -> str:
    """What is missing for it, in words; empty: nothing."""
    code = "import gi; gi.require_version('GstWebRTC', '1.0'); gi.require_version('Gst', '1.0');"
    code += "from gi.repository import Gst; Gst.init(None);"
    code += f"print(*[name for name in {ELEMENTS} if Gst.ElementFactory.find(name) is None])"
    if not Path(PYTHON).exists():
        return PYTHON
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    return PACKAGES if found.returncode or found.stdout.strip() else ""


class Sender(Recording):
    """Sends the film of `encoded`."""

    kind: ClassVar[str] = "h264"

    async def start(self) -> None:
        self._directory = tempfile.mkdtemp(dir="/dev/shm")  # memory, so that no disk is measured
        files = await asyncio.to_thread(encoded.write, self.kind, Path(self._directory))
        peer = Path(__file__).with_name("gstreamer_peer.py")
        self._process = await asyncio.create_subprocess_exec(
            PYTHON,
            str(peer),
            self.kind,
            str(files),
            str(encoded.PICTURES - 1),
            str(COMPLEXITY),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    async def _ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"GStreamer's process ended at {op!r}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    async def offer(self) -> str:
        sdp = str((await self._ask("offer"))["sdp"])
        sdp = re.sub(r"^m=video 0 ", "m=video 9 ", sdp, flags=re.MULTILINE).replace("a=bundle-only\r\n", "")
        return sdp.replace("packetization-mode=1", "packetization-mode=1;profile-level-id=42e01f")

    async def answer(self, sdp: str) -> str:
        raise RuntimeError("a sender offers")

    async def accept(self, sdp: str) -> None:
        await self._ask("accept", sdp=sdp)

    async def connected(self) -> None:
        """The receiver knows when media flows."""

    async def sent_bytes(self) -> int:
        return int((await self._ask("sent"))["bytes"])

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        shutil.rmtree(self._directory)


class EncodingSender(Sender):
    """Encodes the film's pictures with x264, superfast."""

    kind = "raw"
