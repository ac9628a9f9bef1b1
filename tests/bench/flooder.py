"""One client that misbehaves, in a process of its own: `python -m tests.bench.flooder PORT KIND SECONDS`.

It says as much as it may, and more, reconnects as often as it is let in, and prints what it was told as JSON:
{"sent", "codes": {error code: count}, "closes": {close code: count}, "refused": connections that were not let in}.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.bench.swarm import Reply, SwarmClient, frame, log_in

BATCH = 20  # messages at once
PAUSE_S = 0.002  # between batches: 10 000 messages a second, and a core left for the others
FLOODER = "flooder"
ADDRESS = "127.0.0.2"

_text = json.dumps

# What is said, by kind: the number of the message in, a frame out.
KINDS: dict[str, Callable[[int], bytes]] = {
    "messages": lambda n: _request("send-peer-message", n, to="user-0001", text="x" * 200),
    "joins": lambda n: _request("join", n, room="room-0") if n % 2 else _request("leave", n),
    "invitations": lambda n: _request("send-invitation", n, invitation=f"flood-{n}", to="user-0001"),
    "presence": lambda n: _request("subscribe-presence", n, user_ids=[f"user-{i:04}" for i in range(500)]),
    "garbage": lambda n: frame(b'{"type":' + b"[" * (n % 500)),
    "reconnects": lambda n: b"",
}


def _request(kind: str, number: int, **fields: Any) -> bytes:
    return frame(_text({"type": kind, "id": number + 1, **fields}).encode())


async def flood(port: int, kind: str, seconds: float) -> dict[str, Any]:
    end_s = time.monotonic() + seconds
    sent, refused, codes, closes = 0, 0, Counter[str](), Counter[str]()

    def hear(_client: SwarmClient, message: Reply) -> None:
        if message["type"] == "error":
            codes[message["code"]] += 1

    while time.monotonic() < end_s:
        try:
            client = await log_in(port, FLOODER, hear, ADDRESS)
        except (OSError, RuntimeError):
            refused += 1
            await asyncio.sleep(PAUSE_S)
            continue
        while kind != "reconnects" and not client.closed.is_set() and time.monotonic() < end_s:
            client.write(b"".join(KINDS[kind](sent + each) for each in range(BATCH)))
            sent += BATCH
            await asyncio.sleep(PAUSE_S)
        client.abort()
        with suppress(TimeoutError):
            await asyncio.wait_for(client.closed.wait(), 1)
        if client.close_code:
            closes[str(client.close_code)] += 1
    return {"sent": sent, "codes": codes, "closes": closes, "refused": refused}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(flood(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))))
