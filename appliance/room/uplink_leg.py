"""Sends to one receiver: a tap of the Uplink for each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import av
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.mediastreams import MediaStreamError

from appliance.media import aiortc_hooks
from appliance.media.feedback import Feedback, ReceiverReport
from appliance.media.frames import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, EncodedFrame, Kind
from appliance.media.tap import Tap
from appliance.media.uplink import Uplink
from appliance.room.leg import Leg, LegStats, codecs
from appliance.room.signaling_room import IceServer


class _SilentTrack(MediaStreamTrack):
    """Keeps a sender running; its frames come from a hook."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind

    async def recv(self) -> av.VideoFrame:
        raise MediaStreamError("the frames of this track come from a hook")


class _Outgoing:
    """One kind of an UplinkLeg: a tap from the first packet on."""

    def __init__(self, kind: Kind, uplink: Uplink, sender: RTCRtpSender) -> None:
        self.kind = kind
        self.codec = ""  # of the answer; empty: not wanted
        self.sender = sender
        self.report: ReceiverReport | None = None
        self._uplink = uplink
        self._tap: Tap | None = None
        aiortc_hooks.send_encoded(sender, self._next)
        aiortc_hooks.on_sender_feedback(sender, self._on_keyframe, self._on_feedback)

    async def _next(self) -> EncodedFrame:
        if self._tap is None:
            self._tap = self._uplink.tap(self.kind, self.codec)
        return await self._tap.next()

    def _on_keyframe(self) -> None:
        if self._tap is not None:
            self._tap.request_keyframe()

    def _on_feedback(self, feedback: Feedback) -> None:
        if isinstance(feedback, ReceiverReport):
            self.report = feedback
        if self._tap is not None:
            self._tap.report(feedback)

    def close(self) -> None:
        if self._tap is not None:
            self._tap.close()


class UplinkLeg(Leg):
    """Sends the Uplink's kinds to one receiver."""

    def __init__(
        self,
        leg_id: str,
        uplink: Uplink,
        kinds: tuple[Kind, ...],
        *,
        ice_servers: Sequence[IceServer],
        on_closed: Callable[[str], None],
    ) -> None:
        super().__init__(leg_id, ice_servers, on_closed)
        self._outgoing: list[_Outgoing] = []
        for kind in kinds:
            transceiver = self.pc.addTransceiver(_SilentTrack(kind), direction="sendonly")
            names = ("opus",) if kind == "audio" else uplink.video_codecs()
            transceiver.setCodecPreferences(codecs(kind, names))
            self._outgoing.append(_Outgoing(kind, uplink, transceiver.sender))

    async def offer(self) -> str:
        """The SDP offer, with all candidates."""
        return await self._describe()

    async def accept(self, answer_sdp: str) -> None:
        """Takes the receiver's answer. SdpError if it cannot be used: the leg is of no use then, close it."""
        await self._apply(answer_sdp, "answer")
        for transceiver, outgoing in zip(self.pc.getTransceivers(), self._outgoing, strict=True):
            outgoing.codec = aiortc_hooks.negotiated_codec(transceiver)

    def stats(self) -> LegStats:
        packets = lost = size = 0
        jitter_s = rtt_s = last_s = None
        for outgoing in self._outgoing:
            sent, sent_bytes = aiortc_hooks.outbound_counts(outgoing.sender)
            packets += sent
            size += sent_bytes
            report = outgoing.report
            if report is not None:
                clock_hz = AUDIO_CLOCK_HZ if outgoing.kind == "audio" else VIDEO_CLOCK_HZ
                lost += max(0, report.packets_lost)
                jitter_s = max(jitter_s or 0.0, report.jitter / clock_hz)
                rtt_s = report.rtt_s
                last_s = max(last_s or 0.0, report.at_s)
        if last_s is not None:
            last_s = max(last_s, aiortc_hooks.consent_answered_s(self.pc) or 0.0)
        ice_rtt_s = aiortc_hooks.ice_rtt_s(self.pc)
        return LegStats(packets, lost, packets, size, rtt_s if ice_rtt_s is None else ice_rtt_s, jitter_s, last_s)

    async def _end(self) -> None:
        try:
            await super()._end()
        finally:  # the senders are gone: none of them taps again
            for outgoing in self._outgoing:
                outgoing.close()
