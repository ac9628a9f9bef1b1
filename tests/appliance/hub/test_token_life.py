"""The pure life of tokens, on a clock of its own."""

from __future__ import annotations

import pytest

from appliance.errors import LeaveReason, RtcErrorCode, TokenInvalidError
from appliance.hub.seat import Close, Output, Seat, Send
from appliance.hub.token_life import TokenLife
from appliance.hub.tokens import Claims
from appliance.room.signaling_login import RenewToken, TokenExpired, TokenRenewed, TokenWillExpire
from appliance.room.signaling_room import Kicked

WALL_S = 1_800_000_000.0
TOKENS = {
    "longer": Claims(sub="a", room="attic", exp=int(WALL_S) + 500),
    "guest": Claims(sub="", room="attic", exp=int(WALL_S) + 500),
    "other user": Claims(sub="b", room="attic", exp=int(WALL_S) + 500),
    "other room": Claims(sub="a", room="cellar", exp=int(WALL_S) + 500),
}


class One:
    """One seat with a token of `life_s`; monotonic time begins at 100."""

    def __init__(self, life_s: float, grace_s: float = 30.0) -> None:
        self.now_s = 100.0
        self.step_s = 0.0  # how far the wall clock was set
        self.life = TokenLife(
            TOKENS.__getitem__, lambda: WALL_S + self.now_s - 100 + self.step_s, grace_s, self.put_off
        )
        self.seat = Seat("a", "", "session", "attic", "host", 1, token_exp=WALL_S + life_s)
        self.put: list[tuple[LeaveReason, RtcErrorCode]] = []
        assert self.life.seated(self.seat, self.now_s, resumed=False) == []

    def put_off(self, seat: Seat, kicked: Kicked, left: LeaveReason, code: RtcErrorCode, now_s: float) -> list[Output]:
        self.put.append((left, code))
        return [*seat.to(kicked), Close(1, 4003, ""), *self.life.unseated(seat, now_s)]

    def at(self, after_s: float) -> list[object]:
        self.now_s = 100 + after_s
        return [output.message for output in self.life.expire(self.now_s) if isinstance(output, Send)]

    def renew(self, token: str) -> list[object]:
        outputs = self.life.receive(self.seat, RenewToken(id=5, token=token), self.now_s)
        return [output.message for output in outputs if isinstance(output, Send)]


@pytest.mark.row("U73")
def test_thirty_five_seconds_are_told_after_five() -> None:
    one = One(35)
    assert one.at(4.9) == []
    assert one.at(5) == [TokenWillExpire(expires_at=WALL_S + 35, token_left_s=30)]
    assert one.at(34.9) == []
    assert one.at(35) == [TokenExpired(code="expired", message="the token expired; renew it", grace_s=30)]
    assert one.at(64.9) == []
    (kicked,) = one.at(65)
    assert isinstance(kicked, Kicked)
    assert (kicked.reason, kicked.code, kicked.login_ends) == ("token_expired", 6, True)
    assert one.put == [(LeaveReason.TOKEN_EXPIRED, RtcErrorCode.TOKEN_EXPIRED)]
    assert one.life.next_deadline_s() is None


@pytest.mark.parametrize("after_s", [1, 6, 36, 64])
@pytest.mark.parametrize("token", ["longer", "guest"])
def test_a_renewal_keeps_the_login_up_to_the_end_of_grace(after_s: float, token: str) -> None:
    one = One(35)
    one.at(after_s)
    left_s = 500 - after_s
    assert one.renew(token) == [TokenRenewed(id=5, expires_at=WALL_S + 500, token_left_s=left_s)]
    assert one.at(469.9) == []
    assert isinstance(one.at(470)[0], TokenWillExpire)
    assert one.put == []


@pytest.mark.parametrize("token", ["other user", "other room"])
def test_somebody_elses_token_leaves_the_old_one_as_it_was(token: str) -> None:  # IL21
    one = One(35)
    with pytest.raises(TokenInvalidError):
        one.renew(token)
    assert isinstance(one.at(5)[0], TokenWillExpire)


def test_without_grace_the_end_is_the_end() -> None:
    one = One(35, grace_s=0)
    one.at(5)
    expired, kicked = one.at(35)
    assert isinstance(expired, TokenExpired)
    assert isinstance(kicked, Kicked)


def test_a_token_that_is_over_within_the_skew_is_said_once() -> None:
    one = One(-10)
    (message,) = one.at(0)
    assert isinstance(message, TokenExpired)
    assert one.at(19.9) == []
    assert one.put == []
    one.at(20)
    assert one.put


def test_a_clock_that_steps_by_a_year_changes_nothing() -> None:
    one = One(35)
    one.step_s = 365 * 86_400
    assert one.at(4.9) == []
    assert isinstance(one.at(5)[0], TokenWillExpire)


def test_a_lost_link_hears_it_at_the_resume() -> None:
    one = One(35)
    one.seat.connection = None
    assert one.at(36) == []
    one.seat.connection, one.now_s = 2, 100.0 + 40
    (output,) = one.life.seated(one.seat, one.now_s, resumed=True)
    assert isinstance(output, Send)
    assert output.message == TokenExpired(code="expired", message="the token expired; renew it", grace_s=25)


def test_a_seat_without_a_token_has_no_end() -> None:
    one = One(35)
    one.life.unseated(one.seat, one.now_s)
    one.seat.token_exp = None
    one.life.seated(one.seat, one.now_s, resumed=False)
    assert one.life.next_deadline_s() is None
