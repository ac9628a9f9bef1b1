"""The pure machine, one decision at a time; `test_rooms_stateful.py` mixes them."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.errors import RtcError, RtcErrorCode, TokenExpiredError, TokenInvalidError, TokenMissingError
from appliance.hub.logins import CLOSE_EVICTED, CLOSE_NORMAL, CLOSE_POLICY, CLOSE_TAKEN_OVER
from appliance.hub.room import MAX_REMEMBERED
from appliance.hub.rooms import JOIN_BURST, Rooms
from appliance.hub.seat import Close, Output, Send
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import Claims
from appliance.room.signaling import ClientMessage, HubMessage
from appliance.room.signaling_login import Error, LoggedIn, Login, Logout, Ok, Ping, Pong
from appliance.room.signaling_room import (
    IceServer,
    Join,
    Joined,
    Kicked,
    Leave,
    LegClose,
    LegOffer,
    LegRequest,
    Member,
    MemberChanged,
    MemberLeft,
    Publish,
    RoomClosed,
    SetMute,
    SignalFrom,
    SignalTo,
    StreamInfo,
    TrackInfo,
    Unpublish,
)

TOKENS: dict[str, Claims | RtcError] = {
    "anna": Claims(sub="anna", room="attic", name="Anna", exp=2**40),
    "ben": Claims(sub="ben", room="attic", exp=2**40),
    "viewer": Claims(sub="vera", room="attic", role="audience", exp=2**40),
    "poster": Claims(sub="", room="attic", exp=2**40),
    "rude": Claims(sub="rude", room="attic", name="bell\x07", exp=2**40),
    "old": TokenExpiredError("the token expired 1 s ago"),
    "bad": TokenInvalidError("the token was not signed by this hub"),
}
AV = StreamInfo(audio=TrackInfo(), video=TrackInfo(width=640, height=360))


def verify(token: str) -> Claims:
    found = TOKENS.get(token, TokenMissingError("this hub needs a room token"))
    if isinstance(found, RtcError):
        raise found
    return found


class Hub:
    """Rooms with a clock, and connections by number."""

    def __init__(self, **settings: Any) -> None:
        self.rooms = Rooms(HubSettings(**{"secure": False, **settings}), "hub-1", verify, ice_servers=self.ice)
        self.now_s = 1000.0

    @staticmethod
    def ice(user_id: str) -> tuple[IceServer, ...]:
        return (IceServer(urls=("turn:turn.example",), username=user_id),)

    def say(self, connection: int, message: ClientMessage) -> list[tuple[int, HubMessage | int]]:
        return flat(self.rooms.receive(connection, message, self.now_s))

    def login(self, connection: int, user_id: str = "", **fields: Any) -> LoggedIn:
        self.rooms.connect(connection, self.now_s)
        outputs = self.say(connection, Login(id=1, user_id=user_id, **fields))
        to, message = outputs[-1]
        assert to == connection
        assert isinstance(message, LoggedIn), message
        return message

    def enter(self, connection: int, user_id: str, room: str = "attic", **fields: Any) -> str:
        """Log in and join; the session."""
        session = self.login(connection, user_id).session
        outputs = self.say(connection, Join(id=2, room=room, **fields))
        assert isinstance(outputs[0][1], Joined), outputs
        return session

    def lose(self, connection: int) -> None:
        assert self.rooms.link_lost(connection, self.now_s) == []

    def wait(self, seconds: float) -> list[tuple[int, HubMessage | int]]:
        self.now_s += seconds
        return flat(self.rooms.expire(self.now_s))

    def refused(self, connection: int, message: ClientMessage) -> Error:
        ((to, error),) = self.say(connection, message)
        assert to == connection
        assert isinstance(error, Error), error
        assert error.message
        return error


def flat(outputs: list[Output]) -> list[tuple[int, HubMessage | int]]:
    """(connection, message), or (connection, close code)."""
    return [(o.connection, o.message if isinstance(o, Send) else o.code) for o in outputs]


def departures(outputs: list[tuple[int, HubMessage | int]]) -> set[tuple[int, str, int]]:
    """(who is told, who left, why)."""
    return {(to, m.user_id, m.reason) for to, m in outputs if isinstance(m, MemberLeft)}


def trio(**settings: Any) -> Hub:
    """anna on 1, ben on 2, cleo on 3, all in one room."""
    hub = Hub(**settings)
    for connection, user_id in enumerate(("anna", "ben", "cleo"), start=1):
        hub.enter(connection, user_id)
    return hub


# --- logging in


def test_a_token_names_user_room_role_and_name() -> None:
    hub = Hub(secure=True)
    assert hub.login(1, token="anna").user_id == "anna"
    assert hub.rooms.seats["anna"].user_name == "Anna"
    error = hub.refused(1, Join(id=5, room="cellar"))
    assert (error.code, error.id) == ("token-invalid", 5)
    assert "'attic'" in error.message
    assert isinstance(hub.say(1, Join(id=6, room="attic"))[0][1], Joined)


@pytest.mark.parametrize(("token", "code"), [("", "token-missing"), ("bad", "token-invalid"), ("old", "token-expired")])
def test_a_secure_hub_refuses_without_a_good_token(token: str, code: str) -> None:
    hub = Hub(secure=True)
    hub.rooms.connect(1, hub.now_s)
    error = hub.refused(1, Login(id=9, token=token, user_id="anna"))
    assert (error.code, error.id) == (code, 9)
    assert not hub.rooms.seats


def test_an_open_hub_takes_any_name_but_no_bad_token() -> None:
    hub = Hub(secure=False)
    assert hub.login(1, "zoe").user_id == "zoe"
    hub.rooms.connect(2, hub.now_s)
    assert hub.refused(2, Login(id=1, user_id="yan", token="bad")).code == "token-invalid"


def test_a_token_is_not_for_another_user() -> None:
    hub = Hub(secure=True)
    hub.rooms.connect(1, hub.now_s)
    assert hub.refused(1, Login(id=1, token="anna", user_id="ben")).code == "token-invalid"


def test_an_audience_token_never_makes_a_host() -> None:
    hub = Hub(secure=True)
    hub.login(1, token="viewer")
    joined = hub.say(1, Join(id=2, room="attic", role="host"))[0][1]
    assert isinstance(joined, Joined)
    assert joined.role == "audience"


def test_a_guest_token_gives_each_login_its_own_id() -> None:
    hub = Hub(secure=True)
    ids = {hub.login(connection, token="poster").user_id for connection in (1, 2, 3)}
    assert len(ids) == 3
    assert all(user_id.startswith("guest-") for user_id in ids)


def test_a_guest_keeps_a_free_guest_id_and_takes_no_other() -> None:
    hub = Hub(secure=True)
    hub.login(1, token="anna")
    assert hub.login(2, "guest-42", token="poster").user_id == "guest-42"  # as after a restart of the hub
    assert hub.login(3, "guest-42", token="poster").user_id != "guest-42"
    assert hub.login(4, "anna", token="poster").user_id not in ("anna", "guest-42")
    assert set(hub.rooms.seats) >= {"anna", "guest-42"}


def test_a_second_login_on_a_connection_is_refused() -> None:
    hub = Hub()
    hub.login(1, "anna")
    assert hub.refused(1, Login(id=2, user_id="ben")).code == "invalid-state"
    assert set(hub.rooms.seats) == {"anna"}


def test_another_protocol_version_is_refused() -> None:
    hub = Hub()
    hub.rooms.connect(1, 0.0)
    assert hub.refused(1, Login(id=2, version=99)).code == "invalid-argument"


@pytest.mark.parametrize(
    "fields",
    [{"user_id": "an\nna"}, {"user_name": "\x00"}, {"user_id": "a\ud800"}, {"user_id": "ü" * 33}, {"token": "rude"}],
)
def test_names_that_are_none_are_refused(fields: dict[str, Any]) -> None:
    hub = Hub()
    hub.rooms.connect(1, 0.0)
    assert hub.refused(1, Login(id=2, **fields)).code == "invalid-argument"
    assert not hub.rooms.seats


def test_whoever_never_logs_in_is_told_and_closed() -> None:
    hub = Hub(login_timeout_s=10.0)
    hub.rooms.connect(1, hub.now_s)
    assert hub.rooms.next_deadline_s() == hub.now_s + 10.0
    assert hub.wait(9.9) == []
    (_, error), (connection, code) = hub.wait(0.1)
    assert isinstance(error, Error)
    assert error.code == "not-logged-in"
    assert (connection, code) == (1, CLOSE_POLICY)
    assert hub.rooms.next_deadline_s() is None


# --- duplicates and resuming


def test_evict_old_kicks_the_first_and_tells_the_others() -> None:
    hub = trio()
    hub.rooms.connect(4, hub.now_s)
    outputs = hub.say(4, Login(id=1, user_id="anna"))
    (kicked, closed, *left, (newcomer, logged_in)) = outputs
    assert kicked[0] == 1
    assert isinstance(kicked[1], Kicked)
    assert (kicked[1].reason, kicked[1].code) == ("kick", 5)
    assert closed == (1, CLOSE_EVICTED)
    assert {(to, m.user_id, m.reason) for to, m in left if isinstance(m, MemberLeft)} == {
        (2, "anna", 5),
        (3, "anna", 5),
    }
    assert newcomer == 4
    assert isinstance(logged_in, LoggedIn)
    assert not logged_in.resumed


def test_the_evicted_session_cannot_fight_back() -> None:
    hub = Hub(seat_grace_s=30.0)
    session = hub.enter(1, "anna")
    hub.enter(2, "anna")
    hub.rooms.connect(3, hub.now_s)
    assert hub.refused(3, Login(id=1, user_id="anna", session=session)).code == "kicked"
    hub.now_s += 30.0
    assert isinstance(hub.say(3, Login(id=2, user_id="anna", session=session))[-1][1], LoggedIn)


def test_reject_new_refuses_the_second_while_the_first_is_there() -> None:
    hub = trio(duplicate_login="reject_new")
    hub.rooms.connect(4, hub.now_s)
    assert hub.refused(4, Login(id=1, user_id="anna")).code == "duplicate-user"
    assert hub.rooms.seats["anna"].connection == 1


@pytest.mark.parametrize("policy", ["evict_old", "reject_new"])
def test_a_held_seat_gives_way_to_a_new_login(policy: str) -> None:
    hub = trio(duplicate_login=policy)
    hub.lose(1)
    hub.rooms.connect(4, hub.now_s)
    outputs = hub.say(4, Login(id=1, user_id="anna"))
    assert departures(outputs) == {(2, "anna", 7), (3, "anna", 7)}
    pushed = [m for _, m in hub.say(4, Join(id=2, room="attic")) if isinstance(m, MemberChanged)]
    assert len(pushed) == 2
    assert all(m.joined and m.rejoined for m in pushed)


def test_a_lost_link_resumes_within_its_grace_and_nobody_notices() -> None:
    hub = trio(seat_grace_s=30.0)
    session = hub.rooms.seats["anna"].session
    stay = hub.rooms.seats["anna"].session_id
    hub.say(1, Publish(id=3, stream=AV))
    hub.lose(1)
    hub.say(2, Publish(id=3, stream=AV))  # while anna is away
    assert hub.wait(29.9) == []
    hub.rooms.connect(4, hub.now_s)
    (first, logged_in), (second, joined) = hub.say(4, Login(id=7, session=session))
    assert first == second == 4
    assert isinstance(logged_in, LoggedIn)
    assert (logged_in.id, logged_in.user_id, logged_in.resumed, logged_in.session) == (7, "anna", True, session)
    assert isinstance(joined, Joined)
    assert (joined.id, joined.room, joined.session_id) == (0, "attic", stay)
    assert joined.members == (Member(user_id="ben", streams=(AV,)), Member(user_id="cleo"))
    assert hub.rooms.seats["anna"].streams == {"main": AV}
    assert hub.wait(60.0) == [], "a resumed seat is no longer held"


def test_resuming_takes_over_from_a_link_that_looks_alive() -> None:
    hub = trio()
    hub.rooms.connect(4, hub.now_s)
    outputs = hub.say(4, Login(id=1, user_id="anna", session=hub.rooms.seats["anna"].session))
    assert outputs[0] == (1, CLOSE_TAKEN_OVER)
    assert {to for to, _ in outputs} == {1, 4}
    hub.lose(1)  # the socket of the old link ends later
    assert hub.rooms.seats["anna"].connection == 4
    assert hub.say(1, Leave(id=9)) == [], "what the old link still says is nobody's"


def test_after_the_grace_the_seat_is_gone_and_a_return_is_a_rejoin() -> None:
    hub = trio(seat_grace_s=30.0)
    session = hub.rooms.seats["anna"].session
    hub.lose(1)
    left = hub.wait(30.0)
    assert {(to, m.user_id, m.reason) for to, m in left if isinstance(m, MemberLeft)} == {
        (2, "anna", 7),
        (3, "anna", 7),
    }
    assert not hub.login(4, "anna", session=session).resumed
    pushed = [m for _, m in hub.say(4, Join(id=2, room="attic")) if isinstance(m, MemberChanged)]
    assert pushed[0].rejoined
    assert pushed[0].joined


def test_a_first_join_is_no_rejoin() -> None:
    hub = trio()
    hub.login(4, "dan")
    pushed = [m for _, m in hub.say(4, Join(id=2, room="attic")) if isinstance(m, MemberChanged)]
    assert [(m.joined, m.rejoined) for m in pushed] == [(True, False)] * 3


def test_a_room_that_stands_for_years_forgets_who_was_there() -> None:
    hub = trio()
    for number in range(MAX_REMEMBERED + 50):
        hub.enter(4, f"visitor-{number}")
        hub.say(4, Logout(id=3))
    assert len(hub.rooms.rooms["attic"]._gone) == MAX_REMEMBERED
    assert set(hub.rooms.seats) == {"anna", "ben", "cleo"}


def test_who_joins_again_and_again_has_to_wait() -> None:
    hub = trio()
    hub.login(4, "dan")
    for _ in range(JOIN_BURST):
        hub.say(4, Join(id=2, room="attic"))
        hub.say(4, Leave(id=3))
    assert hub.refused(4, Join(id=4, room="attic")).code == "rate-limit"
    hub.say(4, Logout(id=5))
    hub.login(5, "dan")
    assert hub.refused(5, Join(id=4, room="attic")).code == "rate-limit", "logging in anew changes nothing"
    hub.now_s += 1
    assert isinstance(hub.say(5, Join(id=6, room="attic"))[0][1], Joined)
    hub.now_s += 100
    hub.rooms.expire(hub.now_s)
    assert len(hub.rooms._joins) == 0


def test_a_lost_link_outside_a_room_is_held_as_well() -> None:
    hub = Hub()
    session = hub.login(1, "anna").session
    hub.lose(1)
    assert hub.login(2, "anna", session=session).resumed


def test_logging_out_leaves_the_room_and_closes() -> None:
    hub = trio()
    outputs = hub.say(1, Logout(id=8))
    left = MemberLeft(user_id="anna", reason=0)
    assert outputs == [(1, Ok(id=8)), (1, CLOSE_NORMAL), (2, left), (3, left)]
    assert "anna" not in hub.rooms.seats


# --- rooms


def test_joining_tells_the_newcomer_first_and_then_the_others() -> None:
    hub = trio()
    hub.say(2, Publish(id=3, stream=AV))
    hub.login(4, "dan", user_name="Dan")
    (own, joined), *others = hub.say(4, Join(id=2, room="attic"))
    assert own == 4
    assert isinstance(joined, Joined)
    assert [m.user_id for m in joined.members] == ["anna", "ben", "cleo"]
    assert joined.members[1].streams == (AV,)
    assert joined.ice_servers == (IceServer(urls=("turn:turn.example",), username="dan"),)
    dan = Member(user_id="dan", user_name="Dan")
    assert others == [(to, MemberChanged(member=dan, joined=True)) for to in (1, 2, 3)]


def test_a_full_room_refuses_and_counts_held_seats() -> None:
    hub = trio(room_capacity=3)
    hub.lose(3)
    hub.login(4, "dan")
    assert hub.refused(4, Join(id=2, room="attic")).code == "room-full"
    hub.wait(30.0)
    assert isinstance(hub.say(4, Join(id=3, room="attic"))[0][1], Joined)


def test_a_hub_has_a_bounded_number_of_rooms() -> None:
    hub = Hub(max_rooms=2)
    for connection, room in enumerate(("a", "b"), start=1):
        hub.enter(connection, f"user-{room}", room)
    hub.login(3, "zoe")
    assert hub.refused(3, Join(id=2, room="c")).code == "service-unavailable"
    hub.say(1, Leave(id=3))
    assert isinstance(hub.say(3, Join(id=3, room="c"))[0][1], Joined)


def test_the_first_to_join_decides_the_profile() -> None:
    hub = Hub()
    hub.enter(1, "anna", profile="live")
    hub.login(2, "ben")
    joined = hub.say(2, Join(id=2, room="attic", profile="rtc"))[0][1]
    assert isinstance(joined, Joined)
    assert joined.profile == "live"


def test_live_hides_the_audience_from_everybody() -> None:
    hub = Hub()
    hub.enter(1, "host", profile="live")
    hub.enter(2, "viewer", role="audience")
    hub.login(3, "other")
    (_, joined), *pushed = hub.say(3, Join(id=2, room="attic", role="audience"))
    assert isinstance(joined, Joined)
    assert [m.user_id for m in joined.members] == ["host"]
    assert pushed == []
    assert hub.say(2, Leave(id=3)) == [(2, Ok(id=3))]


def test_a_hidden_viewer_asks_a_host_and_is_answered_and_reaches_no_viewer() -> None:
    hub = Hub()
    hub.enter(1, "host", profile="live")
    hub.enter(2, "viewer", role="audience")
    hub.enter(3, "other", role="audience")
    request, offer = LegRequest(leg="l"), LegOffer(leg="l", sdp="v=0")
    assert hub.say(2, SignalTo(to="host", leg=request)) == [(1, SignalFrom(sender="viewer", leg=request))]
    assert hub.say(1, SignalTo(to="viewer", leg=offer)) == [(2, SignalFrom(sender="host", leg=offer))]
    assert hub.refused(2, SignalTo(to="other", leg=request)).code == "peer-not-found"


def test_the_last_to_leave_ends_the_room() -> None:
    hub = Hub()
    hub.enter(1, "anna", profile="live")
    hub.say(1, Leave(id=3))
    assert not hub.rooms.rooms
    assert isinstance(hub.say(1, Join(id=4, room="attic"))[0][1], Joined), "logged in still"
    assert hub.rooms.rooms["attic"].profile == "rtc"


TO_ANNA = SignalTo(to="anna", leg=LegClose(leg="l"))
MUTE = SetMute(id=3, kind="video", muted=True)


@pytest.mark.parametrize(
    ("state", "message", "code"),
    [
        ("connected", Join(id=3, room="attic"), "not-logged-in"),
        ("connected", Leave(id=3), "not-logged-in"),
        ("connected", Publish(id=3, stream=AV), "not-logged-in"),
        ("connected", TO_ANNA, "not-logged-in"),
        ("logged in", Leave(id=3), "not-joined"),
        ("logged in", Publish(id=3, stream=AV), "not-joined"),
        ("logged in", Unpublish(id=3), "not-joined"),
        ("logged in", MUTE, "not-joined"),
        ("logged in", TO_ANNA, "not-joined"),
        ("host", Join(id=3, room="attic"), "already-joined"),
        ("host", Join(id=3, room="cellar"), "already-joined"),
        ("host", Publish(id=3, stream=StreamInfo()), "empty-stream"),
        ("host", Unpublish(id=3), "stream-not-found"),
        ("host", MUTE, "stream-not-found"),
        ("host", TO_ANNA, "peer-not-found"),
        ("audience", Publish(id=3, stream=AV), "role"),
    ],
)
def test_what_is_out_of_order_is_refused(state: str, message: ClientMessage, code: str) -> None:
    hub = Hub()
    hub.enter(9, "watcher")  # who would notice
    if state == "connected":
        hub.rooms.connect(1, 0.0)
    elif state == "logged in":
        hub.login(1, "anna")
    else:
        hub.enter(1, "anna", role=state)
    error = hub.refused(1, message)
    assert (error.code, error.id) == (code, getattr(message, "id", 0))


def test_an_audience_sends_no_media_either() -> None:
    hub = trio()
    hub.enter(4, "viewer", role="audience")
    assert hub.refused(4, SignalTo(to="anna", leg=LegOffer(leg="l", sdp="v=0"))).code == "role"


def test_signals_stay_in_their_room() -> None:
    hub = trio()
    hub.enter(4, "dan", "cellar")
    leg = LegRequest(leg="leg-1")
    assert hub.say(1, SignalTo(to="ben", leg=leg)) == [(2, SignalFrom(sender="anna", leg=leg))]
    assert hub.refused(1, SignalTo(to="dan", leg=leg)).code == "peer-not-found"
    assert hub.refused(4, SignalTo(to="anna", leg=leg)).code == "peer-not-found"


def test_a_signal_to_a_held_seat_is_dropped_without_an_error() -> None:
    hub = trio()
    hub.lose(2)
    assert hub.say(1, SignalTo(to="ben", leg=LegRequest(leg="leg-1"))) == []


def test_publishing_muting_and_withdrawing_are_told_as_the_whole_member() -> None:
    hub = trio()
    muted = StreamInfo(audio=TrackInfo(muted=True), video=AV.video)
    steps: list[tuple[ClientMessage, tuple[StreamInfo, ...]]] = [
        (Publish(id=3, stream=AV), (AV,)),
        (SetMute(id=4, kind="audio", muted=True), (muted,)),
        (Publish(id=5, stream=StreamInfo(video=TrackInfo())), (StreamInfo(video=TrackInfo()),)),
        (Unpublish(id=6), ()),
    ]
    for message, streams in steps:
        change = MemberChanged(member=Member(user_id="anna", streams=streams))
        assert hub.say(1, message) == [(1, Ok(id=message.id)), (2, change), (3, change)]  # type: ignore[union-attr]


@pytest.mark.parametrize("message", [Publish(id=4, stream=AV), SetMute(id=4, kind="audio", muted=False)])
def test_what_changes_nothing_is_told_to_nobody(message: ClientMessage) -> None:
    hub = trio()
    hub.say(1, Publish(id=3, stream=AV))
    assert hub.say(1, message) == [(1, Ok(id=4))]


def test_leaving_tells_the_others_and_drops_the_streams() -> None:
    hub = trio()
    hub.say(1, Publish(id=3, stream=AV))
    left = MemberLeft(user_id="anna")
    assert hub.say(1, Leave(id=4)) == [(1, Ok(id=4)), (2, left), (3, left)]
    hub.say(1, Join(id=5, room="attic"))
    assert hub.rooms.seats["anna"].streams == {}


def test_pings_are_answered_before_the_login_too() -> None:
    hub = Hub()
    hub.rooms.connect(1, 0.0)
    assert hub.say(1, Ping(t=1.5)) == [(1, Pong(t=1.5))]
    assert hub.say(1, Pong(t=1.5)) == []


# --- the administrator


@pytest.mark.parametrize(("how", "reason", "code"), [("kick", "kick", 5), ("remove", "removed", 9)])
def test_who_is_put_out_of_the_room_stays_logged_in(how: Any, reason: str, code: int) -> None:
    hub = trio()
    outputs = flat(hub.rooms.evict("attic", "anna", how, "that was it", hub.now_s))
    kicked = Kicked(reason=reason, message="that was it", code=code, login_ends=False)  # type: ignore[arg-type]
    left = MemberLeft(user_id="anna", reason=code, message="that was it")
    assert outputs == [(1, kicked), (2, left), (3, left)]
    assert isinstance(hub.say(1, Join(id=9, room="cellar"))[0][1], Joined)


def test_a_ban_is_the_victims_last_message() -> None:
    hub = trio()
    outputs = flat(hub.rooms.evict("attic", "anna", "ban", "that was it", hub.now_s))
    assert outputs[:2] == [(1, Kicked(reason="banned", message="that was it", code=5)), (1, CLOSE_EVICTED)]
    left = MemberLeft(user_id="anna", reason=5, message="that was it")
    assert outputs[2:] == [(2, left), (3, left)]
    assert "anna" not in hub.rooms.seats
    assert hub.say(1, Join(id=9, room="attic")) == []


@pytest.mark.parametrize("how", ["kick", "remove"])
def test_who_is_put_out_while_the_link_is_lost_is_told_at_the_resume(how: Any) -> None:
    hub = trio()
    session = hub.rooms.seats["anna"].session
    hub.lose(1)
    hub.rooms.evict("attic", "anna", how, "", hub.now_s)
    hub.rooms.connect(4, hub.now_s)
    (_, logged_in), (_, kicked) = hub.say(4, Login(id=1, session=session))
    assert isinstance(logged_in, LoggedIn)
    assert (logged_in.resumed, logged_in.in_room) == (True, False)
    assert isinstance(kicked, Kicked)
    hub.lose(4)
    hub.rooms.connect(5, hub.now_s)
    assert len(hub.say(5, Login(id=1, session=session))) == 1, "told once"


def test_who_is_banned_while_the_link_is_lost_is_refused() -> None:
    hub = trio()
    session = hub.rooms.seats["anna"].session
    hub.lose(1)
    hub.rooms.evict("attic", "anna", "ban", "", hub.now_s)
    hub.rooms.connect(4, hub.now_s)
    assert hub.refused(4, Login(id=1, session=session)).code == "banned"


def test_a_ban_keeps_out_of_this_room_until_it_is_lifted() -> None:
    hub = trio()
    hub.rooms.evict("attic", "anna", "ban", "", hub.now_s)
    hub.login(4, "anna")
    assert hub.refused(4, Join(id=2, room="attic")).code == "banned"
    assert isinstance(hub.say(4, Join(id=3, room="cellar"))[0][1], Joined)
    hub.say(4, Leave(id=4))
    assert hub.rooms.exclusions.banned("attic", hub.now_s) == ["anna"]
    hub.rooms.exclusions.unban("attic", "anna")
    assert isinstance(hub.say(4, Join(id=5, room="attic"))[0][1], Joined)


def test_a_ban_works_in_advance_and_a_kick_does_not() -> None:
    hub = Hub()
    assert hub.rooms.evict("attic", "anna", "ban", "", hub.now_s) == []
    with pytest.raises(RtcError, match="anna") as caught:
        hub.rooms.evict("attic", "anna", "kick", "", hub.now_s)
    assert caught.value.code is RtcErrorCode.PEER_NOT_FOUND
    with pytest.raises(RtcError, match="not banned"):
        hub.rooms.exclusions.unban("attic", "ben")


def test_disbanding_says_room_closed_and_nothing_else() -> None:
    hub = trio()
    hub.lose(3)
    session = hub.rooms.seats["cleo"].session
    closed = RoomClosed(room="attic", message="good night")
    outputs = flat(hub.rooms.disband("attic", "good night"))
    assert outputs == [(1, closed), (2, closed)]
    assert not hub.rooms.rooms
    assert all(seat.room is None for seat in hub.rooms.seats.values())
    hub.rooms.connect(4, hub.now_s)
    assert hub.say(4, Login(id=1, session=session))[1:] == [(4, closed)]
    with pytest.raises(RtcError, match="no room"):
        hub.rooms.disband("attic", "")


def test_every_output_after_a_close_goes_elsewhere() -> None:
    hub = trio()
    outputs = hub.rooms.evict("attic", "anna", "ban", "", hub.now_s)
    closed = next(index for index, output in enumerate(outputs) if isinstance(output, Close))
    assert all(output.connection != 1 for output in outputs[closed + 1 :])
