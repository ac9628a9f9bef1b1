from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.audio_rate import AudioRate, packet_length, wanted_bps
from appliance.media.opus_encoder import BITRATE_BPS, LONG_FRAMES, MAX_BITRATE_BPS, MIN_BITRATE_BPS, SHORT_FRAMES


def test_the_least_of_what_loss_and_link_allow() -> None:
    assert wanted_bps(None, None) == BITRATE_BPS
    assert wanted_bps(0.0, None) == MAX_BITRATE_BPS
    assert wanted_bps(0.2, 2_000_000) == MIN_BITRATE_BPS
    assert wanted_bps(0.0, 100_000) == MIN_BITRATE_BPS
    assert wanted_bps(0.0, 625_000) == 36_000
    assert wanted_bps(0.07, 3_000_000) == BITRATE_BPS


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 3e6), st.floats(0, 3e6))
def test_more_loss_or_a_slower_link_never_gives_more(loss: float, more: float, link: float, less: float) -> None:
    better = wanted_bps(min(loss, more), max(link, less))
    worse = wanted_bps(max(loss, more), min(link, less))
    assert MIN_BITRATE_BPS <= worse <= better <= MAX_BITRATE_BPS


def test_it_falls_at_once_and_rises_in_seconds() -> None:
    rate = AudioRate().toward(MAX_BITRATE_BPS, 10.0)
    assert rate.bps == BITRATE_BPS
    for second in range(11, 20):
        after = rate.toward(MAX_BITRATE_BPS, second)
        assert after.bps == min(MAX_BITRATE_BPS, rate.bps + 2_000)
        rate = after
    assert rate.bps == MAX_BITRATE_BPS
    assert rate.toward(MIN_BITRATE_BPS, 20.0).bps == MIN_BITRATE_BPS


def test_packets_are_short_where_there_is_room_and_do_not_change_back_and_forth() -> None:
    assert packet_length(None, None, LONG_FRAMES) == SHORT_FRAMES
    assert packet_length(0.05, 2_000_000, LONG_FRAMES) == SHORT_FRAMES
    assert packet_length(0.2, 2_000_000, SHORT_FRAMES) == LONG_FRAMES
    assert packet_length(0.0, 800_000, SHORT_FRAMES) == SHORT_FRAMES
    assert packet_length(0.0, 800_000, LONG_FRAMES) == LONG_FRAMES
    assert packet_length(0.0, 300_000, SHORT_FRAMES) == LONG_FRAMES
