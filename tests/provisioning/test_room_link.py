"""Invitations and addresses as people paste them."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.room_link import RoomLink, RoomLinkError, parse_room_link, room_of

PIN = ":".join(["AB"] * 32)


def token(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2lnbmF0dXJl"


T = token(sub="", room="attic")


@pytest.mark.parametrize(
    ("text", "beside", "link"),
    [
        (
            f"https://unit.local:8080/join/lobby#token={T}",
            {},
            RoomLink(url="wss://unit.local:8080", room="lobby", token=T),
        ),
        (
            f"  http://10.0.0.7:8080/join/lobby/#token={T}\n",
            {},
            RoomLink(url="ws://10.0.0.7:8080", room="lobby", token=T),
        ),
        (
            f"https://[fd00::7]:8080/join/a%7Eb#token={T}&fingerprint={PIN.lower()}",
            {},
            RoomLink(url="wss://[fd00::7]:8080", room="a~b", token=T, fingerprint=PIN),
        ),
        ("https://hub.example/join/lobby", {"token": T}, RoomLink(url="wss://hub.example", room="lobby", token=T)),
        (
            "wss://hub.example:9000",
            {"room": "r", "token": T},
            RoomLink(url="wss://hub.example:9000", room="r", token=T),
        ),
        ("ws://hub.example/hub/ws", {"token": T}, RoomLink(url="ws://hub.example", room="attic", token=T)),
        (
            "wss://hub.example:9000",
            {"token": f"https://hub.example:9000/join/attic#token={T}"},
            RoomLink(url="wss://hub.example:9000", room="attic", token=T),
        ),
        ("kitchen.local", {"room": "r"}, RoomLink(url="wss://kitchen.local:8080", room="r")),
        ("kitchen.local:81/", {"room": "r"}, RoomLink(url="wss://kitchen.local:81", room="r")),
        ("kitchen.local/join/r", {}, RoomLink(url="wss://kitchen.local:8080", room="r")),
        ("HTTPS://Kitchen.local/join/r", {"room": "typed"}, RoomLink(url="wss://Kitchen.local", room="r")),
    ],
)
def test_what_people_paste(text: str, beside: dict[str, str], link: RoomLink) -> None:
    assert parse_room_link(text, **beside) == link


@pytest.mark.parametrize(
    ("text", "beside", "code", "field"),
    [
        ("", {}, "no-address", "address"),
        ("   ", {"room": "r"}, "no-address", "address"),
        (T, {}, "only-a-token", "address"),
        ("hub.example", {}, "no-room", "room"),
        ("hub.example", {"room": "a b"}, "bad-room", "room"),
        ("https://hub.example/join/a%2Fb", {}, "bad-room", "room"),
        ("hub.example", {"room": "r", "token": "secret"}, "bad-token", "token"),
        (f"https://hub.example/join/r#token={T}&fingerprint=AB:CD", {}, "bad-fingerprint", "address"),
        (f"https://hub.example/join/r#token={T}&key=%00", {}, "bad-key", "address"),
        ("ftp://hub.example/join/r", {}, "not-an-address", "address"),
        ("javascript://x/join/r", {}, "not-an-address", "address"),
        ("https://hub.example/other/r", {}, "not-an-address", "address"),
        ("https://user:pass@hub.example/join/r", {}, "not-an-address", "address"),
        ("https://hub.example:99999/join/r", {}, "not-an-address", "address"),
        ("https://hub.example:0/join/r", {}, "not-an-address", "address"),
        ("two words", {"room": "r"}, "not-an-address", "address"),
        ("x" * 9000, {"room": "r"}, "not-an-address", "address"),
    ],
)
def test_what_nobody_can_go_to(text: str, beside: dict[str, str], code: str, field: str) -> None:
    with pytest.raises(RoomLinkError) as raised:
        parse_room_link(text, **beside)
    assert (raised.value.code, raised.value.field) == (code, field)


def test_a_token_says_its_room() -> None:
    assert room_of(T) == "attic"
    assert room_of(token(room=7)) == ""
    assert room_of(token(room="a b")) == ""
    assert room_of("a.b.c") == ""
    assert room_of("") == ""


@given(
    st.text(max_size=200) | st.from_regex(r"\A(https?|wss?)://[^/]{0,20}(/join/.{0,20})?(#.{0,40})?\Z"),
    st.text(max_size=70),
    st.text(max_size=70),
)
def test_any_text_is_a_link_for_the_configuration_or_an_error(text: str, room: str, spoken: str) -> None:
    try:
        link = parse_room_link(text, room=room, token=spoken)
    except RoomLinkError:
        return
    assert re.fullmatch(r"wss?://(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", link.url)
    assert re.fullmatch(r"[A-Za-z0-9._~-]{1,64}", link.room)
    assert re.fullmatch(r"[!-~]*", link.token)
