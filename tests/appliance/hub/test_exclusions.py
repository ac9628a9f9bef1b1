from __future__ import annotations

import pytest

from appliance.errors import BannedError, InvalidStateError, RtcError, RtcErrorCode
from appliance.hub.changes import BanLifted, Changes
from appliance.hub.exclusions import MAX_BANS, MAX_BANS_OF_ROOM, MAX_FAREWELLS, Exclusions


def fresh() -> Exclusions:
    changes: Changes = []
    return Exclusions(changes.append, lambda: 0.0)


PUT_OUT = RtcError("put out", code=RtcErrorCode.KICKED)


def test_a_ban_is_for_one_user_in_one_room() -> None:
    exclusions = fresh()
    exclusions.ban("attic", "anna", 0.0)
    exclusions.check_ban("cellar", "anna", 0.0)
    exclusions.check_ban("attic", "ben", 0.0)
    with pytest.raises(BannedError, match="attic"):
        exclusions.check_ban("attic", "anna", 0.0)


def test_a_ban_may_end_by_itself() -> None:
    exclusions = fresh()
    exclusions.ban("attic", "anna", 0.0, 60.0)
    assert exclusions.banned("attic", 59.9) == ["anna"]
    with pytest.raises(BannedError):
        exclusions.check_ban("attic", "anna", 59.9)
    exclusions.check_ban("attic", "anna", 60.0)
    assert exclusions.banned("attic", 60.0) == []
    exclusions.ban("attic", "anna", 0.0, 90.0)
    exclusions.ban("attic", "anna", 0.0)
    assert exclusions.banned("attic", 1e9) == ["anna"]


def test_asking_changes_nothing_and_the_clock_lifts_what_is_over() -> None:
    changes: Changes = []
    exclusions = Exclusions(changes.append, lambda: 0.0)
    exclusions.ban("attic", "anna", 0.0, 60.0)
    exclusions.ban("attic", "ben", 0.0)
    assert exclusions.next_deadline_s() == 60.0
    changes.clear()
    assert exclusions.banned("attic", 61.0) == ["ben"]
    exclusions.check_ban("attic", "anna", 61.0)
    assert changes == []
    assert exclusions.banned("attic", 59.0) == ["anna", "ben"]
    exclusions.expire(59.0)
    assert changes == []
    exclusions.expire(60.0)
    assert changes == [BanLifted("attic", "anna")]
    assert exclusions.next_deadline_s() is None
    exclusions.ban("attic", "ben", 60.0, 10.0)
    exclusions.ban("attic", "ben", 60.0)
    assert exclusions.next_deadline_s() is None


def test_a_room_takes_so_many_bans_and_says_so() -> None:
    changes: Changes = []
    exclusions = Exclusions(changes.append, lambda: 0.0)
    exclusions.ban("attic", "brief", 0.0, 60.0)
    for number in range(MAX_BANS_OF_ROOM - 1):
        exclusions.ban("attic", f"user-{number}", 0.0)
    changes.clear()
    with pytest.raises(InvalidStateError, match=f"'attic' has {MAX_BANS_OF_ROOM} bans"):
        exclusions.ban("attic", "one more", 59.0)
    assert changes == []
    assert "one more" not in exclusions.banned("attic", 59.0)
    exclusions.ban("attic", "user-0", 59.0, 10.0)  # another word on one who is banned
    exclusions.ban("cellar", "one more", 59.0)
    exclusions.ban("attic", "one more", 60.0)  # one is over, though no clock has come by
    exclusions.unban("attic", "user-1")
    exclusions.ban("attic", "another", 60.0)
    assert len(exclusions.banned("attic", 60.0)) == MAX_BANS_OF_ROOM


def test_a_hub_takes_so_many_bans_of_all_rooms() -> None:
    exclusions = fresh()
    for number in range(MAX_BANS):
        exclusions.ban(f"room-{number // MAX_BANS_OF_ROOM}", f"user-{number}", 0.0)
    with pytest.raises(InvalidStateError, match=f"{MAX_BANS} bans"):
        exclusions.ban("another room", "anna", 0.0)
    exclusions.unban("room-0", "user-0")
    exclusions.ban("another room", "anna", 0.0)


def test_a_session_is_told_until_its_time_is_over() -> None:
    exclusions = fresh()
    exclusions.part("session", PUT_OUT, until_s=30.0, now_s=0.0)
    with pytest.raises(RtcError, match="put out"):
        exclusions.check_session("session", 29.9)
    exclusions.check_session("session", 30.0)
    exclusions.check_session("another", 0.0)


def test_only_so_many_are_remembered_and_none_for_ever() -> None:
    exclusions = fresh()
    for number in range(MAX_FAREWELLS + 10):
        exclusions.part(f"session-{number}", PUT_OUT, until_s=30.0, now_s=0.0)
    assert len(exclusions._farewells) == MAX_FAREWELLS
    exclusions.check_session("session-0", 1.0)
    exclusions.part("late", PUT_OUT, until_s=90.0, now_s=60.0)
    assert list(exclusions._farewells) == ["late"]
