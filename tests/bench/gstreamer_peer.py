"""GStreamer's webrtcbin as a sender. Runs under Debian's Python, for the sake of python3-gi: nothing of ours is there.

Arguments: "h264" and an MP4 file, or "raw", a pattern of files with an I420 picture each, sent in a loop at 30 a second
(their last number follows in both cases), then the complexity of Opus. JSON lines on stdio: {"op": "offer"} -> {"sdp"},
{"op": "accept", "sdp"} -> {}, {"op": "sent"} -> {"bytes"}.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # type: ignore[import-not-found] # noqa: E402

SOURCES = {
    "h264": "filesrc location={files} ! qtdemux ! h264parse config-interval=-1 ! clocksync",
    "raw": 'multifilesrc location={files} stop-index={last} loop=true caps="video/x-raw" ! '
    "rawvideoparse format=i420 width=1280 height=720 framerate=30/1 ! clocksync",
}
CODING = {
    "h264": "identity",
    "raw": "x264enc speed-preset=superfast tune=zerolatency bitrate=1500 key-int-max=600 ! "
    "video/x-h264,profile=constrained-baseline",
}
VIDEO = "application/x-rtp,media=video,encoding-name=H264,payload=96,packetization-mode=(string)1"
AUDIO = "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,encoding-params=(string)2"
WAIT_S = 10


class Peer:
    def __init__(self, kind: str, files: str, last: int, complexity: int) -> None:
        self.source = SOURCES[kind].format(files=files, last=last)
        self.sound = (
            "audiotestsrc is-live=true samplesperbuffer=480 ! audio/x-raw,rate=48000,channels=1 ! opusenc "
            f"bitrate=32000 complexity={complexity} frame-size=20 inband-fec=true packet-loss-percentage=5 "
            "audio-type=voice ! rtpopuspay pt=97"
        )
        self.coding = CODING[kind]
        self.connections: list[Any] = []
        self.kept: list[Any] = []
        self.pipeline: Any = None
        self.run(f"{self.source} ! fakesink audiotestsrc is-live=true samplesperbuffer=480 ! fakesink")

    def run(self, description: str) -> None:
        if self.pipeline is not None:
            self.pipeline.set_state(Gst.State.NULL)
        self.pipeline = Gst.parse_launch(description)
        self.pipeline.set_state(Gst.State.PLAYING)

    def offer(self) -> str:
        if not self.connections:
            self.run(
                f"{self.source} ! {self.coding} ! rtph264pay mtu=1200 aggregate-mode=zero-latency pt=96 ! {VIDEO} ! "
                "tee name=video allow-not-linked=true "
                f"{self.sound} ! {AUDIO} ! tee name=audio allow-not-linked=true"
            )
        connection = Gst.ElementFactory.make("webrtcbin")
        connection.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(connection)
        agent = connection.get_property("ice-agent")
        self.kept.append(agent)  # Python takes its only reference, for it is floating
        agent.emit("add-local-ip-address", "127.0.0.1")
        gathered = threading.Event()

        def changed(element: Any, _: object) -> None:
            if element.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
                gathered.set()

        connection.connect("notify::ice-gathering-state", changed)
        for name in ("audio", "video"):
            queue = Gst.ElementFactory.make("queue")
            self.pipeline.add(queue)
            queue.link(connection)
            self.pipeline.get_by_name(name).link(queue)
            queue.sync_state_with_parent()
        connection.sync_state_with_parent()
        at = 0
        while (transceiver := connection.emit("get-transceiver", at)) is not None:
            transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
            at += 1
        self.connections.append(connection)

        def take(reply: Any) -> None:
            self.ask(connection, "set-local-description", reply.get_value("offer"))

        self.ask(connection, "create-offer", None, read=take)
        if not gathered.wait(WAIT_S):
            raise RuntimeError("webrtcbin gathers no candidates")
        sdp: str = connection.get_property("local-description").sdp.as_text()
        return sdp

    def accept(self, sdp: str) -> None:
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.ask(self.connections[-1], "set-remote-description", answer)

    def sent(self) -> int:
        """Payload bytes of the first connection."""
        if not self.connections:
            return 0
        total = 0

        def add(_: object, value: Any) -> bool:
            nonlocal total
            if isinstance(value, Gst.Structure) and value.has_field("bytes-sent") and value.has_field("ssrc"):
                total += value.get_value("bytes-sent")
            return True

        self.ask(self.connections[0], "get-stats", None, read=lambda stats: stats.foreach(add))
        return total

    @staticmethod
    def ask(
        connection: Any, signal: str, *arguments: object, read: Callable[[Any], object] = lambda reply: None
    ) -> None:
        promise = Gst.Promise.new()
        connection.emit(signal, *arguments, promise)
        promise.wait()
        read(promise.get_reply())  # while the promise, which owns it, is there


def main() -> None:
    Gst.init(None)
    loop = GLib.MainLoop()
    threading.Thread(target=loop.run, daemon=True).start()
    peer = Peer(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    for line in sys.stdin:
        request = json.loads(line)
        reply: dict[str, Any] = {}
        if request["op"] == "offer":
            reply = {"sdp": peer.offer()}
        elif request["op"] == "accept":
            peer.accept(request["sdp"])
        elif request["op"] == "sent":
            reply = {"bytes": peer.sent()}
        print(json.dumps(reply), flush=True)
    os._exit(0)  # webrtcbin and Python do not agree on who frees what


if __name__ == "__main__":
    main()
