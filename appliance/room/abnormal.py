"""What is abnormal about a call right now, out of its figures (capabilities U12, D07)."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.room.events import ExceptionName
from appliance.room.exceptions import Condition
from appliance.room.figures import STREAMS, Figures
from appliance.room.own_media import OwnMedia
from appliance.room.streams import RemoteStream

SILENT_DBOV = -85.0  # a microphone that works is louder in the quietest room
TALKING_PACKETS_PER_S = 10  # fewer: the sender pauses in silence (DTX), and rightly so
CAPTURED_FPS, SENT_FPS = 5.0, 1.0


def abnormal(figures: Figures, own: OwnMedia, user_id: str, streams: Iterable[RemoteStream]) -> dict[Condition, float]:
    """The conditions that hold, each with its value; `user_id` is one's own. Muted or unpublished is never abnormal."""
    found = {(name, user_id): value for name, value in _local(figures, own).items()}
    for stream in streams:
        found |= {(name, stream.user_id): value for name, value in _remote(figures, stream).items()}
    return found


def _local(figures: Figures, own: OwnMedia) -> dict[ExceptionName, float]:
    found: dict[ExceptionName, float] = {}
    audio = figures.local_audio()
    if audio is not None and not audio.muted:
        if own.dbov < SILENT_DBOV:
            found[ExceptionName.AUDIO_INPUT_LEVEL_TOO_LOW] = audio.level
        if audio.receivers and not figures.sent_lately("main", "audio", "high"):
            found[ExceptionName.SEND_AUDIO_BITRATE_TOO_LOW] = 0.0
    for media_type, name in STREAMS.items():
        for video in figures.local_video(media_type):
            if video.muted or not video.receivers:
                continue
            if video.capture_frame_rate > CAPTURED_FPS and video.frame_rate <= SENT_FPS:
                found[ExceptionName.FRAMERATE_SENT_TOO_LOW] = video.frame_rate
            if not figures.sent_lately(name, "video", video.layer):
                found[ExceptionName.FRAMERATE_VIDEO_BITRATE_TOO_LOW] = 0.0
    return found


def _remote(figures: Figures, stream: RemoteStream) -> dict[ExceptionName, float]:
    found: dict[ExceptionName, float] = {}
    received, decoded, seconds = figures.lately(stream, "audio")
    if not stream.is_muted("audio") and received > 0:
        talks = received > TALKING_PACKETS_PER_S * seconds
        if decoded <= 0:
            found[ExceptionName.RECV_AUDIO_DECODE_FAILED] = 0.0
        elif talks and stream.audio is not None and stream.audio.gain > 0 and stream.audio.dbov < SILENT_DBOV:
            found[ExceptionName.AUDIO_OUTPUT_LEVEL_TOO_LOW] = stream.audio.level
    received, decoded, _ = figures.lately(stream, "video")
    watched = stream.video is not None and stream.video.wanted
    if watched and not stream.is_muted("video") and received > 0 and decoded <= 0:
        is_screen = stream.name == "screen"
        name = ExceptionName.RECV_SCREEN_DECODE_FAILED if is_screen else ExceptionName.RECV_VIDEO_DECODE_FAILED
        found[name] = 0.0
    return found
