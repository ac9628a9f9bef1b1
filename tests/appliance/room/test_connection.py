import itertools

import pytest

from appliance.room.connection import TRANSITIONS, Connection, TransitionError, Trigger
from appliance.room.events import ConnectionReason, ConnectionState, ConnectionStateChanged


def walked(*triggers: Trigger) -> tuple[Connection, list[ConnectionStateChanged]]:
    events: list[ConnectionStateChanged] = []
    connection = Connection(events.append)
    for trigger in triggers:
        connection.advance(trigger, ConnectionReason.JOIN)
    return connection, events


def states(*triggers: Trigger) -> list[str]:
    return [event.cur_state.value for event in walked(*triggers)[1]]


def test_a_stay_with_one_lost_link() -> None:
    assert states(
        Trigger.JOIN,
        Trigger.ACCEPTED,
        Trigger.LINK_LOST,
        Trigger.RESTORED,
        Trigger.SETTLED,
        Trigger.LEAVE,
        Trigger.TORN_DOWN,
    ) == ["CONNECTING", "CONNECTED", "RECONNECTING", "RECONNECTED", "CONNECTED", "DISCONNECTING", "DISCONNECTED"]


@pytest.mark.parametrize(
    ("triggers", "expected"),
    [
        ((Trigger.JOIN, Trigger.REFUSED), "DISCONNECTED"),  # TR03
        ((Trigger.JOIN, Trigger.LEAVE), "DISCONNECTING"),  # TR04
        ((Trigger.JOIN, Trigger.ACCEPTED, Trigger.LINK_LOST, Trigger.GAVE_UP), "DISCONNECTED"),  # TR10
        ((Trigger.JOIN, Trigger.ACCEPTED, Trigger.LINK_LOST, Trigger.LEAVE), "DISCONNECTING"),  # TR11
        ((Trigger.JOIN, Trigger.ACCEPTED, Trigger.EVICTED), "DISCONNECTING"),  # TR14
    ],
)
def test_other_ways_out(triggers: tuple[Trigger, ...], expected: str) -> None:
    assert states(*triggers)[-1] == expected


def test_every_pair_that_is_not_listed_raises_and_changes_nothing() -> None:
    checked = 0
    for state in ConnectionState:
        for trigger in Trigger:
            events: list[ConnectionStateChanged] = []
            connection = Connection(events.append)
            connection.state = state
            if (state, trigger) in TRANSITIONS:
                continue
            with pytest.raises(TransitionError, match=trigger.value):
                connection.advance(trigger, ConnectionReason.ERROR)
            assert connection.state is state
            assert events == []
            checked += 1
    assert checked == len(ConnectionState) * len(Trigger) - len(TRANSITIONS)


def test_each_event_names_where_it_came_from_and_whether_it_is_about_a_reconnect() -> None:
    _, events = walked(Trigger.JOIN, Trigger.ACCEPTED, Trigger.LINK_LOST, Trigger.RESTORED, Trigger.SETTLED)
    for before, after in itertools.pairwise(events):
        assert after.prev_state is before.cur_state
    assert [event.reconnect for event in events] == [False, False, False, True, True]
    assert [event.will_reconnect for event in events] == [False, False, True, False, False]


def test_joined_while_the_link_is_restored() -> None:
    assert walked(Trigger.JOIN, Trigger.ACCEPTED, Trigger.LINK_LOST)[0].is_joined
    assert not walked(Trigger.JOIN)[0].is_joined
