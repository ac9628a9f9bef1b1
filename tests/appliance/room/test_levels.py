from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from appliance.room.levels import EVALUATE_S, SpeakerElection, loudest


def talk(election: SpeakerElection, volumes: Mapping[str, int], since_s: float, seconds: float = 3.0) -> list[str]:
    """Who was elected while everybody kept this volume; fed each 100 ms."""
    fed = (election.feed(volumes, since_s + tick / 10) for tick in range(round(seconds * 10)))
    return [user_id for user_id in fed if user_id is not None]


def test_loudest_first_and_equals_by_name() -> None:
    volumes = {"dan": 5, "bob": 40, "eve": 70, "ann": 40}
    assert loudest(volumes) == [("eve", 70), ("ann", 40), ("bob", 40), ("dan", 5)]
    assert loudest(volumes, 2) == [("eve", 70), ("ann", 40)]
    assert loudest({}) == []


def test_follows_the_louder_one_and_says_so_once() -> None:
    election = SpeakerElection()
    assert talk(election, {"bob": 60, "eve": 0}, 0) == ["bob"]
    assert talk(election, {"bob": 0, "eve": 60}, 3) == ["eve"]
    assert talk(election, {"bob": 60, "eve": 0}, 6) == ["bob"]


def test_nobody_in_silence_and_the_same_one_anew_after_it() -> None:
    election = SpeakerElection()
    assert talk(election, {"bob": 10, "eve": 3}, 0) == []
    assert talk(election, {"bob": 60, "eve": 0}, 3) == ["bob"]
    assert talk(election, {"bob": 0, "eve": 0}, 6) == []
    assert election.speaker is None
    assert talk(election, {"bob": 60, "eve": 0}, 9) == ["bob"]


def test_a_little_louder_does_not_take_over() -> None:
    election = SpeakerElection()
    assert talk(election, {"bob": 50, "eve": 0}, 0) == ["bob"]
    assert talk(election, {"bob": 50, "eve": 59}, 3) == []
    assert talk(election, {"bob": 50, "eve": 61}, 6) == ["eve"]


def test_a_cough_does_not_take_over() -> None:
    election = SpeakerElection()
    assert talk(election, {"bob": 50, "eve": 0}, 0) == ["bob"]
    assert talk(election, {"bob": 50, "eve": 100}, 3, seconds=0.2) == []
    assert talk(election, {"bob": 50, "eve": 0}, 3.2) == []


def test_who_left_is_not_the_speaker() -> None:
    election = SpeakerElection()
    assert talk(election, {"bob": 50, "eve": 40}, 0) == ["bob"]
    assert talk(election, {"eve": 40}, 3) == ["eve"]


@given(st.lists(st.tuples(st.dictionaries(st.sampled_from("abc"), st.integers(0, 100)), st.floats(0, 2)), max_size=60))
def test_elections_are_a_second_apart_and_never_twice_the_same(feeds: list[tuple[dict[str, int], float]]) -> None:
    election = SpeakerElection()
    now_s, last_s = 0.0, -10.0
    for volumes, after_s in feeds:
        now_s += after_s
        before = election.speaker
        elected = election.feed(volumes, now_s)
        if elected is not None:
            assert elected != before
            assert elected in volumes
            assert now_s - last_s >= EVALUATE_S - 1e-9
            last_s = now_s
