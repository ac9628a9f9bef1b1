"""What a relay task may ask for, and where its pictures go."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidArgumentError
from appliance.hub.relay_layout import Rect, check_task, data_of, even, place
from appliance.hub.relay_target import Target, Targets, parse_target
from appliance.room.signaling_tasks import Adaption, Canvas, LayoutImage, LayoutUser, RtmpTask, TaskLayout

SIDE = st.integers(0, 1920)
CANVAS = Canvas(width=640, height=360)


def user(name: str) -> LayoutUser:
    return LayoutUser(user_id=name, x=0, y=0, width=320, height=180)


def task(**fields: object) -> RtmpTask:
    whole = {"task_id": "a", "layout": TaskLayout(canvas=CANVAS), "stream_url": "rtmp://a/b/c"} | fields
    return RtmpTask(**whole)  # type: ignore[arg-type]


@given(
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    x=SIDE,
    y=SIDE,
    box_width=SIDE,
    box_height=SIDE,
    adaption=st.sampled_from(["fit", "crop"]),
)
def test_a_picture_stays_in_its_box_and_in_its_shape(
    width: int, height: int, x: int, y: int, box_width: int, box_height: int, adaption: Adaption
) -> None:
    box = Rect(even(x), even(y), even(box_width), even(box_height))
    placed = place(width, height, box, adaption)
    if placed is None:
        assert min(even(width), even(height), box.width, box.height) < 2
        return
    source, target = placed.source, placed.target
    assert all(side % 2 == 0 for rect in (source, target) for side in (rect.x, rect.y, rect.width, rect.height))
    assert min(source.width, source.height, target.width, target.height) >= 2
    assert source.x >= 0 <= source.y
    assert source.x + source.width <= width
    assert source.y + source.height <= height
    assert box.x <= target.x
    assert box.y <= target.y
    assert target.x + target.width <= box.x + box.width
    assert target.y + target.height <= box.y + box.height
    if adaption == "crop":
        assert target == box
    else:
        assert (source.width, source.height) == (even(width), even(height))
        assert target.width >= box.width - 2 or target.height >= box.height - 2
    if min(source.width, source.height, target.width, target.height) > 200:
        assert source.width * target.height / (source.height * target.width) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (task(stream_url=""), "stream_url"),
        (task(layout=TaskLayout(canvas=Canvas(width=15, height=720))), "canvas"),
        (task(layout=TaskLayout(canvas=Canvas(width=640, height=0))), "canvas"),
        (task(layout=TaskLayout(canvas=CANVAS, users=(user("x"), user("y"), user("x")))), r"users\[2\]"),
        *(
            (
                task(
                    layout=TaskLayout(canvas=CANVAS, images=(LayoutImage(url=url, x=0, y=0, width=64, height=64),)),
                ),
                r"images\[0\]",
            )
            for url in (
                "http://192.168.1.1/a.png",
                "file:///etc/passwd",
                "hub:../secret.png",
                "hub:.hidden",
                "hub:a/b.png",
                "data:image/svg+xml;base64,AAAA",
                "data:image/png;base64,%%%",
            )
        ),
    ],
)
def test_what_cannot_be_done_is_named(wrong: RtmpTask, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        check_task(wrong)


def test_good_tasks_pass() -> None:
    check_task(task())
    check_task(task(stream_url="", record=True))
    check_task(task(layout=TaskLayout(canvas=Canvas(width=1, height=0))))
    image = LayoutImage(url="data:image/png;base64,AAAA", x=0, y=0, width=8, height=8)
    check_task(task(layout=TaskLayout(canvas=CANVAS, users=(user("x"),), images=(image,))))
    check_task(task(layout=TaskLayout(canvas=CANVAS, images=(msgspec.structs.replace(image, url="hub:logo.png"),))))
    assert data_of(image.url) == b"\x00\x00\x00"


# --- where to


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("rtmp://a.example/live/key", Target(False, "a.example", 1935, "live", "key")),
        ("rtmps://a.example/app/inner/key?x=1&y=2", Target(True, "a.example", 443, "app/inner", "key?x=1&y=2")),
        ("rtmp://[::1]:99/a/b", Target(False, "::1", 99, "a", "b")),
    ],
)
def test_urls_of_rtmp(url: str, target: Target) -> None:
    assert parse_target(url) == target
    assert url.startswith(target.tc_url)
    assert target.key not in target.shown.removeprefix(target.tc_url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://a/b/c",
        "rtmp://",
        "rtmp:///a/b",
        "rtmp://a",
        "rtmp://a/b",
        "rtmp://a/b/",
        "rtmp://a:0/b/c",
        "rtmp://a:99999/b/c",
        "rtmp://user:secret@a/b/c",
        "rtmp://a/b/c d",
        "rtmp://a/b/c\r\nd",
        "file:///etc/passwd",
        "rtmp://[::1/b/c",
    ],
)
def test_other_urls_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="stream_url") as caught:
        parse_target(url)
    assert "secret" not in caught.value.message


@given(url=st.text(max_size=60) | st.text(max_size=40).map("rtmp://{}".format))
def test_any_text_is_a_target_or_refused(url: str) -> None:
    try:
        target = parse_target(url)
    except InvalidArgumentError:
        return
    assert target.host
    assert target.app
    assert target.key
    assert 0 < target.port < 65536


INSIDE = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.1.1",
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "100.64.0.1",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_without_the_owners_word_nothing_inside_is_reached(address: str) -> None:
    targets = Targets(())
    host = f"[{address}]" if ":" in address else address
    assert targets.allowed(parse_target("rtmp://innocent.example/a/b"), [address, "8.8.8.8"]) == ["8.8.8.8"]
    with pytest.raises(InvalidArgumentError, match="owner"):
        targets.check(parse_target(f"rtmp://{host}/a/b"))


def test_the_owners_list_opens_and_closes() -> None:
    named = Targets(("Live.example", "192.168.7.0/24", "127.0.0.1"))
    named.check(parse_target("rtmp://live.example/a/b"))
    assert named.allowed(parse_target("rtmp://LIVE.example/a/b"), ["10.0.0.1"]) == ["10.0.0.1"]
    assert named.allowed(parse_target("rtmp://x/a/b"), ["192.168.7.9", "192.168.8.9", "8.8.8.8"]) == ["192.168.7.9"]
    assert named.allowed(parse_target("rtmp://127.0.0.1/a/b"), ["127.0.0.1"]) == ["127.0.0.1"]
    only = Targets(("live.example",))
    only.check(parse_target("rtmp://live.example/a/b"))
    with pytest.raises(InvalidArgumentError, match="not in the list"):
        only.check(parse_target("rtmp://other.example/a/b"))
    assert only.allowed(parse_target("rtmp://other.example/a/b"), ["8.8.8.8"]) == []
    everything = Targets(("*",))
    everything.check(parse_target("rtmp://127.0.0.1/a/b"))
    assert everything.allowed(parse_target("rtmp://x/a/b"), INSIDE) == INSIDE
