"""One leg from a sender, from our request over its offer and our answer to the close (capabilities U30, U40)."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from appliance.media.remote_audio import AudioReceiver, RemoteAudio
from appliance.media.sei import SeiPayload
from appliance.media.video_in import RemoteVideo
from appliance.room.backend import LegFailedError, LegReport, SendLeg
from appliance.room.decryption import Decryption
from appliance.room.downlink_leg import DownlinkLeg, NoCommonCodecError
from appliance.room.link import LinkLostError
from appliance.room.signaling_base import Kind, VideoCodec
from appliance.room.signaling_room import IceServer, LegAnswer, LegClose, LegMessage, LegOffer, LegRequest, LegSelect
from appliance.room.streams import KINDS
from appliance.room.wish import Wish

logger = logging.getLogger(__name__)

REPEAT_S = 2.0  # a request that the hub cannot hand on is dropped: it goes out again, under the same leg id
OFFER_REQUESTS = 4  # gathering with a dead STUN server takes the sender 5 s
MEDIA_TIMEOUT_S = 8.0  # from our answer to the first packet: ICE, DTLS, and a key frame
REST_TIMEOUT_S = 2.0  # from the first kind's packet to the other's: a stalled camera must not hold the voice up


@dataclass(frozen=True, slots=True)
class LegMeans:
    """What every leg is made with; the functions are asked for each new one."""

    playout: AudioReceiver
    send: SendLeg
    ice_servers: Callable[[], Sequence[IceServer]]
    video_codecs: Callable[[], Sequence[VideoCodec]]
    decryption: Decryption | None = None


class IncomingLeg:
    """Coming up is `connect`, `first_media`, `rest_of_media`; each raises `LegFailedError`, and `connect` also
    `NoCommonCodecError` and `LinkLostError`. `lost` says why it is no more.
    """

    def __init__(
        self,
        wish: Wish,
        kinds: frozenset[Kind],
        means: LegMeans,
        *,
        changed_within: Callable[[float], Awaitable[bool]],
        on_change: Callable[[], None],
        on_sei: Callable[[str, SeiPayload], None],
        on_watched: Callable[[], None],
    ) -> None:
        """`changed_within` waits so many seconds for the next change of the leg or its `wish`; False: there is none.
        `on_change`: the first media of a kind, or the connection's end. `on_sei` gets the leg's id, too.
        """
        self.leg_id = secrets.token_hex(8)
        self.kinds = kinds
        self.lost: str | None = None
        self.carrying: set[Kind] = set()
        self._wish = wish
        self._means = means
        self._changed_within = changed_within
        self._on_change = on_change
        self._on_sei = on_sei
        self._on_watched = on_watched
        self._offer: str | None = None
        self._media: DownlinkLeg | None = None

    # --- what it gives

    @property
    def is_live(self) -> bool:
        """There is a connection, maybe still on its way up."""
        return self._media is not None and self.lost is None

    @property
    def audio(self) -> RemoteAudio | None:
        """Once it carries."""
        return self._media.audio if self._media is not None and "audio" in self.carrying else None

    @property
    def video(self) -> RemoteVideo | None:
        return self._media.video if self._media is not None and "video" in self.carrying else None

    def report(self) -> LegReport | None:
        media, stream = self._media, self._wish.stream
        if media is None:
            return None
        return LegReport(
            self.leg_id,
            "down",
            media.stats(),
            stream.user_id,
            stream.name,
            media.tracks(),
            media.connected,
            media.local_address,
            rests=all(self._wish.rests(kind) for kind in self.kinds),
        )

    # --- what its sender and the network do

    def take(self, message: LegMessage) -> None:
        if isinstance(message, LegOffer) and self._offer is None:
            self._offer = message.sdp
        elif isinstance(message, LegClose):
            self.lost = self.lost or f"closed by the sender: {message.reason}"

    def lose_address(self, gone: frozenset[str]) -> None:
        """Lost when it starts at one of these addresses."""
        if self._media is not None:
            self._media.lose_address(gone)

    def select(self) -> None:
        """Tell the sender which layer is wished. Raises `LinkLostError`."""
        self._send(LegSelect(leg=self.leg_id, layer=self._wish.layer))

    # --- up

    async def connect(self) -> None:
        """Until our answer to the sender's offer is out."""
        offer = await self._ask()
        try:
            media = self._media = DownlinkLeg(
                self.leg_id,
                self._wish.stream.user_id,
                self._means.playout,
                video_codecs=self._means.video_codecs(),
                ice_servers=self._means.ice_servers(),
                on_media=self._media_came,
                on_closed=self._closed,
                on_sei=lambda payload: self._on_sei(self.leg_id, payload),
                decryption=self._means.decryption,
            )
            answer = await media.answer(offer)
            if media.video is not None:
                media.video.on_watched = self._on_watched
        except NoCommonCodecError:
            raise
        except Exception as exc:  # whatever a stranger's SDP makes of the parser
            raise LegFailedError(f"bad offer: {exc}") from exc
        self._send(LegAnswer(leg=self.leg_id, sdp=answer))

    async def first_media(self) -> None:
        await self._until(lambda: bool(self.carrying) or self._is_complete, MEDIA_TIMEOUT_S, "no media")

    async def rest_of_media(self) -> None:
        """Or `REST_TIMEOUT_S`: what carries is worth having."""
        try:
            await self._until(lambda: self._is_complete, REST_TIMEOUT_S, "not every kind")
        except LegFailedError:
            if self.lost is not None:
                raise

    async def _ask(self) -> str:
        """The sender's offer."""
        kinds = tuple(kind for kind in KINDS if kind in self.kinds)
        for _ in range(OFFER_REQUESTS):
            name, layer = self._wish.stream.name, self._wish.layer
            self._send(LegRequest(leg=self.leg_id, stream=name, kinds=kinds, layer=layer))
            try:
                await self._until(lambda: self._offer is not None, REPEAT_S, "no offer")
            except LegFailedError:
                if self.lost is not None:
                    raise
            if self._offer is not None:
                return self._offer
        raise LegFailedError(f"no offer within {OFFER_REQUESTS * REPEAT_S:g} s")

    async def _until(self, done: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not done():
            if self.lost is not None:
                raise LegFailedError(self.lost)
            if not await self._changed_within(deadline_s - time.monotonic()):
                raise LegFailedError(f"{otherwise} within {timeout_s:g} s")

    @property
    def _is_complete(self) -> bool:
        """Whether everything carries that has to."""
        return all(kind in self.carrying or self._wish.rests(kind) for kind in self.kinds)

    def _media_came(self, kind: Kind) -> None:
        self.carrying.add(kind)
        self._on_change()

    def _closed(self, reason: str) -> None:
        self.lost = self.lost or reason
        self._on_change()

    # --- down

    async def close(self, *, farewell: bool) -> None:
        """Here and, with a `farewell` while it is not lost, at its sender. Again is fine."""
        try:
            if farewell and self.lost is None:
                self._send(LegClose(leg=self.leg_id))
        except LinkLostError:
            logger.debug("leg %s ends without a word: no link", self.leg_id)
        finally:
            if self._media is not None:
                await self._media.close()

    def _send(self, message: LegMessage) -> None:
        self._means.send(self._wish.stream.user_id, message)
