"""What is measured of a call at regular times, and what is found wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from appliance.events import Event

if TYPE_CHECKING:
    from appliance.room.statistics import RtcStatsRow


@dataclass(frozen=True, kw_only=True)
class RtcStats(Event):
    """U57: a row for each track, while `enable_rtc_stats` is on."""

    rows: tuple[RtcStatsRow, ...]


@dataclass(frozen=True, slots=True)
class InterruptedUser:
    """One entry of U37 and U38."""

    user_id: str
    is_screen: bool


@dataclass(frozen=True, kw_only=True)
class StreamInterrupted(Event):
    """U37: no picture of them came for the interval of `enable_stream_state_detection`, though there should be some."""

    users: tuple[InterruptedUser, ...]


@dataclass(frozen=True, kw_only=True)
class StreamRecovered(Event):
    """U38: pictures come again of users who were interrupted."""

    users: tuple[InterruptedUser, ...]


class ExceptionName(StrEnum):
    """D07."""

    AUDIO_INPUT_LEVEL_TOO_LOW = "AUDIO_INPUT_LEVEL_TOO_LOW"  # the microphone gives silence
    SEND_AUDIO_BITRATE_TOO_LOW = "SEND_AUDIO_BITRATE_TOO_LOW"  # no sound is sent
    FRAMERATE_SENT_TOO_LOW = "FRAMERATE_SENT_TOO_LOW"  # at most one picture a second is sent of more than five
    FRAMERATE_VIDEO_BITRATE_TOO_LOW = "FRAMERATE_VIDEO_BITRATE_TOO_LOW"  # no picture is sent
    RECV_AUDIO_DECODE_FAILED = "RECV_AUDIO_DECODE_FAILED"  # packets come, and nothing of them can be played
    AUDIO_OUTPUT_LEVEL_TOO_LOW = "AUDIO_OUTPUT_LEVEL_TOO_LOW"  # what is played of a user is silence
    RECV_VIDEO_DECODE_FAILED = "RECV_VIDEO_DECODE_FAILED"  # packets come, and no picture is shown of them
    RECV_SCREEN_DECODE_FAILED = "RECV_SCREEN_DECODE_FAILED"


@dataclass(frozen=True, kw_only=True)
class ExceptionRaised(Event):
    """U12, named `exception`: abnormal, but no error; `recovered` when it is over. `user_id`: whose sound or picture.

    `value` is the level, frame rate or bit rate that says so; None when it is over.
    """

    code: int
    msg: ExceptionName
    user_id: str
    value: float | None = None
    recovered: bool = False


ExceptionRaised.event_name = "exception"  # the contract's name; the class avoids Python's
