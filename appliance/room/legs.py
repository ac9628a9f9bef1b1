"""Media legs: one-way peer connections. An UplinkLeg offers and sends, a DownlinkLeg answers and receives.

    UplinkLeg                                   DownlinkLeg
      offer() -------- SDP, all candidates -------> answer()
      accept() <------ SDP, all candidates -------- |
      Uplink.tap ===== ICE, DTLS, SRTP ===========> Playout.add, RemoteVideo

A leg is never renegotiated: a change makes a new leg. A leg that is lost (no connection in time, no answer to consent
checks, closed by the peer) calls `on_closed(reason)` once and has freed everything by then or soon after; our own
`close()` calls nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import av
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from appliance.errors import RtcError, RtcErrorCode
from appliance.media import aiortc_hooks
from appliance.media.frames import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, EncodedFrame, Kind
from appliance.media.playout import Playout, RemoteAudio
from appliance.media.tap import Tap
from appliance.media.uplink import Uplink
from appliance.media.video_in import RemoteVideo
from appliance.memory import reclaim_soon
from appliance.room.signaling_room import IceServer

logger = logging.getLogger(__name__)

SETUP_S = 12.0  # from our SDP to a connection; ICE alone would try for a minute
DECODER_END_S = 0.5  # a decoder thread ends with the picture that it is at


@dataclass(frozen=True, slots=True)
class LegStats:
    """Counters are cumulative and of all kinds together; times are monotonic seconds.

    Of an UplinkLeg: what was sent, and of that lost as far as the receiver has reported. Of a DownlinkLeg: what came,
    and lost before any retransmission.
    """

    packets: int = 0
    packets_lost: int = 0
    packets_expected: int = 0
    bytes: int = 0  # payload
    rtt_s: float | None = None
    jitter_s: float | None = None
    # An UplinkLeg: when the receiver was last heard, by a report or by ICE; None before the first report. Reports on
    # sound alone come every 2.5 to 7.5 s (RFC 3550 section 6.2), consent checks are answered every second.
    last_packet_s: float | None = None


class SdpError(RtcError):
    """An SDP from the peer that cannot be used: says why."""

    default_code = RtcErrorCode.MESSAGE_MALFORMED


class _Leg:
    """One peer connection and its end."""

    def __init__(self, leg_id: str, ice_servers: Sequence[IceServer], on_closed: Callable[[str], None]) -> None:
        self.leg_id = leg_id
        self.pc = RTCPeerConnection(
            RTCConfiguration(
                iceServers=[
                    RTCIceServer(
                        urls=list(server.urls),
                        username=server.username or None,
                        credential=server.credential or None,
                    )
                    for server in ice_servers
                ],
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            )
        )
        self._on_closed = on_closed
        self._connecting = aiortc_hooks.Connecting(self.pc, lambda exc: self._lose(f"cannot connect: {exc}"))
        self._deadline: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self.pc.on("connectionstatechange", self._on_state)

    @property
    def connected(self) -> bool:
        return self.pc.connectionState == "connected"

    def lose_address(self, gone: frozenset[str]) -> None:
        """Lost when it starts at an address of `gone`."""
        address = aiortc_hooks.local_address(self.pc)
        if address in gone:
            self._lose(f"the address {address} is gone")

    async def close(self) -> None:
        """Ends the leg; when this returns, no task, thread or socket of it is left. Idempotent."""
        self._on_closed = _nobody
        await asyncio.shield(self._close())

    async def _describe(self) -> str:
        await self.pc.setLocalDescription()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(SETUP_S, self._lose, f"no connection within {SETUP_S:.0f} s")
        return self.pc.localDescription.sdp

    async def _apply(self, sdp: str, kind: str) -> None:
        if (fault := _fault(sdp)) is not None:
            raise SdpError(f"the {kind} cannot be used: {fault}", operation=self.leg_id)
        try:
            await self.pc.setRemoteDescription(RTCSessionDescription(sdp, kind))
        except Exception as exc:  # aiortc's parser raises whatever its code runs into
            raise SdpError(f"the {kind} cannot be used: {exc!r}", operation=self.leg_id) from exc

    def _on_state(self) -> None:
        state = self.pc.connectionState
        logger.debug("leg %s: %s", self.leg_id, state)
        if state == "connected" and self._deadline is not None:
            self._deadline.cancel()
        elif state == "failed":
            self._lose("cannot connect: ICE or DTLS failed")
        elif state == "closed":
            expired = aiortc_hooks.consent_expired(self.pc)
            self._lose("the peer does not answer any more" if expired else "closed by the peer")

    def _lose(self, reason: str) -> None:
        on_closed, self._on_closed = self._on_closed, _nobody
        self._close()
        on_closed(reason)

    def _close(self) -> asyncio.Task[None]:
        if self._closing is None:
            self._closing = asyncio.create_task(self._end(), name=f"leg-close-{self.leg_id}")
        return self._closing

    async def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        await self._connecting.close()
        reclaim_soon()


def _nobody(reason: str) -> None:
    """Nobody is to be told."""


def _fault(sdp: str) -> str | None:
    """What is wrong with an SDP that aiortc would stumble over later, or None."""
    media = re.findall(r"^m=(\S+)", sdp, re.MULTILINE)
    mids = re.findall(r"^a=mid:(\S+)", sdp, re.MULTILINE)
    bundle = re.search(r"^a=group:BUNDLE +(.*\S)", sdp, re.MULTILINE)
    if len(media) != len(set(media)):
        return "two media of one kind; a leg carries one stream"
    if len(mids) != len(media) or len(set(mids)) != len(mids):
        return "not every medium has a mid of its own"
    if len(mids) > 1 and (bundle is None or bundle[1].split() != mids):
        return "its media are not bundled"
    if "a=fingerprint:" not in sdp:
        return "it has no fingerprint"
    return None


def _codecs(kind: Kind, names: Sequence[str]) -> list[RTCRtpCodecCapability]:
    """The capabilities of these codecs in this order, and retransmission. Constrained baseline is what we send."""
    known = sorted(
        RTCRtpSender.getCapabilities(kind).codecs,
        key=lambda codec: codec.parameters.get("profile-level-id") != "42e01f",
    )
    wanted = [codec for name in names for codec in known if codec.mimeType.lower() == f"{kind}/{name}"]
    return wanted + [codec for codec in known if kind == "video" and codec.mimeType == "video/rtx"]


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
        self.report: aiortc_hooks.ReceiverReport | None = None
        self._uplink = uplink
        self._tap: Tap | None = None
        aiortc_hooks.send_encoded(sender, self._next)
        aiortc_hooks.on_sender_feedback(sender, self._on_keyframe, self._on_bitrate, self._on_report)

    async def _next(self) -> EncodedFrame:
        if self._tap is None:
            self._tap = self._uplink.tap(self.kind, self.codec)
        return await self._tap.next()

    def _on_keyframe(self) -> None:
        if self._tap is not None:
            self._tap.request_keyframe()

    def _on_bitrate(self, bps: int) -> None:
        if self._tap is not None:
            self._tap.report_bitrate(bps)

    def _on_report(self, report: aiortc_hooks.ReceiverReport) -> None:
        self.report = report
        if self._tap is not None:
            self._tap.report_loss(report.loss)

    def close(self) -> None:
        if self._tap is not None:
            self._tap.close()


class UplinkLeg(_Leg):
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
            names = ("opus",) if kind == "audio" else uplink.video_codecs
            transceiver.setCodecPreferences(_codecs(kind, names))
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


def _offered_video_codecs(sdp: str) -> tuple[str, ...]:
    """What we can decode, in the order of the offer's payload types: the sender knows best what it encodes cheaply."""
    line = re.search(r"^m=video \S+ \S+ ([\d ]+)", sdp, re.MULTILINE)
    names = dict(re.findall(r"^a=rtpmap:(\d+) (H264|VP8)/90000", sdp, re.MULTILINE | re.IGNORECASE))
    offered = [names[number].lower() for number in line[1].split() if number in names] if line else []
    return tuple(dict.fromkeys([*offered, "h264", "vp8"]))


class DownlinkLeg(_Leg):
    """Receives from one sender: sound goes to the Playout, pictures to `video` while it is watched."""

    def __init__(
        self,
        leg_id: str,
        user_id: str,
        playout: Playout,
        *,
        ice_servers: Sequence[IceServer],
        on_media: Callable[[Kind], None],
        on_closed: Callable[[str], None],
    ) -> None:
        super().__init__(leg_id, ice_servers, on_closed)
        self.user_id = user_id
        self.audio: RemoteAudio | None = None
        self.video: RemoteVideo | None = None
        self._playout = playout
        self._on_media = on_media
        self._inbound: list[aiortc_hooks.Inbound] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, offer_sdp: str) -> str:
        """The SDP answer to an offer that sends, with all candidates. SdpError if the offer cannot be used."""
        for kind in re.findall(r"^m=(audio|video) ", offer_sdp, re.MULTILINE)[:2]:
            names = ("opus",) if kind == "audio" else _offered_video_codecs(offer_sdp)
            self.pc.addTransceiver(kind, direction="recvonly").setCodecPreferences(_codecs(kind, names))
        await self._apply(aiortc_hooks.passive_offer(offer_sdp), "offer")
        for receiver in self.pc.getReceivers():
            if receiver.track is not None:
                if receiver.track.kind == "audio":
                    self._take_audio(receiver)
                else:
                    self._take_video(receiver)
        if self.audio is None and self.video is None:
            raise SdpError("the offer sends nothing", operation=self.leg_id)
        try:
            return await self._describe()
        except Exception as exc:  # as above
            raise SdpError(f"the offer cannot be answered: {exc!r}", operation=self.leg_id) from exc

    def stats(self) -> LegStats:
        packets = expected = size = 0
        jitter_s = last_s = None
        for inbound in self._inbound:
            received, wanted, jitter = inbound.counts()
            packets += received
            expected += wanted
            size += inbound.bytes
            if jitter is not None:
                jitter_s = max(jitter_s or 0.0, jitter)
            if inbound.last_packet_s is not None:
                last_s = max(last_s or 0.0, inbound.last_packet_s)
        lost = max(0, expected - packets)
        return LegStats(packets, lost, expected, size, aiortc_hooks.ice_rtt_s(self.pc), jitter_s, last_s)

    def _take_audio(self, receiver: RTCRtpReceiver) -> None:
        self.audio = self._playout.add(self.user_id)
        aiortc_hooks.take_audio_packets(receiver, self.audio.push)
        self._inbound.append(aiortc_hooks.Inbound(receiver, lambda: self._on_media("audio")))

    def _take_video(self, receiver: RTCRtpReceiver) -> None:
        video = self.video = RemoteVideo()

        def ask() -> None:
            self._start(aiortc_hooks.request_keyframe(receiver), f"leg-keyframe-{self.leg_id}")

        aiortc_hooks.gate_video(receiver, lambda: video.wanted, ask)
        aiortc_hooks.assemble_video(receiver)
        video.on_wanted = ask
        self._inbound.append(aiortc_hooks.Inbound(receiver, lambda: self._on_media("video")))
        self._start(_read(receiver.track, video), f"leg-video-{self.leg_id}")

    def _start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        running = [aiortc_hooks.stop_decoding(receiver) for receiver in self.pc.getReceivers()]
        if any(running) and self._tasks:
            await asyncio.wait(self._tasks, timeout=DECODER_END_S)
        await super()._end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.audio is not None:
            self.audio.close()
        if self.video is not None:
            self.video.close()


async def _read(track: MediaStreamTrack, video: RemoteVideo) -> None:
    with suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            assert isinstance(frame, av.VideoFrame)
            video.on_frame(frame, time.monotonic())
