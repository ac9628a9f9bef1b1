"""One end of a benched call as a process: `python -m tests.bench.roles CONTENDER ROLE`, driven by JSON lines on stdio.

{"op": "offer"} -> {"sdp"}   {"op": "answer", "sdp"} -> {"sdp"} (a sender takes it, a receiver gives it)
{"op": "connected"} -> {}    {"op": "measure", "seconds"} -> {"cpu", "kbps", ...}    {"op": "quit"}
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import Any, Protocol

from tests.bench import ours, stock


class End(Protocol):
    frame_ms: list[float]
    sound_ms: list[float]

    async def start(self) -> None: ...
    async def offer(self) -> str: ...
    async def answer(self, sdp: str) -> str: ...
    async def connected(self) -> None: ...
    async def sent_bytes(self) -> int:
        """Sent so far on the first leg."""

    async def close(self) -> None: ...


CONTENDERS: dict[tuple[str, str], type[End]] = {
    ("ours", "sender"): ours.Sender,
    ("ours", "receiver"): ours.Receiver,
    ("ours", "sink"): ours.Sink,
    ("stock", "sender"): stock.Sender,
    ("stock", "receiver"): stock.Receiver,
}


def rss_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


async def measure(end: End, seconds: float) -> dict[str, Any]:
    end.frame_ms.clear()
    end.sound_ms.clear()
    sent = await end.sent_bytes()
    cpu_s, wall_s = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    took_s = time.monotonic() - wall_s
    return {
        "cpu": (time.process_time() - cpu_s) / took_s,
        "kbps": (await end.sent_bytes() - sent) * 8 / took_s / 1000,
        "rss_mb": rss_mb(),
        "frame_ms": list(end.frame_ms),
        "sound_ms": list(end.sound_ms),
    }


async def serve(end: End) -> None:
    await end.start()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        reply: dict[str, Any] = {}
        match request["op"]:
            case "offer":
                reply = {"sdp": await end.offer()}
            case "answer":
                reply = {"sdp": await end.answer(request["sdp"])}
            case "connected":
                await end.connected()
            case "measure":
                reply = await measure(end, request["seconds"])
            case "quit":
                break
        print(json.dumps(reply), flush=True)
    await end.close()


if __name__ == "__main__":
    asyncio.run(serve(CONTENDERS[sys.argv[1], sys.argv[2]]()))
