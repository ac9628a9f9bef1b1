"""Receives from one sender: sound goes to the Playout, pictures to `video` while it is watched."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Sequence

from aiortc import RTCDataChannel, RTCRtpReceiver

from appliance.media import aiortc_hooks
from appliance.media.e2ee import Coding, FrameDecryptor, FrameRefusedError
from appliance.media.frames import Kind
from appliance.media.remote_audio import AudioReceiver, RemoteAudio
from appliance.media.sei import PAYLOAD_TYPES, SeiError, SeiPayload, user_messages
from appliance.media.sei_delivery import CHANNEL, SeiAtPictures, parse_timed
from appliance.media.video_in import RemoteVideo
from appliance.media.video_receiver import VideoReceiver
from appliance.room.counters import InTrack
from appliance.room.decryption import Decryption
from appliance.room.leg import Leg, LegStats, SdpError, codecs
from appliance.room.signaling_base import VideoCodec
from appliance.room.signaling_room import IceServer

logger = logging.getLogger(__name__)


class NoCommonCodecError(SdpError):
    """The offer has video, in no codec that may be taken here."""


def _video_codecs(sdp: str, allowed: Sequence[VideoCodec]) -> tuple[str, ...]:
    """Those that may be taken, in the order of the offer's payload types: the sender knows best what it encodes
    cheaply.
    """
    line = re.search(r"^m=video \S+ \S+ ([\d ]+)", sdp, re.MULTILINE)
    names = dict(re.findall(r"^a=rtpmap:(\d+) (H264|VP8)/90000", sdp, re.MULTILINE | re.IGNORECASE))
    offered = [names[number].lower() for number in line[1].split() if number in names] if line else []
    taken = tuple(dict.fromkeys(codec for codec in offered if codec in allowed))
    if line and not taken:
        raise NoCommonCodecError(f"it comes as {' or '.join(offered) or 'nothing known'}, not {' or '.join(allowed)}")
    return taken


class DownlinkLeg(Leg):
    def __init__(
        self,
        leg_id: str,
        user_id: str,
        playout: AudioReceiver,
        *,
        video_codecs: Sequence[VideoCodec] = ("h264", "vp8"),
        ice_servers: Sequence[IceServer],
        on_media: Callable[[Kind], None],
        on_closed: Callable[[str], None],
        on_sei: Callable[[SeiPayload], None] = lambda payload: None,
        decryption: Decryption | None = None,
    ) -> None:
        """With a `decryption` nothing is taken that it does not open. `on_sei` follows the pictures as they come."""
        super().__init__(leg_id, ice_servers, on_closed)
        self.user_id = user_id
        self._video_codecs = video_codecs
        self.audio: RemoteAudio | None = None
        self.video: RemoteVideo | None = None
        self._playout = playout
        self._on_media = on_media
        self._inbound: dict[Kind, aiortc_hooks.Inbound] = {}
        self._video_receiver: VideoReceiver | None = None
        self._arrival_reports: aiortc_hooks.ArrivalReports | None = None
        self._on_sei = on_sei
        self._sei = SeiAtPictures()
        self._sei_decryptor: FrameDecryptor | None = None
        self._sei_timer: asyncio.TimerHandle | None = None
        self._decryption = decryption
        self._decryptors: list[FrameDecryptor] = []
        self._opening: dict[Kind, FrameDecryptor] = {}

    async def answer(self, offer_sdp: str) -> str:
        """The SDP answer to an offer that sends, with all candidates. SdpError if the offer cannot be used,
        NoCommonCodecError if its video cannot.
        """
        video = _video_codecs(offer_sdp, self._video_codecs)
        for kind in re.findall(r"^m=(audio|video) ", offer_sdp, re.MULTILINE)[:2]:
            names = ("opus",) if kind == "audio" else video
            self.pc.addTransceiver(kind, direction="recvonly").setCodecPreferences(codecs(kind, names))
        await self._apply(aiortc_hooks.passive_offer(offer_sdp), "offer")
        for receiver in self.pc.getReceivers():
            if receiver.track is not None:
                if receiver.track.kind == "audio":
                    self._take_audio(receiver)
                else:
                    self._take_video(receiver)
        self._bring_together()
        if self.audio is None and self.video is None:
            raise SdpError("the offer sends nothing", operation=self.leg_id)
        self._arrival_reports = aiortc_hooks.ArrivalReports(self.pc)
        aiortc_hooks.MediaIn(self.pc)
        try:
            return await self._describe()
        except Exception as exc:  # as above
            raise SdpError(f"the offer cannot be answered: {exc!r}", operation=self.leg_id) from exc

    def stats(self) -> LegStats:
        packets = expected = size = 0
        jitter_s = last_s = None
        for inbound in self._inbound.values():
            received, wanted, jitter = inbound.counts()
            packets += received
            expected += wanted
            size += inbound.bytes + inbound.repeated_bytes
            if jitter is not None:
                jitter_s = max(jitter_s or 0.0, jitter)
            if inbound.last_packet_s is not None:
                last_s = max(last_s or 0.0, inbound.last_packet_s)
        lost = max(0, expected - packets)
        return LegStats(packets, lost, expected, size, aiortc_hooks.ice_rtt_s(self.pc), jitter_s, last_s)

    def tracks(self) -> tuple[InTrack, ...]:
        return tuple(self._track(kind, inbound) for kind, inbound in self._inbound.items())

    def _track(self, kind: Kind, inbound: aiortc_hooks.Inbound) -> InTrack:
        packets, expected, jitter_s = inbound.counts()
        decryptor = self._opening.get(kind)
        return InTrack(
            kind=kind,
            codec=inbound.codec,
            packets=packets,
            packets_expected=expected,
            bytes=inbound.bytes,
            jitter_s=jitter_s,
            last_packet_s=inbound.last_packet_s,
            opened=decryptor.opened if decryptor is not None else 0,
            refused=decryptor.refused["forged"] + decryptor.refused["malformed"] if decryptor is not None else 0,
            audio=self.audio.stats() if kind == "audio" and self.audio is not None else None,
            video=self.video.stats() if kind == "video" and self.video is not None else None,
        )

    def _take_audio(self, receiver: RTCRtpReceiver) -> None:
        audio = self.audio = self._playout.add(self.user_id)
        decryptor = self._decryptor("audio")

        def push(sequence_number: int, timestamp: int, payload: bytes, arrival_s: float) -> None:
            opened = payload if decryptor is None else self._open(decryptor, "opus", payload)
            if opened is not None:
                audio.push(sequence_number, timestamp, opened, arrival_s)

        aiortc_hooks.take_audio_packets(receiver, push)
        aiortc_hooks.on_sender_report(receiver, self._on_audio_report)
        self._inbound["audio"] = aiortc_hooks.Inbound(receiver, lambda: self._on_media("audio"))

    def _take_video(self, receiver: RTCRtpReceiver) -> None:
        video = self.video = RemoteVideo(self._playout.trace)
        decryptor = self._decryptor("video")
        self._sei_decryptor = self._decryptor()
        self.pc.on("datachannel", self._take_channel)

        def open_picture(codec: str, timestamp: int, data: bytes) -> bytes | None:
            coding: Coding = "h264" if codec == "H264" else "vp8"
            opened = data if decryptor is None else self._open(decryptor, coding, data)
            if opened is not None:
                self._tell_sei(user_messages(opened) if coding == "h264" else self._sei.picture(timestamp))
            return opened

        self._video_receiver = VideoReceiver(video, open_picture)
        aiortc_hooks.receive_video(receiver, self._video_receiver)
        aiortc_hooks.on_sender_report(
            receiver, lambda ntp_s, timestamp: video.on_sender_report(ntp_s, timestamp, aiortc_hooks.ice_rtt_s(self.pc))
        )
        self._inbound["video"] = aiortc_hooks.Inbound(receiver, lambda: self._on_media("video"))

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == CHANNEL:
            channel.on("message", self._take_timed)

    def _take_timed(self, message: object) -> None:
        try:
            timestamp, payload = parse_timed(message)
        except SeiError as exc:
            logger.debug("%s sent no SEI message: %s", self.user_id, exc)
            return
        loop = asyncio.get_running_loop()
        self._tell_sei(self._sei.add(timestamp, payload, loop.time()))
        if self._sei_timer is None and self._sei.due_s is not None:
            self._sei_timer = loop.call_at(self._sei.due_s, self._on_sei_time)

    def _on_sei_time(self) -> None:
        self._sei_timer = None
        loop = asyncio.get_running_loop()
        self._tell_sei(self._sei.tick(loop.time()))
        if self._sei.due_s is not None:
            self._sei_timer = loop.call_at(self._sei.due_s, self._on_sei_time)

    def _tell_sei(self, payloads: Iterable[SeiPayload]) -> None:
        for payload in payloads:
            decryptor = self._sei_decryptor
            data = payload.data if decryptor is None else self._open(decryptor, "message", payload.data)
            if data is not None and payload.payload_type in PAYLOAD_TYPES:
                self._on_sei(SeiPayload(payload.payload_type, data))

    def _on_audio_report(self, ntp_s: float, timestamp: int) -> None:
        if self.video is not None:
            self.video.lip_sync.audio.report(ntp_s, timestamp)

    def _bring_together(self) -> None:
        """Pictures go with the sound of the same leg: of one sender's stream, with one CNAME."""
        audio = self.audio
        if audio is not None and self.video is not None:
            self.video.heard = lambda: self._playout.heard(audio)

    def _decryptor(self, kind: Kind | None = None) -> FrameDecryptor | None:
        """Of the frames of this kind, or None of messages."""
        if self._decryption is None:
            return None
        self._decryptors.append(self._decryption.decryptor())
        if kind is not None:
            self._opening[kind] = self._decryptors[-1]
        return self._decryptors[-1]

    def _open(self, decryptor: FrameDecryptor, coding: Coding, data: bytes) -> bytes | None:
        try:
            return decryptor.open(coding, data)
        except FrameRefusedError as exc:
            assert self._decryption is not None
            count = self._decryption.refused.total()
            if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
                logger.warning("%d frames refused, the last one of %s because %s", count, self.user_id, exc)
            if coding in ("h264", "vp8") and exc.refusal != "replayed" and self._video_receiver is not None:
                # Other pictures may refer to it. Not at once: it is handing on pictures.
                asyncio.get_running_loop().call_soon(self._video_receiver.request_keyframe)
            return None

    async def _end(self) -> None:
        if self._sei_timer is not None:
            self._sei_timer.cancel()
        try:
            for receiver in self.pc.getReceivers():
                aiortc_hooks.stop_decoding(receiver)
            if self._video_receiver is not None:
                await self._video_receiver.close()
            if self._arrival_reports is not None:
                self._arrival_reports.close()
        finally:
            await super()._end()
        for decryptor in self._decryptors:
            assert self._decryption is not None
            self._decryption.retire(decryptor)
        if self.audio is not None:
            self.audio.close()
