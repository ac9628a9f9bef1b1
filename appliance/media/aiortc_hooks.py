"""The only file that touches private names of aiortc (1.16) and aioice (0.13).

Each hook is small, sits on one instance where it can, and is exercised by `self_test` at start-up, which says by name
which one an upgrade broke. All of them belong to the event loop.
"""

from __future__ import annotations

import asyncio
import datetime
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol

import aioice.ice
import aiortc.clock
import aiortc.codecs
import aiortc.rtcicetransport
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
from aioice import stun
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
    unpack_remb_fci,
    unwrap_rtx,
)

from appliance.media import transport_cc
from appliance.media.feedback import BitrateEstimate, Feedback, ReceiverReport
from appliance.media.rtp_out import RtpStream, SentCounts, StreamParameters
from appliance.media.rtp_port import Route, RtpPort
from appliance.media.video_receiver import VideoReceiver

CONSENT_INTERVAL_S = 1.0
CONSENT_S = 4.5  # without an answer
STALLED_S = 1.0  # a timer that comes so late: this process did not run
GRACE_S = 2.0  # after that: for answers to new checks
CONSENT_RETRANSMISSIONS = 3  # 0.5, 1.5 and 3.5 s after the first
CANCEL_AGAIN_S = 0.02  # before 3.12 `wait_for`, in a handshake, loses a cancellation that comes with a packet
STUN_TIMEOUT_S = 2  # for a STUN or TURN server that does not answer; aioice waits 5 s

_stock_decoder_worker: Any = aiortc.rtcrtpreceiver.decoder_worker
_TRANSPORT_FEEDBACK = RTCRtcpFeedback("transport-cc")
_TRANSPORT_NUMBER_ID = 4  # of the header extension; aiortc's own are 1 to 3
FEEDBACK_S = 0.07  # from the first packet to the feedback about it and those after it
_stock_parse_rtpfb = RtcpRtpfbPacket.parse

_LAST_STUN_BYTE = 3
_stock_datagram_received = aioice.ice.StunProtocol.datagram_received
_get_host_addresses = aioice.ice.get_host_addresses
_epoch = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=time.monotonic())
_NTP_AT_ZERO_S = (_epoch - aiortc.clock.NTP_EPOCH).total_seconds()


# --- once a process


def install(ice_addresses: Sequence[str] = (), *, loopback: bool = False) -> None:
    """Monotonic clocks, fast consent checks, our host addresses, Opus with FEC and DTX, no public STUN. Idempotent.

    `ice_addresses`: the only addresses to offer; empty: all of this machine. `loopback` offers 127.0.0.1 beside them.
    """
    _install_clock()
    _install_ice(tuple(ice_addresses), loopback=loopback)
    receivers: Any = aiortc.rtcrtpreceiver
    receivers.decoder_worker = _decoder_worker
    aiortc.codecs.CODECS["audio"][0].parameters = {"minptime": 10, "useinbandfec": 1, "usedtx": 1}
    _install_transport_feedback()


async def self_test() -> None:
    """Runs each hook once, in about 50 ms; HookError names the first that does not work. Needs `install` before."""
    from appliance.media import aiortc_selftest  # it imports this file

    await aiortc_selftest.run()


class _MonotonicTime:
    """In place of the module `time` where only differences of `time.time()` are used."""

    time = staticmethod(time.monotonic)


def monotonic_datetime() -> datetime.datetime:
    """Wall-clock time of the start of this process, and monotonic from there on."""
    return _epoch + datetime.timedelta(seconds=time.monotonic())


def _ntp_time() -> int:
    return int((_NTP_AT_ZERO_S + time.monotonic()) * (1 << 32))


def _install_clock() -> None:
    modules: tuple[Any, ...] = (aiortc.rtcrtpsender, aiortc.rtcrtpreceiver)
    for module in modules:
        module.time = _MonotonicTime
    clock: Any = aiortc.clock
    clock.current_datetime = monotonic_datetime
    clock.current_ntp_time = _ntp_time  # twice a packet: aiortc's way through datetime is a tenth of a leg's cost


def _install_transport_feedback() -> None:
    """Offered and answered, and not taken for a NACK when it comes."""
    for kind, codecs in aiortc.codecs.CODECS.items():
        extensions = aiortc.codecs.HEADER_EXTENSIONS[kind]
        if all(extension.uri != transport_cc.URI for extension in extensions):
            extensions.append(RTCRtpHeaderExtensionParameters(id=_TRANSPORT_NUMBER_ID, uri=transport_cc.URI))
        for codec in codecs:
            if not is_rtx(codec) and _TRANSPORT_FEEDBACK not in codec.rtcpFeedback:
                codec.rtcpFeedback.append(_TRANSPORT_FEEDBACK)
    feedback: Any = RtcpRtpfbPacket
    feedback.parse = _parse_rtpfb


def _parse_rtpfb(data: bytes, fmt: int) -> RtcpRtpfbPacket:
    if fmt != transport_cc.FMT:
        return _stock_parse_rtpfb(data, fmt)
    if len(data) < 8:
        raise ValueError("RTCP RTP feedback length is invalid")
    packet: Any = RtcpRtpfbPacket(fmt, int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big"))
    packet.fci = data[8:]
    feedback: RtcpRtpfbPacket = packet
    return feedback


def _install_ice(addresses: tuple[str, ...], *, loopback: bool) -> None:
    def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        found = list(addresses) or _get_host_addresses(use_ipv4=use_ipv4, use_ipv6=use_ipv6)
        return [*found, "127.0.0.1"] if loopback and "127.0.0.1" not in found else found

    ice: Any = aioice.ice
    ice.get_host_addresses = host_addresses
    ice.Connection.query_consent = _query_consent
    ice.StunProtocol.datagram_received = _datagram_received
    ice.Connection.get_component_candidates.__defaults__ = (STUN_TIMEOUT_S,)
    gatherer: Any = aiortc.rtcicetransport.RTCIceGatherer
    gatherer.getDefaultIceServers = classmethod(lambda cls: [])


def _datagram_received(protocol: Any, data: bytes, address: tuple[Any, ...]) -> None:
    """Media pass by the parser of STUN, which would refuse each packet with an exception (RFC 7983 section 7)."""
    if data and data[0] > _LAST_STUN_BYTE:
        protocol.receiver.data_received(data, protocol.local_candidate.component)
    else:
        _stock_datagram_received(protocol, data, address)


async def _query_consent(connection: Any) -> None:
    """RFC 7675 with a deadline, and the round trip time of each check on the way.

    A check goes out every second, whether the one before was answered or not, and each is repeated: of the ten requests
    before the deadline one gets through also where a fifth of everything is lost, both ways.
    """
    loop = asyncio.get_running_loop()
    password = connection.remote_password.encode("utf8")
    answered_s = loop.time()

    async def check(pair: Any) -> None:
        nonlocal answered_s
        sent_s = loop.time()
        with suppress(stun.TransactionError):
            request = connection.build_request(pair, nominate=False)
            await pair.protocol.request(
                request, pair.remote_addr, integrity_key=password, retransmissions=CONSENT_RETRANSMISSIONS
            )
            answered_s = connection.consent_answered_s = loop.time()
            took_s = answered_s - sent_s
            if took_s < stun.RETRY_RTO or not hasattr(connection, "consent_rtt_s"):
                connection.consent_rtt_s = took_s  # later than that, it may answer the second request

    checks: set[asyncio.Task[None]] = set()
    try:
        while connection._nominated:
            task = asyncio.create_task(check(next(iter(connection._nominated.values()))), name="leg-consent-check")
            checks.add(task)
            task.add_done_callback(checks.discard)
            now_s = loop.time()
            look_s = min(now_s + CONSENT_INTERVAL_S * (0.8 + 0.4 * random.random()), answered_s + CONSENT_S)
            await asyncio.sleep(look_s - now_s)
            if loop.time() - look_s > STALLED_S:  # nobody was here to take an answer
                answered_s = max(answered_s, loop.time() - CONSENT_S + GRACE_S)
            if loop.time() - answered_s >= CONSENT_S:
                connection.consent_expired = True
                connection._query_consent_task = None
                break
    finally:
        for task in list(checks):
            task.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
    if connection._query_consent_task is None:
        await connection.close()


# --- peer connections


class Connecting:
    """The tasks in which `pc` connects: watched for errors, and ended before it is closed."""

    def __init__(self, pc: RTCPeerConnection, on_error: Callable[[Exception], None]) -> None:
        self.attempts = 0
        self._pc = pc
        self._tasks: set[asyncio.Task[Any]] = set()
        inner: Any = pc
        connect = inner._RTCPeerConnection__connect

        async def watched() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.set_name("leg-connect")
            self._tasks.add(task)
            self.attempts += 1
            try:
                await connect()
            except Exception as exc:
                on_error(exc)
            finally:
                self._tasks.discard(task)

        inner._RTCPeerConnection__connect = watched

    async def close(self) -> None:
        """Closes the peer connection; no task, thread or socket of it is left."""
        while self._tasks:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.wait(self._tasks, timeout=CANCEL_AGAIN_S)
        await self._pc.close()


def ice_rtt_s(pc: RTCPeerConnection) -> float | None:
    """Round trip time of the newest consent check; None before the first answer."""
    rtt_s: float | None = getattr(ice_agent(pc), "consent_rtt_s", None)
    return rtt_s


def consent_answered_s(pc: RTCPeerConnection) -> float | None:
    """Monotonic time of the newest answer to a consent check; None before the first."""
    answered_s: float | None = getattr(ice_agent(pc), "consent_answered_s", None)
    return answered_s


def consent_expired(pc: RTCPeerConnection) -> bool:
    """Whether the connection was given up because the peer did not answer."""
    return bool(getattr(ice_agent(pc), "consent_expired", False))


def local_address(pc: RTCPeerConnection) -> str | None:
    """The own end of the pair that carries the media, a relay's for a relayed one; None while there is none."""
    nominated: dict[int, Any] = getattr(ice_agent(pc), "_nominated", {})
    candidate = next((pair.protocol.local_candidate for pair in nominated.values()), None)
    return candidate.host if candidate is not None else None


def ice_agent(pc: RTCPeerConnection) -> Any:
    """The aioice.Connection of a bundled peer connection; None before it has a transceiver."""
    transceivers = pc.getTransceivers()
    ice: Any = transceivers[0].receiver.transport.transport if transceivers else None
    return getattr(ice, "_connection", None)


def passive_offer(sdp: str) -> str:
    """An offer that makes aiortc the DTLS server.

    As DTLS client it sends its ClientHello as soon as ICE has nominated a pair for it. An offerer whose own checks are
    not through by then drops it, and OpenSSL repeats it after 1.0 s. As server it waits for a peer that is ready.
    """
    return sdp.replace("a=setup:actpass", "a=setup:active")


def negotiated_codec(transceiver: RTCRtpTransceiver) -> str:
    """The codec that is sent, in lower case; after the answer."""
    inner: Any = transceiver
    name: str = inner._codecs[0].name
    return name.lower()


# --- senders


class SenderCalls(Protocol):
    """What a sender tells whoever feeds it."""

    def on_start(self, rtp: RtpStream) -> None:
        """The connection is there: frames go to `rtp` from now on."""

    def on_keyframe_request(self) -> None:
        """PLI or FIR."""

    def on_nack(self, lost: Sequence[int]) -> None: ...
    def on_feedback(self, feedback: Feedback) -> None: ...


def take_over_sender(
    sender: RTCRtpSender, port: RtpPort, calls: SenderCalls, numbers: transport_cc.SentPackets | None = None
) -> None:
    """RTP is ours, packed and sent without aiortc; RTCP, BYE and statistics stay aiortc's. Before the sender starts.

    `numbers` are the peer connection's: with them, packets are numbered where the receiver gives feedback for it.
    """
    inner: Any = sender
    handle, send_rtcp = inner._handle_rtcp_packet, inner._send_rtcp
    rtp: RtpStream | None = None

    async def started(codec: Any) -> None:
        nonlocal rtp
        _open(port, inner.transport)
        numbered = numbers is not None and _TRANSPORT_FEEDBACK in codec.rtcpFeedback
        rtp = RtpStream(_stream_parameters(inner, codec, numbered=numbered), port, numbers)
        inner.transport._rtp_router.register_sender(inner, ssrc=inner._rtx_ssrc)  # feedback may name this one
        calls.on_start(rtp)
        await asyncio.get_running_loop().create_future()  # until the sender is stopped

    async def handle_rtcp_packet(packet: Any) -> None:
        if isinstance(packet, RtcpRtpfbPacket):
            if packet.fmt == RTCP_RTPFB_NACK:
                calls.on_nack(packet.lost)
            elif packet.fmt == transport_cc.FMT and numbers is not None:
                numbers.take(packet.fci, time.monotonic())  # type: ignore[attr-defined]
            return
        await handle(packet)
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == inner._ssrc:
                    rtt_s = inner._RTCRtpSender__rtt
                    loss = report.fraction_lost / 256
                    calls.on_feedback(ReceiverReport(loss, report.packets_lost, report.jitter, rtt_s, time.monotonic()))
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate_bps, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                return
            if inner._ssrc in ssrcs:
                calls.on_feedback(BitrateEstimate(bitrate_bps, time.monotonic()))

    async def send_reports(packets: list[Any]) -> None:
        if isinstance(packets[0], RtcpSrPacket):
            if rtp is None or (timestamp := rtp.timestamp_at(now_s := time.monotonic())) is None:
                return  # nothing has been sent that it could speak of
            _fill_in(packets[0], inner, now_s, timestamp, rtp.counts())
        await send_rtcp(packets)

    inner._next_encoded_frame = started
    inner._handle_rtcp_packet = handle_rtcp_packet
    inner._send_keyframe = calls.on_keyframe_request
    inner._send_rtcp = send_reports


def _open(port: RtpPort, dtls: Any) -> None:
    agent = dtls.transport._connection
    connected = type(dtls._state).CONNECTED

    known: Any = None
    way: Route | None = None

    def route() -> Route | None:
        nonlocal known, way
        pair = agent._nominated.get(1)
        if pair is None or dtls._state is not connected:
            return None
        if pair is not known:
            known, way = pair, (pair.protocol.transport, pair.remote_addr)
        return way

    port.open(dtls._tx_srtp, route)


def _stream_parameters(inner: Any, codec: Any, *, numbered: bool) -> StreamParameters:
    ids = inner._RTCRtpSender__rtp_header_extensions_map._HeaderExtensionsMap__ids
    return StreamParameters(
        ssrc=inner._ssrc,
        payload_type=codec.payloadType,
        rtx_ssrc=inner._rtx_ssrc,
        rtx_payload_type=inner._RTCRtpSender__rtx_payload_type,
        mid=inner._RTCRtpSender__mid,
        mid_id=ids.mid or 0,
        abs_send_time_id=ids.abs_send_time or 0,
        audio_level_id=ids.audio_level or 0,
        transport_number_id=(ids.transport_sequence_number or 0) if numbered else 0,
        clock_hz=codec.clockRate,
    )


def _fill_in(report: RtcpSrPacket, inner: Any, now_s: float, timestamp: int, counts: SentCounts) -> None:
    ntp = int((_NTP_AT_ZERO_S + now_s) * (1 << 32))
    report.sender_info = RtcpSenderInfo(ntp, timestamp, counts.packets & 0xFFFFFFFF, counts.bytes & 0xFFFFFFFF)
    inner._RTCRtpSender__lsr = ntp >> 16 & 0xFFFFFFFF
    inner._RTCRtpSender__packet_count, inner._RTCRtpSender__octet_count = counts.packets, counts.bytes


# --- receivers


class Inbound:
    """Counts what a receiver gets, from the moment it is made; `on_first` is called at the first packet.

    `bytes` are payload, `repeated_bytes` that of packets which were sent again. `codec` is the last packet's, in lower
    case.
    """

    def __init__(self, receiver: RTCRtpReceiver, on_first: Callable[[], None]) -> None:
        self.bytes = self.repeated_bytes = 0
        self.codec = ""
        self.last_packet_s: float | None = None
        inner: Any = receiver
        self._receiver = inner
        handle = inner._handle_rtp_packet

        async def handle_rtp_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
            first = self.last_packet_s is None
            if packet.ssrc in inner._RTCRtpReceiver__rtx_ssrc:
                self.repeated_bytes += len(packet.payload)
            else:
                self.bytes += len(packet.payload)
                codec = inner._RTCRtpReceiver__codecs.get(packet.payload_type)
                self.codec = codec.name.lower() if codec is not None else self.codec
            self.last_packet_s = time.monotonic()
            await handle(packet, arrival_time_ms=arrival_time_ms)
            if first:
                on_first()

        inner._handle_rtp_packet = handle_rtp_packet

    def counts(self) -> tuple[int, int, float | None]:
        """Packets received and expected of the media stream, and its jitter in seconds."""
        streams = self._receiver._RTCRtpReceiver__remote_streams
        retransmissions = self._receiver._RTCRtpReceiver__rtx_ssrc
        received = expected = 0
        jitter_s = None
        for ssrc, stream in streams.items():
            if ssrc not in retransmissions and stream.max_seq is not None:
                received += stream.packets_received
                expected += stream.packets_expected
                jitter_s = stream.jitter / stream._clockrate
        return received, expected, jitter_s


def take_audio_packets(receiver: RTCRtpReceiver, sink: Callable[[int, int, bytes, float], None]) -> None:
    """`sink(sequence_number, timestamp, payload, arrival_s)` in place of aiortc's audio buffer and decoder.

    RTCP and statistics stay aiortc's.
    """

    class Sink:
        def add(self, packet: RtpPacket) -> tuple[bool, None]:
            sink(packet.sequence_number, packet.timestamp, packet.payload, time.monotonic())
            return False, None

    inner: Any = receiver
    inner._RTCRtpReceiver__jitter_buffer = Sink()


def receive_video(receiver: RTCRtpReceiver, target: VideoReceiver) -> None:
    """`target` in place of aiortc's NACKs, video buffer and decoder. Before the receiver starts.

    aiortc's hands a picture on with the first packet of the next one, asks for a lost packet once, and freezes for
    seconds when that is lost as well. RTCP reports and the estimate of the bandwidth stay aiortc's.
    """
    inner: Any = receiver
    codecs, streams = inner._RTCRtpReceiver__codecs, inner._RTCRtpReceiver__remote_streams
    retransmissions = inner._RTCRtpReceiver__rtx_ssrc
    port = _FeedbackPort(inner)
    target.attach(port)
    inner._RTCRtpReceiver__decoder_queue = _DecoderThread(target)

    names: dict[int, str] = {}  # of the codecs by payload type, "rtx" among them

    async def handle_rtp_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
        await _estimate_bandwidth(inner, packet, arrival_time_ms)
        payload_type, ssrc = packet.payload_type, packet.ssrc
        name = names.get(payload_type)
        if name is None:
            if payload_type not in codecs:
                return
            name = names[payload_type] = codecs[payload_type].name
        stream = streams.get(ssrc)
        if stream is None:
            stream = streams[ssrc] = StreamStatistics(codecs[payload_type].clockRate)
        stream.add(packet)
        retransmitted = name == "rtx"
        if retransmitted:
            ssrc, media = retransmissions.get(ssrc), codecs.get(codecs[payload_type].parameters.get("apt"))
            if ssrc is None or media is None or len(packet.payload) < 2:
                return  # of nobody, or padding
            packet, name = unwrap_rtx(packet, payload_type=media.payloadType, ssrc=ssrc), media.name
        port.ssrc = ssrc
        target.on_packet(
            name,
            packet.sequence_number,
            packet.timestamp,
            bool(packet.marker),
            packet.payload,
            retransmitted=retransmitted,
        )

    inner._handle_rtp_packet = handle_rtp_packet


async def _estimate_bandwidth(inner: Any, packet: RtpPacket, arrival_time_ms: int) -> None:
    if packet.extensions.abs_send_time is None or packet.extensions.transport_sequence_number is not None:
        return  # who numbers its packets estimates for itself: see ArrivalReports
    remb = inner._RTCRtpReceiver__remote_bitrate_estimator.add(
        abs_send_time=packet.extensions.abs_send_time,
        arrival_time_ms=arrival_time_ms,
        payload_size=len(packet.payload) + packet.padding_size,
        ssrc=packet.ssrc,
    )
    if remb is not None and inner._RTCRtpReceiver__rtcp_ssrc is not None:
        fci = pack_remb_fci(*remb)
        await inner._send_rtcp(
            RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=inner._RTCRtpReceiver__rtcp_ssrc, media_ssrc=0, fci=fci)
        )


class ArrivalReports:
    """Tells who sends numbered packets when each arrived. After the remote description, before media; then `close`."""

    def __init__(self, pc: RTCPeerConnection, interval_s: float = FEEDBACK_S) -> None:
        self._interval_s = interval_s
        transceivers: list[Any] = pc.getTransceivers()
        self._dtls: Any = transceivers[0].receiver.transport
        self._ssrc: int = transceivers[0].sender._ssrc
        self._media_ssrc = 0
        self._log = transport_cc.ArrivalLog()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        if any(_TRANSPORT_FEEDBACK in codec.rtcpFeedback for each in transceivers for codec in each._codecs):
            router = self._dtls._rtp_router
            self._route = router.route_rtp
            router.route_rtp = self._route_rtp

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _route_rtp(self, packet: RtpPacket) -> Any:
        number = packet.extensions.transport_sequence_number
        if number is not None:
            self._media_ssrc = packet.ssrc
            self._log.arrived(number, time.monotonic())
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._start)
        return self._route(packet)

    def _start(self) -> None:
        self._timer = None
        self._sending = asyncio.create_task(self._send(), name="leg-transport-feedback")

    async def _send(self) -> None:
        with suppress(ConnectionError):
            for fci in self._log.feedback(time.monotonic()):
                await self._dtls._send_rtp(transport_cc.rtcp(fci, self._ssrc, self._media_ssrc))


class _FeedbackPort:
    """NACK and PLI of one receiver; `ssrc` is the media stream's."""

    def __init__(self, inner: Any) -> None:
        self.ssrc: int | None = None
        self._inner = inner
        self._tasks: set[asyncio.Task[None]] = set()

    def send_nack(self, lost: list[int]) -> None:
        self._start(self._inner._send_rtcp_nack, lost)

    def send_pli(self) -> None:
        self._start(self._inner._send_rtcp_pli)

    def rtt_s(self) -> float | None:
        """Of the newest consent check."""
        rtt_s: float | None = getattr(self._inner.transport.transport._connection, "consent_rtt_s", None)
        return rtt_s

    def _start(self, send: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        if self.ssrc is None:
            return
        task = asyncio.create_task(send(self.ssrc, *arguments), name="leg-video-feedback")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _DecoderThread:
    """Where aiortc expects the queue of its decoder's thread."""

    def __init__(self, target: VideoReceiver) -> None:
        self.run = target.run_decoder
        self._target = target

    def put(self, item: None) -> None:
        self._target.decoder.end()


def _decoder_worker(loop: asyncio.AbstractEventLoop, input_q: Any, output_q: Any, decode_error: object) -> None:
    """aiortc's, or ours for a receiver that has one."""
    if not isinstance(input_q, _DecoderThread):
        _stock_decoder_worker(loop, input_q, output_q, decode_error)
        return
    input_q.run(loop)
    with suppress(RuntimeError):  # the loop is closed
        asyncio.run_coroutine_threadsafe(output_q.put(None), loop)  # the track has ended


def on_sender_report(receiver: RTCRtpReceiver, heard: Callable[[float, int], None]) -> None:
    """`heard(ntp_s, rtp_timestamp)` of each report about the stream that this receiver gets."""
    inner: Any = receiver
    handle = inner._handle_rtcp_packet

    async def handle_rtcp_packet(packet: Any) -> None:
        await handle(packet)
        if isinstance(packet, RtcpSrPacket) and packet.ssrc not in inner._RTCRtpReceiver__rtx_ssrc:
            info = packet.sender_info
            heard(info.ntp_timestamp / (1 << 32), info.rtp_timestamp)

    inner._handle_rtcp_packet = handle_rtcp_packet


def stop_decoding(receiver: RTCRtpReceiver) -> bool:
    """Lets the decoder thread of a receiver of sound end, and the track with it. False if it isn't running."""
    inner: Any = receiver
    inner._RTCRtpReceiver__decoder_queue.put(None)
    return inner._RTCRtpReceiver__decoder_thread is not None
