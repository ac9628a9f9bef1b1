"""What comes and goes, and how well: layers of received video, statistics, stream states (U36 to U39, U57 to U64).

Between being a member who may relay and `RoomClient`.
"""

from __future__ import annotations

from appliance.errors import InvalidArgumentError
from appliance.media.uplink import Uplink
from appliance.room.events import ConnectionState
from appliance.room.figures import STREAMS, Figures
from appliance.room.options import RoomOptions
from appliance.room.own_media import OwnMedia
from appliance.room.signaling_base import Selection, StreamName
from appliance.room.statistics import (
    LocalAudioStats,
    LocalVideoStats,
    RemoteAudioStats,
    RemoteVideoStats,
    RtcStatsRow,
    SessionStats,
    TransportStats,
    VideoKind,
)
from appliance.room.stay import Stay
from appliance.room.steering import Steering
from appliance.room.streams import MediaPriority, RemoteStream, StreamType
from appliance.room.tasks_client import TasksClient
from appliance.room.watch import Watch

MIN_STATS_INTERVAL_MS = 100
DETECTION_S = (1.0, 60.0)  # D47


class MediaClient(TasksClient):
    """The statistics are of the stay in the room, and fresh: `statistics.py` says what each figure means. They raise
    `NotJoinedError` outside of a room (IL19).
    """

    def __init__(self, url: str, options: RoomOptions, uplink: Uplink | None) -> None:
        super().__init__(url, options)
        self._own = OwnMedia(uplink)
        self._steering = Steering(options)
        self._figures: Figures | None = None
        self._watch: Watch | None = None
        self._rtc_stats_s: float | None = None
        self._detection_s: float | None = None

    # --- layers

    def set_remote_video_stream_type(
        self, stream: RemoteStream | str, stream_type: StreamType, name: StreamName = "main"
    ) -> bool:
        """Receive at most this layer of a video from its next key frame on; HIGH at first (U36). In place of `stream`
        also a user id and the stream's `name`, before join too: it is kept for the streams of that name.

        False and nothing changed for a stream of one layer (IL23). Raises `InvalidArgumentError`.
        """
        operation = "set_remote_video_stream_type"
        self._check_alive(operation)
        if stream_type not in set(StreamType):
            raise InvalidArgumentError(f"{stream_type!r} is neither HIGH nor LOW", operation=operation)
        return self._steering.wish(_key(stream, name), StreamType(stream_type))

    def set_shown_size(
        self, stream: RemoteStream | str, size: tuple[int, int] | None, name: StreamName = "main"
    ) -> None:
        """How large its video is shown, in pixels: a small one is received as LOW, one of (0, 0) not at all. None: as
        if nobody had said. Keeps like a stream type. Raises `InvalidArgumentError`.
        """
        operation = "set_shown_size"
        self._check_alive(operation)
        if size is not None and min(size) < 0:
            raise InvalidArgumentError(f"size {size}: not below 0", operation=operation)
        self._steering.show(_key(stream, name), size)

    def received_layer(self, stream: RemoteStream) -> Selection:
        """The layer of its video that is asked for now: "high", "low" or "none"."""
        return self._steering.selected(stream)

    # --- stream states

    def enable_stream_state_detection(self, enable: bool, interval_s: float = 3.0) -> None:
        """Raise stream_interrupted for a received video of which no frame came for `interval_s` (1 to 60), and
        stream_recovered when there is one again (U39). Raises `InvalidArgumentError` (IL22).
        """
        operation = "enable_stream_state_detection"
        self._check_alive(operation)
        if not DETECTION_S[0] <= interval_s <= DETECTION_S[1]:
            raise InvalidArgumentError(f"interval of {interval_s} s: 1 to 60", operation=operation)
        self._detection_s = interval_s if enable else None
        if self._watch is not None:
            self._watch.set_detection(self._detection_s)

    # --- statistics

    def enable_rtc_stats(self, enable: bool, interval_ms: int = 2000) -> None:
        """Raise rtc_stats every `interval_ms` (at least 100); off at first (U58). Raises `InvalidArgumentError`."""
        operation = "enable_rtc_stats"
        self._check_alive(operation)
        if interval_ms < MIN_STATS_INTERVAL_MS:
            message = f"interval of {interval_ms} ms: at least {MIN_STATS_INTERVAL_MS}"
            raise InvalidArgumentError(message, operation=operation)
        self._rtc_stats_s = interval_ms / 1000 if enable else None
        if self._watch is not None:
            self._watch.set_rtc_stats(self._rtc_stats_s)

    def track_stats(self) -> tuple[RtcStatsRow, ...]:
        """What rtc_stats would say now; empty outside of a room."""
        if self._figures is None or self._stay is None:
            return ()
        self._figures.sample()
        return self._figures.rows(self._stay.seat.user_id or "", self._login.user_name)

    async def get_local_audio_stats(self) -> LocalAudioStats | None:
        """Of the published microphone; None without one (U59)."""
        return self._sampled("get_local_audio_stats").local_audio()

    async def get_local_video_stats(self, media_type: VideoKind | None = None) -> list[LocalVideoStats]:
        """Of the published camera and screen, or one of them: one for each layer that somebody takes (U60).

        Raises `InvalidArgumentError` for "audio" (X34).
        """
        kinds = _video_kinds(media_type, "get_local_video_stats")
        figures = self._sampled("get_local_video_stats")
        return [stats for kind in kinds for stats in figures.local_video(kind)]

    async def get_remote_audio_stats(self) -> dict[str, RemoteAudioStats]:
        """Of every received voice, by user id (U61)."""
        figures, found = self._sampled("get_remote_audio_stats"), {}
        for user_id, user in self.peers.items():
            stream = user.streams.get("main")
            stats = figures.remote_audio(stream) if stream is not None else None
            if stats is not None:
                found[user_id] = stats
        return found

    async def get_remote_video_stats(
        self, media_type: VideoKind | None = None
    ) -> dict[str, dict[VideoKind, RemoteVideoStats]]:
        """Of every received camera and screen, or of one kind, by user id and kind (U62).

        Raises `InvalidArgumentError` for "audio" (X34).
        """
        kinds = _video_kinds(media_type, "get_remote_video_stats")
        figures = self._sampled("get_remote_video_stats")
        found: dict[str, dict[VideoKind, RemoteVideoStats]] = {}
        for user_id, user in self.peers.items():
            for kind in kinds:
                stream = user.streams.get(STREAMS[kind])
                stats = figures.remote_video(stream) if stream is not None else None
                if stats is not None:
                    found.setdefault(user_id, {})[kind] = stats
        return found

    async def get_session_stats(self) -> SessionStats:
        """Of the whole stay (U63)."""
        return self._sampled("get_session_stats").session()

    async def get_transport_stats(self) -> TransportStats:
        """Of the network that the media goes over (U64)."""
        return self._sampled("get_transport_stats").transport()

    # --- inside

    def _sampled(self, operation: str) -> Figures:
        self._check_in_room(operation)
        assert self._figures is not None  # from the first CONNECTED on
        self._figures.sample()
        return self._figures

    def _begin(self, stay: Stay) -> None:
        """In the room."""
        users, media = stay.peers.users, stay.media
        self._steering.attach(media, users)
        self._figures = Figures(self._own, media, users, stay.own.published, self._steering.selected)
        self._watch = Watch(
            self._emit,
            self._figures,
            own=self._own,
            user_id=stay.seat.user_id or "",
            user_name=lambda: self._login.user_name,
            users=users,
            media=media,
            selected=self._steering.selected,
            options=self._options,
            is_important=lambda: stay.seat.priority is MediaPriority.HIGH,
            is_online=lambda: self._connection.state is ConnectionState.CONNECTED,
            on_media_lost=stay.departure.media_lost,
            rtc_stats_interval_s=self._rtc_stats_s,
            detection_s=self._detection_s,
        )

    def _finish(self) -> None:
        """Out of the room."""
        self._steering.attach(None, {})
        if self._watch is not None:
            self._watch.end()
        self._watch = self._figures = None


def _key(stream: RemoteStream | str, name: StreamName) -> tuple[str, StreamName]:
    return (stream, name) if isinstance(stream, str) else (stream.user_id, stream.name)


def _video_kinds(media_type: VideoKind | None, operation: str) -> tuple[VideoKind, ...]:
    if media_type is None:
        return tuple(STREAMS)
    if media_type not in STREAMS:
        raise InvalidArgumentError(f"{media_type!r} is neither video nor screen", operation=operation)
    return (media_type,)
