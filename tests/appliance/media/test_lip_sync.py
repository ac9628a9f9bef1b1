"""Pictures in time with their sound, on a virtual clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.lip_sync import LEAD_S, MAX_HOLD_S, SILENT_S, LipSync
from appliance.media.sender_clock import RtpClock, SenderClock

AHEAD_S = 5000.0  # the sender's clock against ours
AUDIO_START, VIDEO_START = 0xFFFF_0000, 12_345


def audio_timestamp(captured_s: float) -> int:
    return (AUDIO_START + round(captured_s * 48_000)) & 0xFFFFFFFF


def video_timestamp(captured_s: float) -> int:
    return (VIDEO_START + round(captured_s * 90_000)) & 0xFFFFFFFF


def synced(sound_delay_s: float, until_s: float = 1.0) -> LipSync:
    """Sound is heard `sound_delay_s` after it was captured."""
    sync = LipSync()
    sync.audio.report(AHEAD_S, audio_timestamp(0.0))
    sync.video.report(AHEAD_S + 0.5, video_timestamp(0.5))
    for block in range(int(until_s / 0.02)):
        sync.heard(audio_timestamp(block * 0.02), block * 0.02 + sound_delay_s)
    return sync


def test_a_picture_waits_for_sound_that_would_come_long_after_it() -> None:
    sync = synced(sound_delay_s=0.2)
    due_s = sync.due_s(video_timestamp(1.0), 1.02)
    assert due_s == pytest.approx(1.2 - LEAD_S, abs=0.001)
    assert sync.goes_with_s(video_timestamp(1.0), 1.02) == pytest.approx(1.2, abs=0.001)


def test_a_picture_in_time_or_late_waits_for_nothing() -> None:
    due_s = synced(sound_delay_s=0.02 + LEAD_S - 0.005).due_s(video_timestamp(1.0), 1.02)
    assert due_s is not None
    assert due_s < 1.02


def test_there_is_a_limit() -> None:
    assert synced(sound_delay_s=3.0).due_s(video_timestamp(1.0), 1.02) == 1.02 + MAX_HOLD_S


def test_without_reports_or_sound_pictures_come_at_once() -> None:
    sync = LipSync()
    assert sync.due_s(0, 0.0) is None
    sync.heard(0, 0.0)
    sync.video.report(0.0, 0)
    assert sync.due_s(0, 0.0) is None
    assert synced(0.2).due_s(video_timestamp(1.0), 1.2 + SILENT_S + 0.1) is None


def test_a_pause_of_the_sound_keeps_what_was_known_and_what_follows_is_learned_anew() -> None:
    sync = synced(sound_delay_s=0.1)
    assert sync.goes_with_s(video_timestamp(2.5), 2.5) == pytest.approx(2.6, abs=0.001)  # DTX
    sync.heard(audio_timestamp(3.0), 3.3)
    assert sync.goes_with_s(video_timestamp(3.0), 3.0) == pytest.approx(3.3, abs=0.001)


def test_jitter_of_the_playout_is_smoothed() -> None:
    sync, rng = synced(sound_delay_s=0.2), random.Random(1)
    for block in range(50, 200):
        sync.heard(audio_timestamp(block * 0.02), block * 0.02 + 0.2 + rng.uniform(-0.005, 0.005))
        due_s = sync.due_s(video_timestamp(block * 0.02), block * 0.02)
        assert due_s == pytest.approx(block * 0.02 + 0.2 - LEAD_S, abs=0.003)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["audio", "video", "heard", "due"]),
            st.integers(0, 0xFFFFFFFF),
            st.floats(0, 1e10),
        )
    )
)
def test_no_report_holds_a_picture_longer_than_the_limit(what: list[tuple[str, int, float]]) -> None:
    sync, now_s = LipSync(), 0.0
    for kind, timestamp, time_s in what:
        now_s += 0.01
        if kind == "audio":
            sync.audio.report(time_s, timestamp)
        elif kind == "video":
            sync.video.report(time_s, timestamp)
        elif kind == "heard":
            sync.heard(timestamp, now_s)
        elif (due_s := sync.due_s(timestamp, now_s)) is not None:
            assert due_s <= now_s + MAX_HOLD_S


@given(st.integers(0, 0xFFFFFFFF), st.integers(-1_000_000, 1_000_000))
def test_timestamps_wrap(start: int, step: int) -> None:
    clock = RtpClock(90_000)
    assert clock.ntp_s(start) is None
    clock.report(100.0, start)
    assert clock.ntp_s((start + step) & 0xFFFFFFFF) == pytest.approx(100.0 + step / 90_000)


def test_a_timestamp_of_another_stream_has_no_time() -> None:
    clock = RtpClock(90_000)
    clock.report(100.0, 0)
    assert clock.ntp_s(0x7000_0000) is None


def test_the_senders_clock_is_told_by_its_quickest_report() -> None:
    clock = SenderClock()
    assert clock.local_s(0.0) is None
    for number, late_s in enumerate((0.020, 0.003, 0.0, 0.030)):
        clock.report(AHEAD_S + number, number + 0.025 + late_s, 0.05)
    assert clock.local_s(AHEAD_S + 10.0) == pytest.approx(10.0)
