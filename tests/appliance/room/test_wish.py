"""What of a wish can come, and what may rest."""

from __future__ import annotations

from appliance.room.signaling_room import StreamInfo, TrackInfo
from appliance.room.streams import RemoteStream
from appliance.room.wish import Wish

VOICE = TrackInfo(track="voice")


def camera(*, track: str = "camera", muted: bool = False) -> StreamInfo:
    return StreamInfo(name="main", audio=VOICE, video=TrackInfo(track=track, muted=muted))


def test_only_what_is_published_can_come() -> None:
    wish = Wish(RemoteStream("a", StreamInfo(name="main", audio=VOICE)), frozenset({"audio", "video"}), "high")
    assert wish.receivable() == {"audio"}
    wish.stream.info = camera()
    assert wish.receivable() == {"audio", "video"}
    wish.kinds = frozenset({"video"})
    assert wish.receivable() == {"video"}


def test_a_video_in_no_codec_of_ours_is_left_out_until_it_is_another_one() -> None:
    wish = Wish(RemoteStream("a", camera()), frozenset({"audio", "video"}), "high")
    wish.mark_unfit()
    assert wish.is_unfit
    assert wish.receivable() == {"audio"}
    wish.stream.info = camera(track="another camera")
    assert not wish.is_unfit
    assert wish.receivable() == {"audio", "video"}


def test_a_stream_without_a_video_has_none_that_is_unfit() -> None:
    wish = Wish(RemoteStream("a", StreamInfo(name="main", audio=VOICE)), frozenset({"audio"}), "high")
    wish.mark_unfit()
    assert not wish.is_unfit


def test_a_muted_kind_rests_and_a_video_of_which_no_layer_is_wanted() -> None:
    wish = Wish(RemoteStream("a", camera(muted=True)), frozenset({"audio", "video"}), "high")
    assert wish.rests("video")
    assert not wish.rests("audio")
    wish.stream.info = camera()
    assert not wish.rests("video")
    wish.layer = "none"
    assert wish.rests("video")
    assert not wish.rests("audio")
