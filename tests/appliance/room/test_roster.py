"""The roster's events, by example and against a model: whatever the hub says, they add up to the room as it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import LeaveReason
from appliance.events import Event
from appliance.room.events import (
    AudioMuted,
    AudioUnmuted,
    PeerJoined,
    PeerLeft,
    ScreenMuted,
    ScreenUnmuted,
    StreamAdded,
    StreamRemoved,
    StreamUpdated,
    VideoMuted,
    VideoUnmuted,
)
from appliance.room.roster import Roster
from appliance.room.signaling_room import Member, MemberChanged, MemberLeft, StreamInfo, TrackInfo

ON, MUTED = TrackInfo(), TrackInfo(muted=True)
MUTED_SCREEN = TrackInfo(muted=True, width=1920, height=1080)


def member(user_id: str, *streams: StreamInfo) -> Member:
    return Member(user_id=user_id, user_name=user_id.upper(), streams=streams)


def main(audio: TrackInfo | None = ON, video: TrackInfo | None = ON) -> StreamInfo:
    return StreamInfo(name="main", audio=audio, video=video)


def names(events: list[Event]) -> list[str]:
    return [event.event_name for event in events]


def roster_with(*members: Member) -> Roster:
    roster = Roster("lobby")
    roster.resync(members)
    return roster


def changed(roster: Roster, changed_member: Member) -> list[Event]:
    return roster.change(MemberChanged(member=changed_member))


def test_on_join_peers_then_streams_then_mutes() -> None:  # OR02, X16
    events = Roster("lobby").resync([member("b", main(audio=MUTED)), member("c"), member("d", main(video=MUTED))])
    assert names(events) == [
        "peer-joined",
        "peer-joined",
        "peer-joined",
        "stream-added",
        "stream-added",
        "audio-muted",
        "video-muted",
    ]
    assert [event.user_id for event in events if isinstance(event, AudioMuted)] == ["b"]
    assert all(event.reason == 1 and event.room_id == "lobby" for event in events if isinstance(event, AudioMuted))


def test_a_new_member_comes_once() -> None:
    roster = Roster("lobby")
    events = roster.change(MemberChanged(member=member("b"), joined=True))
    assert events == [PeerJoined(user_id="b", user_name="B", role="host", rejoined=False)]
    assert roster.change(MemberChanged(member=member("b"), joined=True)) == []


def test_rejoined_is_passed_on() -> None:
    events = Roster("lobby").change(MemberChanged(member=member("b"), joined=True, rejoined=True))
    assert isinstance(events[0], PeerJoined)
    assert events[0].rejoined


def test_streams_go_before_their_user() -> None:  # OR03
    roster = roster_with(member("b", main(), StreamInfo(name="screen", video=ON)))
    events = roster.leave(MemberLeft(user_id="b", reason=5, message="bye"))
    assert names(events) == ["stream-removed", "stream-removed", "peer-left"]
    assert all(event.reason == "peer_left" for event in events if isinstance(event, StreamRemoved))
    left = events[-1]
    assert isinstance(left, PeerLeft)
    assert (left.reason, left.message, left.user_name) == (LeaveReason.KICKED, "bye", "B")
    assert roster.users == {}


def test_a_change_of_role_says_so() -> None:
    roster = roster_with(member("b", main()))
    removed, left = roster.leave(MemberLeft(user_id="b", reason=11, role_change=True))
    assert isinstance(removed, StreamRemoved)
    assert removed.reason == "role_changed"
    assert isinstance(left, PeerLeft)
    assert left.role_change


def test_a_leaver_that_nobody_knows_and_a_reason_that_nobody_knows() -> None:
    roster = roster_with(member("b"))
    assert roster.leave(MemberLeft(user_id="x")) == []
    (left,) = roster.leave(MemberLeft(user_id="b", reason=99))
    assert isinstance(left, PeerLeft)
    assert left.reason is LeaveReason.SERVER_ERROR


def test_muting_and_unmuting() -> None:  # U43 to U46
    roster = roster_with(member("b", main()))
    assert [type(event) for event in changed(roster, member("b", main(audio=MUTED)))] == [AudioMuted]
    assert changed(roster, member("b", main(audio=MUTED))) == []
    assert [type(event) for event in changed(roster, member("b", main(video=MUTED)))] == [AudioUnmuted, VideoMuted]
    (event,) = changed(roster, member("b", main()))
    assert isinstance(event, VideoUnmuted)
    assert (event.status, event.reason) == ("AVAILABLE", 2)


def test_the_stream_is_one_object_from_added_to_removed() -> None:
    roster = Roster("lobby")
    (_, added) = changed(roster, member("b", main(video=None)))
    assert isinstance(added, StreamAdded)
    assert added.kinds == ("audio",)
    stream = added.stream
    updated = changed(roster, member("b", main(video=TrackInfo(width=640, height=480))))[0]
    assert isinstance(updated, StreamUpdated)
    assert (updated.stream is stream, updated.added, updated.removed) == (True, ("video",), ())
    assert stream.kinds == ("audio", "video")
    (resized,) = changed(roster, member("b", main(video=TrackInfo(width=1280, height=720))))
    assert isinstance(resized, StreamUpdated)
    assert (resized.added, resized.removed, resized.video_spec) == ((), (), (1280, 720))
    (removed,) = changed(roster, member("b"))
    assert isinstance(removed, StreamRemoved)
    assert (removed.stream is stream, removed.reason) == (True, "unpublished")
    (again,) = changed(roster, member("b", main()))
    assert isinstance(again, StreamAdded)
    assert again.stream is not stream


def test_a_kind_that_leaves_a_stream_counts_as_muted() -> None:  # X28
    roster = roster_with(member("b", main()))
    updated, muted = changed(roster, member("b", main(video=None)))
    assert isinstance(updated, StreamUpdated)
    assert updated.removed == ("video",)
    assert isinstance(muted, VideoMuted)
    assert muted.reason == 0
    updated, unmuted = changed(roster, member("b", main()))
    assert isinstance(updated, StreamUpdated)
    assert isinstance(unmuted, VideoUnmuted)


def test_a_kind_that_is_added_muted_says_so() -> None:
    roster = roster_with(member("b", main(audio=None)))
    updated, muted = changed(roster, member("b", main(audio=MUTED)))
    assert isinstance(updated, StreamUpdated)
    assert isinstance(muted, AudioMuted)
    assert muted.reason == 1


def test_a_resync_says_each_missed_change_once() -> None:  # OR09
    roster = roster_with(member("b", main()), member("c", main()))
    truth = [member("c", main(audio=MUTED)), member("d", main())]
    events = roster.resync(truth)
    assert names(events) == ["stream-removed", "peer-left", "peer-joined", "stream-added", "audio-muted"]
    assert roster.resync(truth) == []


def test_a_new_hub_does_not_empty_the_room() -> None:
    roster = roster_with(*(member(user_id, main()) for user_id in "bcdef"))
    assert roster.resync([member("b", main()), member("c")], new_hub=True) == []
    assert changed(roster, member("c", main())) == [], "it published anew"
    assert changed(roster, member("d")) == [], "it is back, its stream is on the way"
    assert names(roster.leave(MemberLeft(user_id="f"))) == ["stream-removed", "peer-left"]
    events = roster.end_return()
    assert names(events) == ["stream-removed", "stream-removed", "peer-left"]
    left = events[-1]
    assert isinstance(left, PeerLeft)
    assert (left.user_id, left.reason) == ("e", LeaveReason.SERVER_ERROR)
    assert roster.end_return() == []
    assert {user_id: len(user.streams) for user_id, user in roster.users.items()} == {"b": 1, "c": 1, "d": 0}
    assert names(changed(roster, member("b"))) == ["stream-removed"]


def test_a_screen_is_a_stream_of_its_own_with_mutes_of_its_own() -> None:  # U47, U48
    roster = roster_with(member("b", main()))
    screen = StreamInfo(name="screen", video=TrackInfo(width=1920, height=1080))
    (added,) = changed(roster, member("b", main(), screen))
    assert isinstance(added, StreamAdded)
    assert (added.stream.name, added.kinds) == ("screen", ("screen",))
    (muted,) = changed(roster, member("b", main(), StreamInfo(name="screen", video=MUTED_SCREEN)))
    assert isinstance(muted, ScreenMuted)
    assert (muted.user_id, muted.reason) == ("b", 1)
    (unmuted,) = changed(roster, member("b", main(), screen))
    assert isinstance(unmuted, ScreenUnmuted)
    assert names(changed(roster, member("b", main()))) == ["stream-removed"]


def test_another_track_in_the_place_of_one_is_replaced() -> None:  # U34
    roster = roster_with(member("b", main(video=TrackInfo(track="front", width=640, height=360))))
    (event,) = changed(roster, member("b", main(video=TrackInfo(track="back", width=1280, height=720))))
    assert isinstance(event, StreamUpdated)
    assert (event.added, event.removed, event.replaced, event.video_spec) == ((), (), ("video",), (1280, 720))


tracks = st.one_of(
    st.none(),
    st.builds(TrackInfo, muted=st.booleans(), width=st.sampled_from([0, 640]), track=st.sampled_from(["", "other"])),
)
streams = st.lists(
    st.builds(StreamInfo, name=st.sampled_from(["main", "screen"]), audio=tracks, video=tracks),
    max_size=2,
    unique_by=lambda info: info.name,
)
members = st.builds(Member, user_id=st.sampled_from("bcd"), streams=streams.map(tuple))
steps = st.one_of(
    st.builds(MemberChanged, member=members, joined=st.booleans()),
    st.builds(MemberLeft, user_id=st.sampled_from("bcde"), reason=st.integers(-1, 12), role_change=st.booleans()),
    st.lists(members, unique_by=lambda one: one.user_id, max_size=3),
)


class Listener:
    """Believes nothing but the events, and trips over any that cannot be."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, set[str]]] = {}  # user -> stream -> kinds
        self.muted: set[tuple[str, str]] = set()

    def hear(self, event: Event) -> None:
        match event:
            case PeerJoined():
                assert event.user_id not in self.users
                self.users[event.user_id] = {}
            case PeerLeft():
                assert self.users.pop(event.user_id) == {}, "its streams went before it"
            case StreamAdded():
                assert event.stream.name not in self.users[event.stream.user_id]
                assert event.kinds
                self.users[event.stream.user_id][event.stream.name] = set(event.kinds)
            case StreamRemoved():
                del self.users[event.stream.user_id][event.stream.name]
                kinds = {"audio", "video"} if event.stream.name == "main" else {"screen"}
                self.muted -= {(event.stream.user_id, kind) for kind in kinds}
            case StreamUpdated():
                kinds = self.users[event.stream.user_id][event.stream.name]
                assert not kinds & set(event.added)
                assert kinds >= set(event.removed)
                assert event.added or event.removed or event.replaced or event.video_spec
                assert kinds >= set(event.replaced)
                kinds |= set(event.added)
                kinds -= set(event.removed)
            case AudioMuted() | VideoMuted() | ScreenMuted():
                kind = event.event_name.removesuffix("-muted")
                assert ("screen" if kind == "screen" else "main") in self.users[event.user_id]
                self.muted.add((event.user_id, kind))
            case AudioUnmuted() | VideoUnmuted() | ScreenUnmuted():
                kind = event.event_name.removesuffix("-unmuted")
                self.muted.discard((event.user_id, kind))
                assert kind in self.users[event.user_id]["screen" if kind == "screen" else "main"]


def named(info: StreamInfo) -> tuple[tuple[str, TrackInfo | None], ...]:
    return ("audio", info.audio), ("screen" if info.name == "screen" else "video", info.video)


@given(st.lists(steps, max_size=12))
def test_the_events_add_up_to_the_room(script: list[MemberChanged | MemberLeft | list[Member]]) -> None:
    truth: dict[str, Member] = {}
    roster, listener = Roster("lobby"), Listener()
    for step in script:
        if isinstance(step, MemberChanged):
            truth[step.member.user_id] = step.member
            events = roster.change(step)
        elif isinstance(step, MemberLeft):
            truth.pop(step.user_id, None)
            events = roster.leave(step)
        else:
            truth = {one.user_id: one for one in step}
            events = roster.resync(step)
        for event in events:
            listener.hear(event)
        assert listener.users == {
            user_id: {
                info.name: {kind for kind, track in named(info) if track is not None}
                for info in one.streams
                if info.audio or info.video
            }
            for user_id, one in truth.items()
        }
        assert {user_id: user.streams.keys() for user_id, user in roster.users.items()} == {
            user_id: held.keys() for user_id, held in listener.users.items()
        }
        for user_id, one in truth.items():
            for info in one.streams:
                for kind, track in named(info):
                    if (info.name == "main" or kind == "screen") and track is not None:
                        assert ((user_id, kind) in listener.muted) == track.muted
