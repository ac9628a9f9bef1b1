from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from appliance.room.backend import LegReport
from appliance.room.counters import OutTrack
from appliance.room.leg import LegStats
from appliance.room.stats_window import GONE, MAX_TRACKS, WINDOW_S, StatsWindow, TrackKey


def leg(user: str, leg_id: str, sent: int) -> LegReport:
    return LegReport(leg_id, "up", LegStats(), user, "main", (OutTrack(kind="audio", codec="opus", bytes=sent),))


def sound_of(user: str) -> TrackKey:
    return TrackKey("up", user, "main", "audio")


def test_guests_of_months_are_counted_together_and_no_byte_is_lost() -> None:
    window = StatsWindow()
    guests = 3 * MAX_TRACKS
    for number in range(guests):
        window.add([leg("host", "always", 100 * number), leg(f"guest-{number}", f"leg-{number}", 1000)], float(number))
        rates = sum(window.kbps(key) for key in window.totals)
        assert 0 <= rates <= (3 * 1000 + 3 * 100) * 8 / 1000 / WINDOW_S, "what is put together is no traffic"
    assert len(window.totals) <= MAX_TRACKS
    assert window.totals[sound_of("host")].bytes == 100 * (guests - 1)
    assert window.totals[sound_of(f"guest-{guests - 1}")].bytes == 1000
    assert sound_of("guest-0") not in window.totals
    assert sum(totals.bytes for totals in window.totals.values()) == 1000 * guests + 100 * (guests - 1)


def test_who_is_there_and_silent_keeps_totals_of_its_own() -> None:
    window = StatsWindow()
    for number in range(2 * MAX_TRACKS):
        window.add([leg("silent", "silent", 7), leg(f"guest-{number}", f"leg-{number}", 1)], float(number))
        assert window.totals[sound_of("silent")].bytes == 7


@given(st.lists(st.tuples(st.integers(0, 2 * MAX_TRACKS), st.integers(0, 999)), min_size=1, max_size=600))
def test_the_sum_is_that_of_all_legs(steps: list[tuple[int, int]]) -> None:
    window = StatsWindow()
    sent: Counter[str] = Counter()
    for number, (user, more) in enumerate(steps):
        name = f"user-{user}"
        window.add([leg(name, f"leg-{number}", more)], float(number))
        sent[name] += more
        assert window.kbps(sound_of(name)) >= 0
    assert sum(totals.bytes for totals in window.totals.values()) == sent.total()
    assert len(window.totals) <= MAX_TRACKS + 3, "those of the last two seconds may be over it"
    assert all(key.user_id == GONE or totals.bytes <= sent[key.user_id] for key, totals in window.totals.items())
