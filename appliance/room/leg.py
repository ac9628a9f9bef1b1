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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from appliance.errors import RtcError, RtcErrorCode
from appliance.media import aiortc_hooks
from appliance.media.frames import Kind
from appliance.media.parity import CODEC as PARITY
from appliance.memory import reclaim_soon
from appliance.room.signaling_room import IceServer

logger = logging.getLogger(__name__)

SETUP_S = 12.0  # from our SDP to a connection; ICE alone would try for a minute


@dataclass(frozen=True, slots=True)
class LegStats:
    """Counters are cumulative and of all kinds together; times are monotonic seconds.

    Of an UplinkLeg: what was sent, and of that expected and lost as far as the receiver has reported. Of a DownlinkLeg:
    what came, and lost before any retransmission.
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


class Leg:
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
        self._gathering: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.pc.on("connectionstatechange", self._on_state)

    @property
    def connected(self) -> bool:
        return self.pc.connectionState == "connected"

    @property
    def local_address(self) -> str | None:
        """The own end of the pair that carries the media; None while there is none."""
        return aiortc_hooks.local_address(self.pc)

    def lose_address(self, gone: frozenset[str]) -> None:
        """Lost when it starts at an address of `gone`."""
        address = self.local_address
        if address in gone:
            self._lose(f"the address {address} is gone")

    async def close(self) -> None:
        """Ends the leg; when this returns, no task, thread or socket of it is left. Idempotent."""
        self._on_closed = _nobody
        await asyncio.shield(self._close())

    async def _describe(self) -> str:
        # aioice forgets the sockets of a gathering that is cancelled: whoever closes the leg waits for it.
        gathering = self._gathering = asyncio.create_task(
            self.pc.setLocalDescription(), name=f"leg-gather-{self.leg_id}"
        )
        await asyncio.shield(gathering)
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
            self._closing.add_done_callback(self._say_failure)
        return self._closing

    def _say_failure(self, closing: asyncio.Task[None]) -> None:
        if not closing.cancelled() and (error := closing.exception()) is not None:
            logger.error("leg %s was not closed in order", self.leg_id, exc_info=error)

    async def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._gathering is not None:
            await asyncio.gather(self._gathering, return_exceptions=True)
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


def codecs(kind: Kind, names: Sequence[str]) -> list[RTCRtpCodecCapability]:
    """The capabilities of these codecs in this order, and what mends losses. Constrained baseline is what we send."""
    known = sorted(
        RTCRtpSender.getCapabilities(kind).codecs,
        key=lambda codec: codec.parameters.get("profile-level-id") != "42e01f",
    )
    wanted = [codec for name in names for codec in known if codec.mimeType.lower() == f"{kind}/{name}"]
    return wanted + [codec for codec in known if codec.mimeType in ("video/rtx", f"video/{PARITY}")]
