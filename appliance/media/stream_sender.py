"""One stream of a leg: frames from a tap of the Uplink to the wire, and what the receiver says back to the tap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import cast

from appliance.media.audio_rate import FULL_LINK_BPS
from appliance.media.feedback import Feedback, ReceiverReport
from appliance.media.frames import EncodedFrame, Kind, Layer, Selection, StreamName, VideoCodec
from appliance.media.pacer import Pacer
from appliance.media.parity import Protection
from appliance.media.payload import MAX_PAYLOAD_BYTES
from appliance.media.rtp_out import RtpStream, SentCounts
from appliance.media.sei import SeiPayload
from appliance.media.send_control import LegControl
from appliance.media.tap import Tap
from appliance.media.uplink import Uplink

CONGESTED_S = 1.0  # after the last sign of a full link
RESEND_SHARE, RESEND_BURST_S = 0.5, 0.25  # of what may be sent, while it is
IDLE_TARGET_BPS = 1_000_000  # of an encoder that has just ended: its last pictures are on their way


class StreamSender:
    """Used on the event loop. Sound leaves at once; pictures leave through a pacer."""

    def __init__(self, kind: Kind, uplink: Uplink, stream: StreamName = "main", layer: Selection = "high") -> None:
        self.kind = kind
        self.stream: StreamName = stream
        self.layer: Selection = layer
        self.codec = ""  # of the answer; empty: not wanted
        self.tap: Tap | None = None  # from the connection on, while a layer is wanted
        self.report: ReceiverReport | None = None
        self.reported = 0  # packets sent when that came
        self.on_sei: Callable[[int, SeiPayload], None] = lambda timestamp, payload: None  # on this wire
        self.repeats: Callable[[], bool] = lambda: False  # sound: whether each packet goes out twice
        self.keyframe_requests = 0
        self.nacks = 0  # packets that the receiver asked for again
        self._uplink = uplink
        self._rtp: RtpStream | None = None
        self._pacer: Pacer[EncodedFrame] | None = Pacer() if kind == "video" else None
        self._protection = Protection()
        self._resend_bits, self._resend_s = 0.0, float("-inf")
        self._begun_anew = False  # with a key frame, while a queue on the way is to drain
        self._timer: asyncio.TimerHandle | None = None

    def counts(self) -> SentCounts:
        return self._rtp.counts() if self._rtp is not None else SentCounts()

    def is_lossy(self) -> bool:
        """Of pictures: packets get lost on a link that has room."""
        control = self._control
        return (
            self._protection.group > 0
            and control is not None
            and control.target_bps >= FULL_LINK_BPS
            and not self._is_congested(time.monotonic())
        )

    def select(self, layer: Selection) -> None:
        """Goes on with the next key frame of this layer, or rests."""
        self.layer = layer
        if self._rtp is None:
            return
        if layer == "none":
            tap, self.tap = self.tap, None
            if tap is not None:
                tap.close()
                self.flush()
        elif self.tap is None:
            self._open(layer)
        else:
            self.tap.select_layer(layer)

    def close(self) -> None:
        self._stop_timer()
        if self.tap is not None:
            self.tap.close()

    # --- the connection's side

    def on_start(self, rtp: RtpStream) -> None:
        """The connection is there."""
        self._rtp = rtp
        if self.layer != "none":
            self._open(self.layer)

    def on_keyframe_request(self) -> None:
        self.keyframe_requests += 1
        if self.tap is not None:
            self.tap.request_keyframe()

    def on_nack(self, lost: Sequence[int]) -> None:
        """Packets with these sequence numbers are missing."""
        self.nacks += len(lost)
        if self._rtp is not None:
            now_s = time.monotonic()
            congested = self._is_congested(now_s)
            if congested:
                lost = lost[: self._resendable(now_s)]
            size = self._rtp.retransmit(lost, now_s, spare=not congested)
            self._resend_bits -= 8 * size
            if size and self._pacer is not None:
                self._pacer.charge(size, now_s, self._target_bps())

    def on_feedback(self, feedback: Feedback) -> None:
        if isinstance(feedback, ReceiverReport):
            self.report, self.reported = feedback, self.counts().packets
            if self._rtp is not None:
                self._rtp.rtt_s = feedback.rtt_s
                if not self._is_congested(feedback.at_s):  # else more would be lost by it
                    self._protection.report(feedback.loss)
        if self.tap is not None:
            if self._rtp is not None and self._rtp.protects:
                self.tap.media_share = self._protection.media_share
            self.tap.report(feedback)

    # --- the tap's side

    def put(self, frame: EncodedFrame) -> bool:
        """Sends a frame, now or soon. False: too much is waiting, and it was dropped."""
        assert self._rtp is not None
        for message in frame.sei:
            self.on_sei(self._rtp.timestamp_of(frame), message)
        payloads, now_s = frame.payloads, time.monotonic()
        pacer = self._pacer
        control = self._control
        is_draining = control is not None and now_s < control.drained_s
        if is_draining and not frame.keyframe and not self._begun_anew:
            return False
        self._begun_anew = is_draining
        if pacer is not None and control is not None and is_draining:
            pacer.hold(control.drained_s)
        if pacer is not None and frame.keyframe and self._is_congested(now_s):
            self.flush()  # a receiver can go on with this one: what is older would only hold it up
        if pacer is None or pacer.admit(len(payloads), sum(map(len, payloads)), now_s, self._target_bps()):
            self._send(frame, 0, len(payloads), now_s)
            if self.repeats():
                self._rtp.repeat(now_s)
            return True
        taken = pacer.put(frame, [len(payload) for payload in payloads], now_s)
        if self._timer is None:
            self._run()
        return taken

    def flush(self) -> int:
        """Nothing that was put so far goes out from now on, not even again. How many frames were still waiting."""
        self._stop_timer()
        if self._rtp is not None:
            self._rtp.forget()
        return self._pacer.flush() if self._pacer is not None else 0

    def _open(self, layer: Layer) -> None:
        self.tap = self._uplink.tap(self.kind, self.codec, stream=self.stream, layer=layer)
        self.tap.attach(self)

    def _send(self, frame: EncodedFrame, start: int, stop: int, now_s: float) -> None:
        assert self._rtp is not None
        self._rtp.parity_group = 0 if self._is_congested(now_s) else self._protection.group
        beside = self._rtp.send(frame, start, stop, now_s)
        if beside and self._pacer is not None:
            self._pacer.charge(beside, now_s, self._target_bps())

    def _run(self) -> None:
        assert self._pacer is not None
        now_s = time.monotonic()
        for chunk in self._pacer.take(now_s, self._target_bps()):
            self._send(chunk.frame, chunk.start, chunk.stop, now_s)
        next_s = self._pacer.next_s(now_s)
        loop = asyncio.get_running_loop()
        self._timer = None if next_s is None else loop.call_later(next_s - now_s, self._run)

    @property
    def _control(self) -> LegControl | None:
        """Of pictures."""
        return self.tap.control if self.tap is not None else None

    def _is_congested(self, now_s: float) -> bool:
        control = self._control
        return control is not None and now_s - control.congested_s < CONGESTED_S

    def _resendable(self, now_s: float) -> int:
        """How many packets a full link may be given again now: they push out new ones."""
        gained_s, self._resend_s = now_s - self._resend_s, now_s
        rate_bps = RESEND_SHARE * self._target_bps()
        self._resend_bits = min(rate_bps * RESEND_BURST_S, max(0.0, self._resend_bits) + rate_bps * min(1.0, gained_s))
        return int(self._resend_bits / (8 * MAX_PAYLOAD_BYTES))

    def _target_bps(self) -> int:
        if self.tap is None:
            return IDLE_TARGET_BPS
        codec = cast(VideoCodec, self.codec)
        target_bps = self._uplink.target_bitrate_bps(codec, stream=self.stream, layer=self.tap.layer)
        return target_bps or IDLE_TARGET_BPS

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
