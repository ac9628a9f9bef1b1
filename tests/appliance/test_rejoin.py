from __future__ import annotations

import random

import pytest

from appliance.errors import RtcErrorCode
from appliance.rejoin import (
    BANNED_DELAY_S,
    KICKED_DELAY_S,
    RETRY_DELAYS_S,
    ROOM_CLOSED_DELAY_S,
    Ended,
    has_failed,
    rejoin_delay_s,
    waits_for_network,
)
from appliance.room.events import ConnectionReason

R = ConnectionReason


def delay_s(ended: Ended, attempts: int = 0, *, auto_join: bool = True) -> float | None:
    return rejoin_delay_s(ended, attempts, auto_join=auto_join, rng=random.Random(1))


def test_failures_are_retried_for_ever_at_a_slowing_pace() -> None:
    ended = Ended(R.ERROR, RtcErrorCode.SERVICE_UNAVAILABLE)
    delays_s = [delay_s(ended, attempts, auto_join=False) for attempts in (*range(8), 10_000)]
    expected_s = [*RETRY_DELAYS_S, 60, 60, 60]
    for delay, expected in zip(delays_s, expected_s, strict=True):
        assert delay == pytest.approx(expected, rel=0.2)


def test_a_stay_without_media_is_one_more_failure() -> None:
    assert has_failed(Ended(R.ERROR, RtcErrorCode.SERVICE_UNAVAILABLE), was_in=False)
    assert has_failed(Ended(R.ERROR, RtcErrorCode.MEDIA_LOST), was_in=True)
    assert not has_failed(Ended(R.ERROR, RtcErrorCode.RECONNECT_TIMEOUT), was_in=True)


@pytest.mark.row("RS04")
def test_a_hub_that_wants_to_be_left_alone_is() -> None:
    for seed in range(20):
        ended = Ended(R.ERROR, RtcErrorCode.SERVICE_UNAVAILABLE, retry_after_s=30.0)
        waited_s = rejoin_delay_s(ended, 0, auto_join=True, rng=random.Random(seed))
        assert waited_s is not None
        assert 30 <= waited_s <= 45
    late = Ended(R.ERROR, RtcErrorCode.SERVICE_UNAVAILABLE, retry_after_s=1.0)
    assert delay_s(late, 5) == pytest.approx(60, rel=0.2)


def test_the_units_of_a_house_do_not_knock_together() -> None:
    ended = Ended(R.ERROR)
    delays_s = {rejoin_delay_s(ended, 9, auto_join=True, rng=random.Random(seed)) for seed in range(20)}
    assert len(delays_s) == 20


def test_only_those_whom_nobody_threw_out_try_at_once_when_the_network_is_back() -> None:
    assert waits_for_network(Ended(R.ERROR, RtcErrorCode.SERVICE_UNAVAILABLE))
    assert waits_for_network(Ended(R.TOKEN_EXPIRED, kicked="token_expired"))
    assert not waits_for_network(Ended(R.ROOM_CLOSED))
    assert not waits_for_network(Ended(R.KICKED, kicked="kick"))
    assert not waits_for_network(Ended(R.ERROR, RtcErrorCode.BANNED))


@pytest.mark.parametrize(
    ("ended", "expected_s"),
    [
        (Ended(R.ROOM_CLOSED), ROOM_CLOSED_DELAY_S),
        (Ended(R.KICKED, kicked="removed"), ROOM_CLOSED_DELAY_S),
        (Ended(R.KICKED, kicked="kick"), KICKED_DELAY_S),
        (Ended(R.KICKED, RtcErrorCode.DUPLICATE_USER), KICKED_DELAY_S),
        (Ended(R.KICKED, kicked="banned"), BANNED_DELAY_S),
        (Ended(R.ERROR, RtcErrorCode.BANNED), BANNED_DELAY_S),
        (Ended(R.TOKEN_EXPIRED, kicked="token_expired"), RETRY_DELAYS_S[0]),
    ],
)
def test_who_was_sent_away_waits_longer(ended: Ended, expected_s: float) -> None:
    assert delay_s(ended) == pytest.approx(expected_s, rel=0.2)


@pytest.mark.parametrize("ended", [Ended(R.KICKED, kicked="kick"), Ended(R.ERROR, RtcErrorCode.BANNED)])
def test_without_auto_join_a_kick_is_for_good(ended: Ended) -> None:
    assert delay_s(ended, auto_join=False) is None
