"""The tasks of a room, one decision at a time, and random lives of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.errors import CryptError, RtcErrorCode
from appliance.hub.relay_tasks import CHANGE_BURST, ENDED, FAILED, PUSHING, RETRY_DELAYS_S, RoomTasks
from appliance.room.signaling import ClientMessage, HubMessage
from appliance.room.signaling_base import Profile, Role
from appliance.room.signaling_login import Error, Ok
from appliance.room.signaling_room import (
    Disband,
    Join,
    Leave,
    LegClose,
    LegRequest,
    MemberChanged,
    Publish,
    SignalFrom,
    SignalTo,
    StreamInfo,
    TrackInfo,
)
from appliance.room.signaling_tasks import (
    AddTasks,
    Canvas,
    DeleteTasks,
    LayoutUser,
    RtmpTask,
    TaskChanged,
    TaskLayout,
    UpdateTasks,
)
from tests.appliance.hub.test_rooms import Hub

URL = "rtmp://live.example/app/secret"
LAYOUT = TaskLayout(canvas=Canvas(width=640, height=360))


def task(task_id: str = "one", **fields: Any) -> RtmpTask:
    whole: dict[str, Any] = {"task_id": task_id, "layout": LAYOUT, "stream_url": URL}
    return RtmpTask(**(whole | fields))


class Stage(Hub):
    """A hub with anna and ben as hosts of a live room, and vera in its audience; connections 1, 2 and 3."""

    def __init__(self, profile: Profile = "live", **more: Any) -> None:
        super().__init__(**{"recordings_bytes": 1, **more})
        self.changes = 0
        self.rooms.relay.on_change = self._count
        people: list[tuple[int, str, Role]] = [(1, "anna", "host"), (2, "ben", "host"), (3, "vera", "audience")]
        for connection, name, role in people:
            self.login(connection, name)
            self.say(connection, Join(id=2, room="attic", profile=profile, role=role))

    def _count(self) -> None:
        self.changes += 1

    def code(self, connection: int, message: ClientMessage) -> str:
        ((to, error),) = self.say(connection, message)
        assert to == connection
        assert isinstance(error, Error), error
        return error.code

    def add(self, *tasks: RtmpTask, by: int = 1) -> RoomTasks:
        for one in tasks:
            assert self.say(by, AddTasks(id=9, tasks=(one,))) == [(by, Ok(id=9))]
        return self.entry

    @property
    def entry(self) -> RoomTasks:
        (entry,) = self.rooms.relay.rooms.values()
        return entry


def told(said: list[tuple[int, HubMessage | int]]) -> list[tuple[int, int, str]]:
    """(connection, code, url)"""
    return [(to, message.code, message.url) for to, message in said if isinstance(message, TaskChanged)]


def flat(outputs: list[Any]) -> list[tuple[int, HubMessage | int]]:
    return [(output.connection, output.message) for output in outputs]


# --- who may, and what


@pytest.mark.parametrize("make", [lambda: AddTasks(id=1, tasks=(task(),)), lambda: DeleteTasks(id=1, task_ids=("a",))])
def test_who_may_not(make: Any) -> None:
    assert Stage("rtc").code(1, make()) == RtcErrorCode.PROFILE  # IL14
    stage = Stage()
    assert stage.code(3, make()) == RtcErrorCode.ROLE  # IL15
    stage.say(1, Leave(id=3))
    assert stage.code(1, make()) == RtcErrorCode.NOT_JOINED  # IL16
    assert Stage(relay="off").code(1, make()) == RtcErrorCode.SERVICE_UNAVAILABLE


def test_a_host_that_is_no_moderator_may_where_the_owner_says_so() -> None:
    for who, code in (("moderators", RtcErrorCode.ROLE), ("hosts", RtcErrorCode.TASK_NOT_FOUND)):
        hub = Hub(relay=who)
        hub.rooms.relay.on_change = lambda: None
        hub.login(1, token="anna")
        hub.say(1, Join(id=2, room="attic", profile="live"))
        ((_, error),) = hub.say(1, DeleteTasks(id=3, task_ids=("a",)))
        assert isinstance(error, Error)
        assert error.code == code


def test_what_the_hub_cannot_see_it_does_not_relay() -> None:
    hub = Hub()
    hub.rooms.relay.on_change = lambda: None
    hub.login(1, "anna")
    hub.say(1, Join(id=2, room="attic", profile="live", encryption="aes-128-gcm", key_fingerprint="ab" * 8))
    ((_, error),) = hub.say(1, AddTasks(id=3, tasks=(task(),)))
    assert isinstance(error, Error)
    assert error.code == CryptError.default_code
    assert "no key" in error.message


def test_one_a_call_three_a_room_and_each_once() -> None:
    stage = Stage(relay_tasks=8)
    for tasks in ((), (task("a"), task("b"))):
        assert stage.code(1, AddTasks(id=1, tasks=tasks)) == RtcErrorCode.INVALID_ARGUMENT
    stage.add(task("a"), task("b"))
    assert stage.code(2, AddTasks(id=1, tasks=(task("a"),))) == RtcErrorCode.TASK_EXISTS
    stage.add(task("c"), by=2)
    assert stage.code(1, AddTasks(id=1, tasks=(task("d"),))) == RtcErrorCode.TASK_LIMIT
    assert stage.code(1, UpdateTasks(id=1, tasks=(task("d"),))) == RtcErrorCode.TASK_NOT_FOUND
    assert stage.code(1, DeleteTasks(id=1, task_ids=("a", "d"))) == RtcErrorCode.TASK_NOT_FOUND
    assert set(stage.entry.tasks) == {"a", "b", "c"}


def test_the_hub_as_a_whole_has_a_limit_too() -> None:
    stage = Stage(relay_tasks=1)
    stage.add(task())
    stage.login(4, "dora")
    stage.say(4, Join(id=2, room="cellar", profile="live"))
    assert stage.code(4, AddTasks(id=1, tasks=(task(),))) == RtcErrorCode.TASK_LIMIT


@pytest.mark.parametrize(
    "wrong",
    [
        task(stream_url="http://live.example/a/b"),
        task(stream_url="rtmp://127.0.0.1/a/b"),
        task(stream_url=""),
        task(layout=TaskLayout(canvas=Canvas(width=8, height=8))),
    ],
)
def test_a_task_that_cannot_be_done_changes_nothing(wrong: RtmpTask) -> None:
    stage = Stage()
    assert stage.code(1, AddTasks(id=1, tasks=(wrong,))) == RtcErrorCode.INVALID_ARGUMENT
    assert not stage.rooms.relay.rooms
    stage.add(task())
    assert stage.code(1, UpdateTasks(id=1, tasks=(wrong,))) == RtcErrorCode.INVALID_ARGUMENT
    assert stage.entry.tasks["one"].task == task()


def test_without_a_place_for_recordings_nothing_is_recorded() -> None:
    stage = Stage(recordings_bytes=0)
    assert stage.code(1, AddTasks(id=1, tasks=(task(record=True),))) == RtcErrorCode.INVALID_STATE


def test_changes_have_an_allowance() -> None:
    stage = Stage()
    stage.add(task())
    codes = {stage.code(1, DeleteTasks(id=1, task_ids=("other",))) for _ in range(CHANGE_BURST)}
    assert codes == {RtcErrorCode.TASK_NOT_FOUND, RtcErrorCode.RATE_LIMIT}
    assert stage.code(2, DeleteTasks(id=1, task_ids=("other",))) == RtcErrorCode.TASK_NOT_FOUND
    stage.now_s += 1
    assert stage.say(1, DeleteTasks(id=1, task_ids=("one",)))[0] == (1, Ok(id=1))


# --- what becomes of it


def test_hosts_are_told_and_only_the_tasks_own_user_the_key() -> None:
    stage = Stage()
    entry = stage.add(task())
    state = entry.tasks["one"]
    said = flat(stage.rooms.relay.pushing(state, 1, entry.room))
    assert told(said) == [(1, PUSHING, URL), (2, PUSHING, "rtmp://live.example/app/...")]
    assert stage.rooms.relay.pushing(state, 1, entry.room) == []
    said = stage.say(2, DeleteTasks(id=5, task_ids=("one",)))
    assert said[0] == (2, Ok(id=5))
    assert [code for _, code, _ in told(said)] == [ENDED, ENDED]
    assert not stage.rooms.relay.rooms


def test_a_failure_is_told_once_and_tried_again_ever_more_slowly() -> None:
    stage = Stage()
    entry = stage.add(task())
    relay, state = stage.rooms.relay, entry.tasks["one"]
    news = []
    for number in range(8):
        news.append(len(relay.failed(state, state.attempt, entry.room, "no answer", stage.now_s)) > 0)
        assert relay.failed(state, state.attempt, entry.room, "again", stage.now_s) == []
        delay_s = RETRY_DELAYS_S[min(number, len(RETRY_DELAYS_S) - 1)]
        assert relay.next_deadline_s() == stage.now_s + delay_s
        before = state.attempt
        relay.expire(stage.now_s + delay_s / 2)
        assert state.attempt == before
        stage.now_s += delay_s
        stage.rooms.expire(stage.now_s)
        assert (state.attempt, state.retry_s) == (before + 1, None)
        assert relay.pushing(state, before, entry.room) == []  # an attempt of old has nothing to say
    assert news == [True] + [False] * 7
    assert [code for _, code, _ in told(flat(relay.pushing(state, state.attempt, entry.room)))] == [PUSHING] * 2
    said = flat(relay.failed(state, state.attempt, entry.room, "closed", stage.now_s))
    assert [code for _, code, _ in told(said)] == [FAILED] * 2
    assert relay.next_deadline_s() == stage.now_s + RETRY_DELAYS_S[0]


def test_an_update_of_the_layout_goes_on_and_another_form_begins_anew() -> None:
    stage = Stage()
    entry = stage.add(task())
    state = entry.tasks["one"]
    stage.rooms.relay.pushing(state, 1, entry.room)
    users = (LayoutUser(user_id="ben", x=0, y=0, width=64, height=64),)
    moved = task(layout=TaskLayout(canvas=LAYOUT.canvas, users=users))
    assert stage.say(1, UpdateTasks(id=4, tasks=(moved,))) == [(1, Ok(id=4))]
    assert (state.task, state.form, state.attempt, state.is_pushing) == (moved, 1, 1, True)
    wider = task(layout=TaskLayout(canvas=Canvas(width=320, height=180)))
    stage.say(2, UpdateTasks(id=4, tasks=(wider,)))
    assert (state.form, state.attempt, state.is_pushing) == (2, 2, False)
    assert state.host_user_id == "anna"


# --- the hidden member, and the end


def test_it_is_told_all_seen_by_nobody_and_counted_nowhere() -> None:
    stage = Stage(room_capacity=3)
    seat = stage.add(task()).seat
    number = seat.connection
    assert number is not None
    assert number < 0
    said = stage.say(1, Publish(id=3, stream=StreamInfo(audio=TrackInfo())))
    assert [to for to, message in said if isinstance(message, MemberChanged)] == [2, 3, number]
    room = stage.entry.room
    assert set(room.seats) == {"anna", "ben", "vera"}
    ((to, message),) = flat(stage.rooms.relay.signal(room, "anna", LegRequest(leg="x")))
    assert (to, message) == (1, SignalFrom(sender=seat.user_id, leg=LegRequest(leg="x")))
    assert stage.rooms.relay.signal(room, "nobody", LegClose(leg="x")) == []
    assert stage.say(1, SignalTo(to=seat.user_id, leg=LegClose(leg="x"))) == [
        (number, SignalFrom(sender="anna", leg=LegClose(leg="x")))
    ]
    assert stage.code(3, SignalTo(to=seat.user_id, leg=LegClose(leg="x"))) == RtcErrorCode.PEER_NOT_FOUND
    stage.say(2, Leave(id=4))
    stage.login(5, "cleo")
    joined = stage.say(5, Join(id=2, room="attic"))[0][1]
    assert seat.user_id not in str(joined)
    stage.login(6, "dan")
    assert stage.code(6, Join(id=2, room="attic")) == RtcErrorCode.ROOM_FULL


def test_a_task_ends_with_its_user_and_goes_on_while_the_link_is_lost() -> None:  # D57
    stage = Stage()
    room = stage.add(task("hers"), task("his"), by=1).room
    stage.add(task("third"), by=2)
    stage.rooms.link_lost(1, stage.now_s)
    assert set(stage.entry.tasks) == {"hers", "his", "third"}
    stage.now_s += 31
    said = flat(stage.rooms.expire(stage.now_s))
    assert [(to, code) for to, code, _ in told(said)] == [(2, ENDED), (2, ENDED)]
    assert set(stage.entry.tasks) == {"third"}
    assert room.hidden is not None
    stage.say(2, Leave(id=5))
    assert not stage.rooms.relay.rooms
    assert room.hidden is None


def test_the_end_of_the_room_ends_its_tasks() -> None:
    stage = Stage()
    stage.add(task("a"), task("b"))
    before = stage.changes
    stage.say(1, Disband(id=7))
    assert not stage.rooms.relay.rooms
    assert stage.changes > before


class TaskLife(RuleBasedStateMachine):
    """Whatever hosts, servers and the clock do: the limits hold, and every task that began is told to have ended."""

    @initialize()
    def start(self) -> None:
        self.stage = Stage()
        self.open: set[str] = set()  # by what anna was told and has done
        self.here = {1, 2, 3}

    def hear(self, said: list[tuple[int, HubMessage | int]]) -> None:
        for to, message in said:
            if isinstance(message, TaskChanged):
                assert to in (1, 2), "the audience is told nothing"
                assert ("secret" in message.url) == (message.host_user_id == {1: "anna", 2: "ben"}[to])
                if message.code == ENDED:
                    self.open.discard(message.task_id)

    @rule(by=st.sampled_from([1, 2, 3]), name=st.sampled_from("abcd"), record=st.booleans())
    def add(self, by: int, name: str, record: bool) -> None:
        said = self.stage.say(by, AddTasks(id=1, tasks=(task(name, record=record),)))
        if said == [(by, Ok(id=1))]:
            assert name not in self.open
            assert by != 3
            self.open.add(name)

    @rule(by=st.sampled_from([1, 2]), name=st.sampled_from("abcd"))
    def delete(self, by: int, name: str) -> None:
        said = self.stage.say(by, DeleteTasks(id=1, task_ids=(name,)))
        assert (said[0] == (by, Ok(id=1))) == (name in self.open and by in self.here)
        self.hear(said)

    @rule(name=st.sampled_from("abcd"), width=st.sampled_from([320, 640]))
    def update(self, name: str, width: int) -> None:
        layout = TaskLayout(canvas=Canvas(width=width, height=180))
        self.hear(self.stage.say(1, UpdateTasks(id=1, tasks=(task(name, layout=layout),))))

    @rule(good=st.booleans(), back=st.integers(0, 1), name=st.sampled_from("abcd"))
    def report(self, good: bool, back: int, name: str) -> None:
        relay = self.stage.rooms.relay
        for entry in list(relay.rooms.values()):
            if (state := entry.tasks.get(name)) is not None:
                attempt = state.attempt - back
                outputs = (
                    relay.pushing(state, attempt, entry.room)
                    if good
                    else relay.failed(state, attempt, entry.room, "no", self.stage.now_s)
                )
                assert not (back and outputs)
                self.hear(flat(outputs))

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.stage.now_s += seconds
        self.hear(flat(self.stage.rooms.expire(self.stage.now_s)))

    @rule(who=st.sampled_from([1, 2]))
    def come_or_go(self, who: int) -> None:
        if who in self.here:
            self.hear(self.stage.say(who, Leave(id=1)))
            self.here.discard(who)
        else:
            self.stage.say(who, Join(id=1, room="attic", profile="live"))
            self.here.add(who)
        if not self.here & {1, 2}:
            self.open.clear()  # nobody was left to be told

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "stage"):
            return
        entries = list(self.stage.rooms.relay.rooms.values())
        assert {name for entry in entries for name in entry.tasks} == self.open
        assert len(self.open) <= 3
        for entry in entries:
            assert entry.tasks
            assert entry.room.hidden is entry.seat
            assert all(state.host_user_id in entry.room.seats for state in entry.tasks.values())
        for room in self.stage.rooms.rooms.values():
            assert (room.hidden is not None) == (room in self.stage.rooms.relay.rooms)


TaskLife.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestTaskLife = TaskLife.TestCase
