"""Sends to one receiver: a tap of the Uplink for each kind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from appliance.media import aiortc_hooks
from appliance.media.frames import AUDIO_CLOCK_HZ, CODECS, VIDEO_CLOCK_HZ, Kind
from appliance.media.rtp_port import RtpPort
from appliance.media.sei import SeiPayload
from appliance.media.sei_delivery import CHANNEL, MAX_WAITING, encode_timed
from appliance.media.stream_sender import StreamSender
from appliance.media.transport_cc import SentPackets
from appliance.media.uplink import Uplink
from appliance.room.counters import OutTrack
from appliance.room.leg import Leg, LegStats, SdpError, codecs
from appliance.room.signaling_base import Selection, StreamName, VideoCodec
from appliance.room.signaling_room import IceServer


class _SilentTrack(MediaStreamTrack):
    """Keeps a sender running; its frames come from a hook."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind

    async def recv(self) -> av.VideoFrame:
        raise MediaStreamError("the frames of this track come from a hook")


class UplinkLeg(Leg):
    """Sends the Uplink's kinds to one receiver."""

    def __init__(
        self,
        leg_id: str,
        uplink: Uplink,
        kinds: tuple[Kind, ...],
        *,
        stream: StreamName = "main",
        layer: Selection = "high",
        video_codecs: Sequence[VideoCodec] = ("h264", "vp8"),
        ice_servers: Sequence[IceServer],
        on_closed: Callable[[str], None],
    ) -> None:
        """Of `video_codecs` those that the uplink has; where it has none of them, its own, which a receiver that keeps
        to them will not take.
        """
        super().__init__(leg_id, ice_servers, on_closed)
        self._port = RtpPort()
        self._numbers = SentPackets() if "video" in kinds else None  # nobody adapts sound alone to delay
        self._senders: list[StreamSender] = []
        own = uplink.video_codecs(stream)
        video = tuple(codec for codec in own if codec in video_codecs) or own
        for kind in kinds:
            transceiver = self.pc.addTransceiver(_SilentTrack(kind), direction="sendonly")
            transceiver.setCodecPreferences(codecs(kind, ("opus",) if kind == "audio" else video))
            sender = StreamSender(kind, uplink, stream, layer if kind == "video" else "high")
            aiortc_hooks.take_over_sender(transceiver.sender, self._port, sender, self._numbers)
            if self._numbers is not None and kind == "video":
                self._numbers.on_report = sender.on_feedback
            self._senders.append(sender)
            if kind == "video" and kinds[0] == "audio":
                # A copy is there at once, FEC with the next packet. What it mends is not reported lost: pictures tell.
                self._senders[0].repeats = sender.is_lossy
            if kind == "video" and stream == "main" and video[0] != "h264":
                self._open_sei_channel(sender)

    def _open_sei_channel(self, sender: StreamSender) -> None:
        """Only where it will be needed, for it costs up to 5 ms of a core: receivers take the codec offered first."""
        channel = self.pc.createDataChannel(CHANNEL)
        early: deque[bytes] = deque(maxlen=MAX_WAITING)  # the first pictures may be there before it

        def send(timestamp: int, payload: SeiPayload) -> None:
            early.append(encode_timed(timestamp, payload))
            if channel.readyState == "open":
                flush()

        def flush() -> None:
            while early:
                channel.send(early.popleft())

        channel.on("open", flush)
        sender.on_sei = send

    def select(self, layer: Selection) -> None:
        """This layer of the video from its next key frame on, or no picture at all."""
        for sender in self._senders:
            if sender.kind == "video":
                sender.select(layer)

    async def offer(self) -> str:
        """The SDP offer, with all candidates."""
        return await self._describe()

    async def accept(self, answer_sdp: str) -> None:
        """Takes the receiver's answer. SdpError if it cannot be used: the leg is of no use then, close it."""
        await self._apply(answer_sdp, "answer")
        for transceiver, sender in zip(self.pc.getTransceivers(), self._senders, strict=True):
            sender.codec = aiortc_hooks.negotiated_codec(transceiver)
            if sender.codec not in CODECS:
                raise SdpError(f"the answer takes no codec of the offer, but {sender.codec}", operation=self.leg_id)

    def tracks(self) -> tuple[OutTrack, ...]:
        return tuple(self._track(sender) for sender in self._senders)

    def _track(self, sender: StreamSender) -> OutTrack:
        counts, report = sender.counts(), sender.report
        clock_hz = AUDIO_CLOCK_HZ if sender.kind == "audio" else VIDEO_CLOCK_HZ
        control = sender.tap.control if sender.tap is not None else None
        return OutTrack(
            kind=sender.kind,
            codec=sender.codec,
            layer=sender.tap.layer if sender.tap is not None else sender.layer,
            frames=counts.frames,
            key_frames=counts.keyframes,
            packets=counts.packets,
            bytes=counts.bytes,
            repeated_packets=counts.retransmitted_packets + counts.parity_packets,
            repeated_bytes=counts.retransmitted_bytes + counts.parity_bytes,
            key_frame_requests=sender.keyframe_requests,
            packets_lost=max(0, report.packets_lost) if report is not None else 0,
            loss=report.loss if report is not None else None,
            jitter_s=report.jitter / clock_hz if report is not None else None,
            rtt_s=report.rtt_s if report is not None else None,
            reported_s=report.at_s if report is not None else None,
            estimate_bps=control.target_bps if control is not None else None,
        )

    def stats(self) -> LegStats:
        packets = lost = reported = size = 0
        jitter_s = rtt_s = last_s = None
        for sender in self._senders:
            counts = sender.counts()
            packets += counts.packets
            size += counts.bytes
            report = sender.report
            if report is not None:
                clock_hz = AUDIO_CLOCK_HZ if sender.kind == "audio" else VIDEO_CLOCK_HZ
                lost += max(0, report.packets_lost)
                reported += sender.reported
                jitter_s = max(jitter_s or 0.0, report.jitter / clock_hz)
                rtt_s = report.rtt_s
                last_s = max(last_s or 0.0, report.at_s)
        if last_s is not None:
            last_s = max(last_s, aiortc_hooks.consent_answered_s(self.pc) or 0.0)
        ice_rtt_s = aiortc_hooks.ice_rtt_s(self.pc)
        return LegStats(packets, lost, reported, size, rtt_s if ice_rtt_s is None else ice_rtt_s, jitter_s, last_s)

    async def _end(self) -> None:
        try:
            await super()._end()
        finally:  # the senders are gone: none of them taps again
            for sender in self._senders:
                sender.close()
