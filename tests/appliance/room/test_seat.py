"""What a rejoin asks for after what happened in the room."""

from __future__ import annotations

from appliance.room.entry import Credentials, Ticket
from appliance.room.seat import Seat
from appliance.room.signaling_room import Joined
from appliance.room.streams import MediaPriority

TICKET = Ticket("lobby", Credentials("a", "", ""), "host", "rtc", priority=50, video_codecs=("h264", "vp8"))


def joined(**fields: object) -> Joined:
    return Joined(id=1, room="lobby", user_id="a", role="host", profile="rtc", session_id="s", **fields)  # type: ignore[arg-type]


def seated(**fields: object) -> Seat:
    seat = Seat(TICKET)
    seat.take(joined(priority=50, **fields), 1000.0)
    return seat


def test_an_audience_asks_to_come_back_as_one_and_has_no_high_priority() -> None:
    seat = seated()
    assert seat.priority is MediaPriority.HIGH
    seat.change_role("audience")
    assert (seat.role, seat.ticket.role, seat.priority) == ("audience", "audience", MediaPriority.NORMAL)


def test_a_priority_that_was_lost_is_not_asked_for_again() -> None:
    seat = seated()
    seat.change_priority(100)
    assert (seat.priority, seat.ticket.priority) == (MediaPriority.NORMAL, 100)


def test_of_our_codecs_those_that_the_room_takes_in_our_order() -> None:
    assert seated(video_codecs=("vp8",)).video_codecs == ("vp8",)
    assert seated(video_codecs=("vp8", "h264")).video_codecs == ("h264", "vp8")


def test_a_forced_mute_holds_until_it_is_lifted() -> None:
    seat = seated()
    seat.force_mute("audio", True)
    seat.force_mute("video", True)
    seat.force_mute("audio", False)
    seat.force_mute("audio", False)
    assert seat.forced_mutes == {"video"}
