"""The room client: the public surface of being in a room (capabilities T2, T3).

Every method checks its call before any I/O and raises a typed error without changing anything (T3-I). Events come in
the order of T3-O. Uplink and Playout belong to the client's maker, who may use them before and after. One event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from appliance.errors import (
    EmptyStreamError,
    InvalidArgumentError,
    InvalidStateError,
    MediaTimeoutError,
    NotJoinedError,
    ReconnectingError,
    RoleError,
    RtcError,
    RtcErrorCode,
    SeiUnavailableError,
    StreamNotFoundError,
)
from appliance.events import Event
from appliance.media.playout import Playout
from appliance.media.sei import CUSTOM, SeiPayload
from appliance.media.uplink import Uplink
from appliance.room.backend import LegFailedError, LegReport, MediaCalls
from appliance.room.entry import Ticket
from appliance.room.events import (
    ConnectionState,
    ConnectionStateChanged,
    ScreenShareStopped,
    SeiMessage,
    StreamAdded,
    StreamConnectionStateChanged,
    StreamSubscribed,
    StreamUpdated,
    WarningRaised,
)
from appliance.room.media_client import MediaClient
from appliance.room.mesh import Mesh
from appliance.room.options import RoomOptions
from appliance.room.reports import Reports
from appliance.room.sei_allowance import SeiAllowance, checked
from appliance.room.signaling_base import Kind, MediaKind, StreamName
from appliance.room.signaling_room import IceServer, LegMessage
from appliance.room.stay import Stay
from appliance.room.streams import MEDIA_KINDS, LocalStream, RemoteStream, media_kinds, track_kinds

logger = logging.getLogger(__name__)

MIN_VOLUME_INTERVAL_MS = 100  # TM07
MAX_TOP_N = 16


class RoomClient(MediaClient):
    """A member of at most one room of the hub at `url` (ws:// or wss://).

    Without an `uplink` it announces streams but sends nothing; without a `playout` it cannot subscribe.
    """

    def __init__(
        self,
        url: str,
        *,
        uplink: Uplink | None = None,
        playout: Playout | None = None,
        auto_subscribe: bool = False,
        options: RoomOptions = RoomOptions(),  # noqa: B008 - frozen
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        """`ice_servers` are used beside the hub's."""
        super().__init__(url, options, uplink)
        self._playout = playout
        self._auto_subscribe = auto_subscribe
        self._ice_servers = tuple(ice_servers)
        self._volume_interval_s: float | None = None
        self._top_n: int | None = None
        self._reports: Reports | None = None
        self._sei_allowance = SeiAllowance()
        if uplink is not None:
            uplink.on_screen_ended = self._screen_ended

    # --- what is

    @property
    def streams(self) -> list[RemoteStream]:
        """Everything that the others publish."""
        return [stream for user in self.peers.values() for stream in user.streams.values()]

    @property
    def published(self) -> list[LocalStream]:
        return list(self._stay.own.published.values()) if self._stay is not None else []

    def leg_reports(self) -> list[LegReport]:
        """The counters of every leg of this call, out and in; empty outside of a room."""
        return self._stay.media.reports() if self._stay is not None else []

    def is_muted(self, kind: MediaKind) -> bool:
        """The gate itself; without an uplink the last wish."""
        return self._own.is_muted(kind)

    # --- one's own streams

    async def publish(self, stream: LocalStream) -> None:
        """Announce the stream, or replace the one of its name; kinds that the uplink has no device for are left out."""
        stay = self._check_connected("publish")
        if stay.seat.role != "host":
            raise RoleError(f"publish() as {stay.seat.role}", operation="publish", state=self._connection.state)
        stream = self._own.available(stream)
        if not stream.kinds:
            raise EmptyStreamError(
                "publish() of a stream without a track", operation="publish", state=self._connection.state
            )
        await stay.own.publish(stream)

    async def unpublish(self, stream: LocalStream | StreamName, kinds: tuple[MediaKind, ...] | None = None) -> None:
        """Withdraw the stream, or only `kinds` of it; nothing to withdraw is fine (IL05)."""
        stay = self._check_connected("unpublish")
        name = stream.name if isinstance(stream, LocalStream) else stream
        published = stay.own.published.get(name)
        if published is None:
            logger.debug("unpublish of %s, which is not published", name)
            return
        dropped = track_kinds(name, MEDIA_KINDS if kinds is None else _checked_kinds(kinds, "unpublish"))
        rest = replace(
            published,
            audio=published.audio and "audio" not in dropped,
            video=published.video and "video" not in dropped,
        )
        if not rest.kinds:
            await stay.own.unpublish(name)
        elif rest != published:
            await stay.own.publish(rest)

    async def mute(self, kind: MediaKind) -> None:
        """Shut the gate at once, in any state; the hub is told now or after the reconnect."""
        await self._set_muted(kind, True)

    async def unmute(self, kind: MediaKind) -> None:
        """Raises `RoleError` while a host has muted it."""
        await self._set_muted(kind, False)

    @property
    def forced_mutes(self) -> frozenset[MediaKind]:
        """The kinds that a host of the room has muted: `unmute` is refused until a host lifts it."""
        return frozenset(self._stay.seat.forced_mutes) if self._stay is not None else frozenset()

    def send_sei_message(self, data: bytes, payload_type: int = CUSTOM) -> None:
        """With one's next picture, to everybody who receives its high layer (U84); not confirmed: it may be lost.

        Up to 1 KB a message, 30 messages and 8 KB in a second. `payload_type` 243, or 5: `data` begins with a UUID of
        16 bytes. In H.264 it is SEI, in other codecs it travels on a data channel beside (X41). Raises
        `InvalidArgumentError`, `SeiUnavailableError` without video that is on its way, `RateLimitError` (IL24).
        """
        operation = "send_sei_message"
        payload = checked(data, payload_type)
        stay = self._check_connected(operation)
        main, uplink = stay.own.published.get("main"), self._own.uplink
        if main is None or not main.video or uplink is None or not uplink.has("video") or uplink.is_muted("video"):
            state = self._connection.state
            raise SeiUnavailableError("no video is published and on", operation=operation, state=state)
        self._sei_allowance.take(len(payload.data), time.monotonic())
        uplink.send_sei(payload)

    # --- the others' streams

    async def subscribe(
        self, stream: RemoteStream, audio: bool = True, video: bool = True, screen: bool = True
    ) -> None:
        """Receive these kinds of `stream` and keep receiving them; again to widen or narrow. `video` is the camera of
        `main`, `screen` the picture of `screen`.

        Resolves after stream_subscribed of every kind, which comes with its first media (OR10); a muted kind needs
        none. Raises `StreamNotFoundError`, `MediaTimeoutError` (the wish stands then), `InvalidStateError`.
        """
        stay = self._check_connected("subscribe")
        state = self._connection.state
        if self._playout is None:
            raise InvalidStateError("this client has no playout to receive with", operation="subscribe", state=state)
        self._check_present(stay, stream)
        asked = {"audio": audio, "video": video, "screen": screen}
        wished = tuple(kind for kind in MEDIA_KINDS if asked[kind])
        kinds = track_kinds(stream.name, wished) & frozenset(stream.track_kinds)
        if not wished:
            raise InvalidArgumentError("neither audio, video nor screen", operation="subscribe", state=state)
        if not kinds:
            raise StreamNotFoundError(
                f"{stream!r} has no {' and no '.join(wished)}", operation="subscribe", state=state
            )
        stay.media.want(stream, kinds)
        try:
            async with asyncio.timeout(self._options.subscribe_timeout_s):
                await stay.media.wait_subscribed(stream, kinds)
        except TimeoutError as exc:
            message = f"no media of {stream!r} within {self._options.subscribe_timeout_s:g} s"
            raise MediaTimeoutError(message, operation="subscribe", state=state) from exc
        except LegFailedError as exc:
            raise StreamNotFoundError(f"{stream!r}: {exc}", operation="subscribe", state=state) from exc
        await asyncio.sleep(0)  # async listeners have begun before subscribe() resolves

    async def unsubscribe(self, stream: RemoteStream, kinds: tuple[MediaKind, ...] | None = None) -> None:
        """Receive no more of it; nothing to end is fine (IL05)."""
        stay = self._check_connected("unsubscribe")
        dropped = track_kinds(stream.name, MEDIA_KINDS if kinds is None else _checked_kinds(kinds, "unsubscribe"))
        wanted = stay.media.wanted(stream)
        if wanted & dropped:
            stay.media.want(stream, wanted - dropped)

    def subscribed_kinds(self, stream: RemoteStream) -> frozenset[MediaKind]:
        """The kinds of `stream` that are wanted, whether their media has come yet or not."""
        wanted = self._stay.media.wanted(stream) if self._stay is not None else frozenset()
        return frozenset(media_kinds(stream.name, wanted))

    def set_remote_volume(self, user_id: str, volume: int) -> None:
        """Play this user's sound at 0, silent, to 100, as it comes; before it is there too, and for all that it sends.

        Raises `InvalidArgumentError`, and `InvalidStateError` without a playout.
        """
        state = self._connection.state
        self._check_alive("set_remote_volume")
        if self._playout is None:
            raise InvalidStateError("this client has no playout", operation="set_remote_volume", state=state)
        try:
            self._playout.set_volume(user_id, volume)
        except ValueError as exc:
            raise InvalidArgumentError(str(exc), operation="set_remote_volume", state=state) from exc

    def enable_audio_volume_evaluation(self, interval_ms: int = 2000) -> None:
        """Raise audio_volume every `interval_ms`; 0 or less ends it (X29)."""
        self._check_alive("enable_audio_volume_evaluation")
        if 0 < interval_ms < MIN_VOLUME_INTERVAL_MS:
            raise InvalidArgumentError(
                f"interval of {interval_ms} ms: at least {MIN_VOLUME_INTERVAL_MS}",
                operation="enable_audio_volume_evaluation",
                state=self._connection.state,
            )
        self._volume_interval_s = interval_ms / 1000 if interval_ms > 0 else None
        if self._reports is not None:
            self._reports.set_volume_interval(self._volume_interval_s)

    def enable_top_n_audio(self, enable: bool, n: int = 3) -> None:
        """Raise volume_indicator with the `n` loudest (1 to 16) every 2 s (U54). Raises `InvalidArgumentError`."""
        self._check_alive("enable_top_n_audio")
        if not 1 <= n <= MAX_TOP_N:
            raise InvalidArgumentError(
                f"the {n} loudest: 1 to {MAX_TOP_N}", operation="enable_top_n_audio", state=self._connection.state
            )
        self._top_n = n if enable else None
        if self._reports is not None:
            self._reports.set_top_n(self._top_n)

    def report(self, event: Event) -> None:
        """Raise an event of the devices, which are its maker's (U41, U66 to U70), in whatever state."""
        self._emitter.emit(event)

    # --- inside

    def _forced_mute(self, kind: MediaKind, muted: bool) -> None:
        if muted:  # whoever may speak again decides it alone
            self._own.set_muted(kind, True)

    def _emit(self, event: Event) -> None:
        if isinstance(event, StreamAdded | StreamUpdated):
            self._steering.apply()  # before it is asked for
        super()._emit(event)

    def _subscribed(self, stream: RemoteStream, kind: Kind) -> None:
        self._steering.apply()  # what has come and nobody watches needs to come no more
        (named,) = media_kinds(stream.name, (kind,))
        self._emit(StreamSubscribed(stream=stream, kind=named))

    def _misfit(self, stream: RemoteStream) -> None:
        reason = f"the {'screen' if stream.name == 'screen' else 'video'} of {stream.user_id} comes in no codec of ours"
        self._emit(WarningRaised(code=406, reason=reason))

    def _stream_state_changed(self, stream: RemoteStream, before: ConnectionState, now: ConnectionState) -> None:
        self._emit(StreamConnectionStateChanged(stream=stream, prev_state=before, cur_state=now))

    def _heard_sei(self, stream: RemoteStream, payload: SeiPayload) -> None:
        self._emit(SeiMessage(user_id=stream.user_id, data=payload.data, payload_type=payload.payload_type))

    def _new_stay(self, ticket: Ticket) -> Stay:
        def send(to: str, message: LegMessage) -> None:
            stay.send_leg(to, message)

        media = Mesh(
            self._own.uplink,
            self._playout,
            send=send,
            calls=MediaCalls(
                self._subscribed, self._misfit, self._stream_state_changed, self._heard_sei, self._steering.apply
            ),
        )
        stay = Stay(
            self._login,
            ticket,
            self._options,
            connection=self._connection,
            emit=self._emit,
            media=media,
            describe=self._own.describe,
            on_forced_mute=self._forced_mute,
            ice_servers=self._ice_servers,
            auto_subscribe=self._auto_subscribe and self._playout is not None,
        )
        return stay

    def _follow(self, event: ConnectionStateChanged) -> None:
        """The reports run from the first CONNECTED to the end; what was in the room ends with DISCONNECTED."""
        stay = self._stay
        if event.cur_state is ConnectionState.CONNECTED and self._reports is None and stay is not None:
            self._begin(stay)
            self._reports = Reports(
                self._emit,
                user_id=stay.seat.user_id or "",
                users=stay.peers.users,
                own=self._own,
                media=stay.media,
                quality_interval_s=self._options.quality_interval_s,
                quality_on_change=self._options.network_quality_on_change,
                volume_interval_s=self._volume_interval_s,
                top_n=self._top_n,
                tell=stay.report_quality,
                steer=self._steering.report,
            )
        elif event.cur_state is ConnectionState.DISCONNECTED and not event.will_reconnect:
            self._finish()
            if self._reports is not None:
                self._reports.end()
            self._reports = self._stay = None

    async def _set_muted(self, kind: MediaKind, muted: bool) -> None:
        operation = "mute" if muted else "unmute"
        self._check_alive(operation)
        _checked_kinds((kind,), operation)
        stay = self._stay
        if stay is not None and not muted and kind in stay.seat.forced_mutes:
            raise RoleError(f"{kind} was muted by a host", operation=operation, state=self._connection.state)
        self._own.set_muted(kind, muted)
        if stay is None or self._connection.state is not ConnectionState.CONNECTED:
            return
        stream = stay.own.published.get("screen" if kind == "screen" else "main")
        if stream is None or kind not in media_kinds(stream.name, stream.kinds):
            return
        try:
            await stay.own.announce_mute(kind, muted)
        except (ReconnectingError, NotJoinedError):
            logger.debug("%s of %s goes out with the reconnect", operation, kind)
        except RtcError as exc:
            if exc.code is not RtcErrorCode.STREAM_NOT_FOUND:  # its publish is still on the way, and says it too
                raise

    def _screen_ended(self) -> None:
        """U71: the others hear that the stream is gone."""
        stay = self._stay
        screen = stay.own.published.get("screen") if stay is not None else None
        if stay is not None and screen is not None and self._connection.is_joined:
            self._emit(ScreenShareStopped(stream=screen))
            stay.withdraw("screen")

    def _check_present(self, stay: Stay, stream: RemoteStream) -> None:
        """IL06."""
        user = stay.peers.users.get(stream.user_id)
        if user is None or user.streams.get(stream.name) is not stream:
            raise StreamNotFoundError(
                f"{stream!r} is no longer there", operation="subscribe", state=self._connection.state
            )


def _checked_kinds(kinds: tuple[MediaKind, ...], operation: str) -> tuple[MediaKind, ...]:
    unknown = [kind for kind in kinds if kind not in MEDIA_KINDS]
    if unknown:
        raise InvalidArgumentError(f"{unknown[0]!r} is neither audio, video nor screen", operation=operation)
    return kinds
