from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.hub.settings import HubSettings
from appliance.hub.traffic import Traffic, TrafficBook

SETTINGS = HubSettings(messages_per_s=2.0, message_burst=4, bytes_per_s=10.0, byte_burst=30)

_steps = st.tuples(st.sampled_from("ab"), st.sampled_from([0.0, 0.1, 1.0, 4.0]), st.sampled_from([1, 7]), st.booleans())


@given(st.lists(_steps, max_size=60))
def test_logging_in_anew_each_time_gains_nothing(steps: list[tuple[str, float, int, bool]]) -> None:
    book, one_login, now_s = TrafficBook(SETTINGS), {user: Traffic(SETTINGS, 0.0) for user in "ab"}, 0.0
    for user, pause_s, size, is_answer in steps:
        now_s += pause_s
        taken = book.of(user, now_s).take(size, now_s, is_answer=is_answer)
        assert taken == one_login[user].take(size, now_s, is_answer=is_answer)


def test_who_has_been_away_for_long_is_forgotten() -> None:
    book = TrafficBook(SETTINGS)
    for number in range(100):
        book.of(f"user-{number}", 0.0)
    book.of("late", 3.1)
    assert len(book) == 1


def test_an_answer_costs_its_bytes_only() -> None:
    traffic = Traffic(SETTINGS, 0.0)
    assert all(traffic.take(1, 0.0, is_answer=True) for _ in range(26))
    assert all(traffic.take(1, 0.0) for _ in range(4))
    assert not traffic.take(1, 0.0)
