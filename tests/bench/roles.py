"""One end of a benched call as a process: `python -m tests.bench.roles CONTENDER ROLE`, driven by JSON lines on stdio.

{"op": "offer"} -> {"sdp"}   {"op": "answer", "sdp"} -> {"sdp"}   {"op": "accept", "sdp"} -> {}
{"op": "connected"} -> {}    {"op": "measure", "seconds"} -> {"cpu", "kbps", "pss_mb", "frames", "sounds_ms"}
{"op": "first-frame"} -> {"at_s"}: waits for it.   CPU and memory are those of the process and its children.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from typing import Any

import psutil

from tests.bench.end import End

# Imported by the process that plays it alone: what a contender needs is part of how soon it starts and how large it is.
ROLES = {
    ("ours", "sender"): "ours_sender.Sender",
    ("ours", "receiver"): "ours_receiver.Receiver",
    ("ours", "sink"): "ours_receiver.Sink",
    ("ours", "party"): "ours_party.Party",
    ("ours", "encoded-party"): "ours_party.EncodedParty",
    ("ours", "fixed-sender"): "ours_sender.FixedSender",
    ("ours", "layers-sender"): "ours_sender.LayersSender",
    ("ours", "h264-sender"): "ours_sender.PassThroughSender",
    ("ours", "x264-sender"): "ours_sender.FilmSender",
    ("gstreamer", "h264-sender"): "gstreamer.Sender",
    ("gstreamer", "x264-sender"): "gstreamer.EncodingSender",
    ("stock", "sender"): "stock.Sender",
    ("stock", "fixed-sender"): "stock.Sender",
    ("stock", "receiver"): "stock.Receiver",
    ("chromium", "sender"): "chromium.Chromium",
    ("chromium", "receiver"): "chromium.Chromium",
    ("chromium", "party"): "chromium.Browser",
}


def imported(contender: str, name: str) -> type[End]:
    module, _, cls = ROLES[contender, name].partition(".")
    end: type[End] = getattr(importlib.import_module(f"tests.bench.{module}"), cls)
    return end


def measured(contender: str) -> list[psutil.Process]:
    """Of Chromium and GStreamer their own processes, not the one that drives them."""
    this = psutil.Process()
    if contender == "chromium":
        return [each for each in this.children(recursive=True) if "chrom" in each.name()]
    return this.children() if contender == "gstreamer" else [this]


def cpu_s(processes: list[psutil.Process]) -> float:
    times = [each.cpu_times() for each in processes]
    return float(sum(each.user + each.system for each in times))


def pss_mb(processes: list[psutil.Process]) -> float:
    return float(sum(each.memory_full_info().pss for each in processes)) / 1e6


async def measure(end: End, processes: list[psutil.Process], seconds: float) -> dict[str, Any]:
    await end.take()
    sent = await end.sent_bytes()
    used_s, start_s = cpu_s(processes), time.monotonic()
    await asyncio.sleep(seconds)
    took_s = time.monotonic() - start_s
    used_s = cpu_s(processes) - used_s
    taken = await end.take()
    return {
        "cpu": used_s / took_s,
        "kbps": (await end.sent_bytes() - sent) * 8 / took_s / 1000,
        "pss_mb": pss_mb(processes),
        "frames": taken.frames,
        "sounds_ms": taken.sounds_ms,
    }


async def first_frame(end: End) -> float:
    while not end.first_frame_s:
        await asyncio.sleep(0.002)
        await end.take()
    return end.first_frame_s


async def serve(contender: str, end: End) -> None:
    await end.start()
    processes = measured(contender)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        reply: dict[str, Any] = {}
        match request["op"]:
            case "offer":
                reply = {"sdp": await end.offer()}
            case "answer":
                reply = {"sdp": await end.answer(request["sdp"])}
            case "accept":
                await end.accept(request["sdp"])
            case "connected":
                await end.connected()
            case "first-frame":
                reply = {"at_s": await first_frame(end)}
            case "measure":
                reply = await measure(end, processes, request["seconds"])
        print(json.dumps(reply), flush=True)
    await end.close()


def main(contender: str, name: str) -> None:
    if contender != "ours":
        end = imported(contender, name)
        asyncio.run(serve(contender, end()))
        return
    from appliance import starting

    starting.prepare()  # the product's own way of starting and running: appliance/__main__.py
    end = imported(contender, name)
    from appliance import process

    process.run(lambda: serve(contender, end()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
