"""The statistics of one stay, out of legs, devices and the roster. `statistics.py` says what each means."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from appliance.room.backend import LegReport, MediaBackend
from appliance.room.counters import InTrack, OutTrack
from appliance.room.network_type import network_type
from appliance.room.own_media import OwnMedia
from appliance.room.signaling_base import Kind, Layer, Selection, StreamName
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
from appliance.room.stats_window import WINDOW_S, StatsWindow, Totals, TrackKey, key_of
from appliance.room.streams import LocalStream, RemoteStream, RemoteUser, media_kinds

ONGOING_FREEZE_S = 0.5  # no frame for so long while one watches: it counts before the next frame comes
SHORT_SHARE, USED_SHARE = 0.6, 0.6
LAYERS: tuple[Layer, ...] = ("high", "low")
STREAMS: dict[VideoKind, StreamName] = {"video": "main", "screen": "screen"}


class Figures:
    """`sample` about once a second; everything else at any time. Event loop only."""

    def __init__(
        self,
        own: OwnMedia,
        media: MediaBackend,
        users: Mapping[str, RemoteUser],
        published: Mapping[StreamName, LocalStream],
        selected: Callable[[RemoteStream], Selection],
    ) -> None:
        self._own = own
        self._media = media
        self._users = users
        self._published = published
        self._selected = selected
        self._window = StatsWindow()
        self._captured: deque[tuple[float, dict[StreamName, int]]] = deque()
        self.reports: list[LegReport] = []
        self._since_s = time.monotonic()

    def sample(self) -> None:
        """Reads every counter."""
        now_s = time.monotonic()
        self.reports = self._media.reports()
        self._window.add(self.reports, now_s)
        self._captured.append((now_s, {name: self._own.captured(name) for name in STREAMS.values()}))
        while len(self._captured) > 1 and now_s - self._captured[1][0] >= WINDOW_S:
            self._captured.popleft()

    # --- what is sent

    def local_audio(self) -> LocalAudioStats | None:
        """None while no microphone is published."""
        stream = self._published.get("main")
        if stream is None or not stream.audio:
            return None
        legs, tracks = self._sending("main", "audio", "high")
        totals = self._sent("main", "audio", "high")
        return LocalAudioStats(
            muted=self._own.is_muted("audio"),
            level=self._own.level,
            receivers=len(tracks),
            packets_sent=totals.packets,
            bytes_sent=totals.bytes,
            bitrate_kbps=self._kbps(self._keys("up", "main", "audio")),
            loss=_mean(track.loss for track in tracks),
            jitter_ms=_worst_ms(track.jitter_s for track in tracks),
            rtt_ms=_mean_ms(leg.stats.rtt_s for leg in legs),
        )

    def local_video(self, media_type: VideoKind) -> list[LocalVideoStats]:
        """One for each layer that is taken, HIGH first; HIGH alone of what nobody takes, none of what is not there."""
        name = STREAMS[media_type]
        stream = self._published.get(name)
        if stream is None or not stream.video:
            return []
        taken = [layer for layer in LAYERS if self._sending(name, "video", layer)[1]]
        return [self._local_video(media_type, layer) for layer in taken or LAYERS[:1]]

    def _local_video(self, media_type: VideoKind, layer: Layer) -> LocalVideoStats:
        name = STREAMS[media_type]
        legs, tracks = self._sending(name, "video", layer)
        totals, keys = self._sent(name, "video", layer), self._keys("up", name, "video", layer)
        codecs = [track.codec for track in tracks if track.codec]
        codec = max(sorted(set(codecs)), key=codecs.count, default="")
        width, height = self._own.sent_size(name, codec, layer)
        target_bps = self._own.target_bps(name, codec, layer)
        return LocalVideoStats(
            media_type=media_type,
            layer=layer,
            muted=self._own.is_muted(media_type),
            receivers=len(tracks),
            codec=codec,
            width=width,
            height=height,
            capture_frame_rate=self._capture_rate(name),
            frame_rate=max((self._window.frame_rate(key) for key in keys), default=0.0),
            target_bitrate_kbps=None if target_bps is None else target_bps / 1000,
            frames_sent=totals.frames,
            key_frames_sent=totals.key_frames,
            packets_sent=totals.packets,
            bytes_sent=totals.bytes,
            packets_repeated=totals.repeated,
            key_frame_requests=totals.requests,
            bitrate_kbps=self._kbps(keys),
            loss=_mean(track.loss for track in tracks),
            jitter_ms=_worst_ms(track.jitter_s for track in tracks),
            rtt_ms=_mean_ms(leg.stats.rtt_s for leg in legs),
        )

    def sent_lately(self, name: StreamName, kind: Kind, layer: Selection) -> int:
        """Packets of the last two seconds or so, to all receivers."""
        keys = self._keys("up", name, kind, "low" if layer == "low" else "high")
        return sum(self._window.recent(key)[0].packets for key in keys)

    def is_short(self, name: StreamName) -> bool:
        """Whether this video's HIGH layer goes out with much less than it would take, and takes all that it gets."""
        media_type: VideoKind = "screen" if name == "screen" else "video"
        high = next((video for video in self.local_video(media_type) if video.layer == "high"), None)
        if high is None or high.muted or not high.receivers or high.target_bitrate_kbps is None:
            return False
        target_kbps, sent_kbps = high.target_bitrate_kbps, high.bitrate_kbps / high.receivers
        return target_kbps < SHORT_SHARE * self._own.max_bps(name) / 1000 and sent_kbps > USED_SHARE * target_kbps

    # --- what is received

    def remote_audio(self, stream: RemoteStream) -> RemoteAudioStats | None:
        """None while no leg brings it."""
        leg, track = self._receiving(stream, "audio")
        if leg is None or track is None:
            return None
        key = key_of(leg, track)
        totals = self._window.totals[key]
        return RemoteAudioStats(
            user_id=stream.user_id,
            muted=stream.is_muted("audio"),
            level=stream.audio.level if stream.audio is not None else 0,
            codec=track.codec or "opus",
            packets_received=totals.packets,
            packets_lost=max(0, totals.lost),
            bytes_received=totals.bytes,
            bitrate_kbps=self._window.kbps(key),
            loss=self._window.loss(key),
            jitter_ms=_ms(track.jitter_s),
            rtt_ms=_ms(leg.stats.rtt_s),
            delay_ms=round(track.audio.delay_ms, 1) if track.audio is not None else None,
            total_concealed_ms=totals.concealed_ms,
        )

    def remote_video(self, stream: RemoteStream) -> RemoteVideoStats | None:
        """None while no leg brings it."""
        leg, track = self._receiving(stream, "video")
        if leg is None or track is None:
            return None
        key = key_of(leg, track)
        totals, video = self._window.totals[key], track.video
        frozen_ms = totals.frozen_ms + self._freezes_ms(stream, track)
        return RemoteVideoStats(
            user_id=stream.user_id,
            media_type="screen" if stream.name == "screen" else "video",
            layer=self._selected(stream),
            muted=stream.is_muted("video"),
            codec=track.codec,
            width=video.width if video is not None else 0,
            height=video.height if video is not None else 0,
            frame_rate=self._window.frame_rate(key),
            shown_frame_rate=video.fps if video is not None else 0.0,
            frames_received=totals.frames,
            frames_decoded=totals.decoded,
            packets_received=totals.packets,
            packets_lost=max(0, totals.lost),
            bytes_received=totals.bytes,
            bitrate_kbps=self._window.kbps(key),
            loss=self._window.loss(key),
            jitter_ms=_ms(track.jitter_s),
            rtt_ms=_ms(leg.stats.rtt_s),
            total_freeze_ms=frozen_ms,
        )

    def lately(self, stream: RemoteStream, kind: Kind) -> tuple[int, int, float]:
        """Packets that came in the last two seconds or so, packets of sound or pictures decoded, and how many seconds
        that were.
        """
        leg, track = self._receiving(stream, kind)
        if leg is None or track is None:
            return 0, 0, 0.0
        more, seconds = self._window.recent(key_of(leg, track))
        return more.packets, more.decoded, seconds

    def _freezes_ms(self, stream: RemoteStream, track: InTrack) -> float:
        """Of a freeze that has not ended."""
        video = track.video
        if video is None or video.last_frame_s is None or not video.frames_shown or stream.is_muted("video"):
            return 0.0
        if stream.video is None or not stream.video.wanted or self._selected(stream) == "none":
            return 0.0
        for_s = time.monotonic() - video.last_frame_s
        return round(for_s * 1000) if for_s > ONGOING_FREEZE_S else 0.0

    # --- all together

    def session(self) -> SessionStats:
        up = [key for key in self._window.totals if key.direction == "up"]
        down = [key for key in self._window.totals if key.direction == "down"]
        return SessionStats(
            duration_s=round(time.monotonic() - self._since_s, 1),
            user_count=len(self._users) + 1,
            bytes_sent=sum(self._window.totals[key].bytes for key in up),
            bytes_received=sum(self._window.totals[key].bytes for key in down),
            send_kbps=self._kbps(up),
            recv_kbps=self._kbps(down),
        )

    def transport(self) -> TransportStats:
        up = [report for report in self.reports if report.direction == "up"]
        down = [report for report in self.reports if report.direction == "down"]
        estimates = [
            track.estimate_bps
            for report in up
            for track in report.tracks
            if isinstance(track, OutTrack) and track.estimate_bps is not None
        ]
        rtts = {report.user_id: _ms(report.stats.rtt_s) for report in down}
        session = self.session()
        return TransportStats(
            rtt_ms=_mean_ms(report.stats.rtt_s for report in self.reports),
            uplink_rtt_ms=_mean_ms(report.stats.rtt_s for report in up),
            downlink_rtt_ms=_mean_ms(report.stats.rtt_s for report in down),
            downlinks_rtt_ms={user_id: rtt_ms for user_id, rtt_ms in rtts.items() if rtt_ms is not None},
            outgoing_kbps=session.send_kbps,
            incoming_kbps=session.recv_kbps,
            available_outgoing_kbps=min(estimates) / 1000 if estimates else None,
            network_type=network_type(report.local_address for report in self.reports),
        )

    def rows(self, user_id: str, user_name: str) -> tuple[RtcStatsRow, ...]:
        """Of every track that is sent or received; `user_id` and `user_name` are one's own."""
        rows: list[RtcStatsRow] = []
        audio = self.local_audio()
        if audio is not None:
            rows.append(_row(user_id, user_name, "main", "audio", None, audio, None, audio.rtt_ms))
        for media_type, name in STREAMS.items():
            for local in self.local_video(media_type):
                rows.append(_row(user_id, user_name, name, "video", local.layer, local, local.frame_rate, local.rtt_ms))
        for user in self._users.values():
            for stream in user.streams.values():
                sound, picture = self.remote_audio(stream), self.remote_video(stream)
                who = (user.user_id, user.user_name, stream.name)
                if sound is not None:
                    rows.append(_row(*who, "audio", None, sound, None, None, is_remote=True))
                if picture is not None:
                    rate = picture.frame_rate
                    rows.append(_row(*who, "video", picture.layer, picture, rate, None, is_remote=True))
        return tuple(rows)

    # --- inside

    def _sending(self, name: StreamName, kind: Kind, layer: Layer) -> tuple[list[LegReport], list[OutTrack]]:
        """The legs that carry this now, and their tracks of it."""
        found = [
            (report, track)
            for report in self.reports
            if report.direction == "up" and report.stream == name and report.is_live
            for track in report.tracks
            if isinstance(track, OutTrack) and (track.kind, track.layer) == (kind, layer)
        ]
        return [report for report, _ in found], [track for _, track in found]

    def _receiving(self, stream: RemoteStream, kind: Kind) -> tuple[LegReport | None, InTrack | None]:
        for report in self.reports:
            if (report.direction, report.user_id, report.stream) == ("down", stream.user_id, stream.name):
                for track in report.tracks:
                    if isinstance(track, InTrack) and track.kind == kind:
                        return report, track
        return None, None

    def _keys(
        self, direction: Literal["up", "down"], name: StreamName, kind: Kind, layer: Layer = "high"
    ) -> list[TrackKey]:
        wanted = (direction, name, kind, layer)
        return [key for key in self._window.totals if (key.direction, key.stream, key.kind, key.layer) == wanted]

    def _sent(self, name: StreamName, kind: Kind, layer: Layer) -> Totals:
        total = Totals()
        for key in self._keys("up", name, kind, layer):
            total = total.plus(self._window.totals[key])
        return total

    def _kbps(self, keys: Iterable[TrackKey]) -> float:
        return round(sum(self._window.kbps(key) for key in keys), 1)

    def _capture_rate(self, name: StreamName) -> float:
        (since_s, before), (now_s, now) = self._captured[0], self._captured[-1]
        return round((now[name] - before[name]) / (now_s - since_s), 1) if now_s > since_s else 0.0


def _row(
    user_id: str,
    user_name: str,
    name: StreamName,
    kind: Kind,
    layer: Selection | None,
    figures: LocalAudioStats | LocalVideoStats | RemoteAudioStats | RemoteVideoStats,
    frame_rate: float | None,
    rtt_ms: float | None,
    *,
    is_remote: bool = False,
) -> RtcStatsRow:
    (media_type,) = media_kinds(name, (kind,))
    return RtcStatsRow(
        user_id=user_id,
        user_name=user_name,
        is_remote=is_remote,
        stream_type=name,
        media_type=media_type,
        layer=layer,
        bitrate_kbps=figures.bitrate_kbps,
        frame_rate=frame_rate,
        rtt_ms=rtt_ms,
        jitter_ms=figures.jitter_ms,
        loss=figures.loss,
    )


def _ms(time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s * 1000, 1)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _mean_ms(times_s: Iterable[float | None]) -> float | None:
    return _ms(_mean(times_s))


def _worst_ms(times_s: Iterable[float | None]) -> float | None:
    return _ms(max((time_s for time_s in times_s if time_s is not None), default=None))
