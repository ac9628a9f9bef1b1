import random

from hypothesis import given
from hypothesis import strategies as st

from appliance.room.backoff import JITTER, RECONNECT_DELAYS_S, REFUSED_DELAY_S, Backoff, Heartbeat


def test_delays_grow_along_the_table_and_stay_at_its_end() -> None:
    backoff = Backoff(rng=random.Random(7))
    delays = [backoff.next_s() for _ in range(8)]
    for delay, nominal in zip(delays, [*RECONNECT_DELAYS_S, 8.0, 8.0, 8.0], strict=True):
        assert nominal * (1 - JITTER) <= delay <= nominal * (1 + JITTER)
    assert len(set(delays)) == 8, "jitter"


def test_a_host_that_refuses_is_asked_again_within_three_seconds() -> None:
    backoff = Backoff()
    assert all(backoff.next_s(refused=True) <= REFUSED_DELAY_S * (1 + JITTER) < 3 for _ in range(10))


def test_reset_starts_over() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 0.5 * (1 + JITTER)


def test_a_silent_link_is_pinged_every_two_seconds_and_lost_after_five() -> None:
    heartbeat = Heartbeat(100.0)
    log: list[tuple[float, str]] = []
    now = 100.0
    while not heartbeat.is_lost(now):
        if heartbeat.ping_due(now):
            log.append((now, "ping"))
        now += heartbeat.next_look_s(now)
    assert log == [(102.0, "ping"), (104.0, "ping")]
    assert now == 105.0


def test_a_link_that_speaks_is_not_pinged() -> None:
    heartbeat = Heartbeat(0.0)
    for now in range(1, 20):
        heartbeat.heard(float(now))
        assert not heartbeat.ping_due(now + 0.9)
        assert not heartbeat.is_lost(now + 0.9)


@given(st.lists(st.floats(min_value=0.0, max_value=4.0), max_size=50))
def test_loss_is_found_within_the_limit_whatever_was_heard_before(gaps: list[float]) -> None:
    heartbeat = Heartbeat(0.0)
    now = 0.0
    for gap in gaps:
        now += gap
        heartbeat.heard(now)
    last_heard = now
    while not heartbeat.is_lost(now):
        heartbeat.ping_due(now)
        now += max(heartbeat.next_look_s(now), 1e-6)
    assert 5.0 <= now - last_heard + 1e-6 < 5.1


def test_a_process_that_stood_still_listens_before_it_judges() -> None:
    heartbeat = Heartbeat(100.0)
    assert not heartbeat.is_lost(100.0)
    assert heartbeat.next_look_s(100.0) == 2.0
    now = 120.0  # stopped for 18 s
    assert not heartbeat.is_lost(now)
    assert heartbeat.ping_due(now)
    while not heartbeat.is_lost(now):
        heartbeat.ping_due(now)
        now += heartbeat.next_look_s(now)
    assert now == 122.0


def test_a_look_that_is_a_little_late_changes_nothing() -> None:
    heartbeat = Heartbeat(0.0)
    now = 0.0
    while not heartbeat.is_lost(now):
        heartbeat.ping_due(now)
        now += heartbeat.next_look_s(now) + 0.2
    assert now < 5.5
