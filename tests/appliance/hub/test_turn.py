from __future__ import annotations

from appliance.hub.turn import ice_servers
from appliance.room.signaling_room import IceServer

STUN = ("stun:stun.example:3478",)
TURN = ("turn:turn.example:3478?transport=udp", "turns:turn.example:5349")
EXPECTED = "p0ZOXKOEdQVbszgPecQnAkpKavY="


def test_a_lan_gets_none() -> None:
    assert ice_servers((), (), "", "anna", 86_400, 1_800_000_000) == ()


def test_turn_credentials_are_those_of_coturns_rest_api() -> None:
    stun, turn = ice_servers(STUN, TURN, "north", "anna", 86_400.0, 1_800_000_000.7)
    assert stun == IceServer(urls=STUN)
    # printf %s 1800086400:anna | openssl dgst -sha1 -hmac north -binary | base64
    assert turn == IceServer(urls=TURN, username="1800086400:anna", credential=EXPECTED)


def test_every_user_has_its_own_credential() -> None:
    (anna,), (ben,) = (ice_servers((), TURN, "north", user_id, 60, 0) for user_id in ("anna", "ben"))
    assert anna.credential != ben.credential


def test_without_a_secret_there_is_no_turn() -> None:
    assert ice_servers(STUN, TURN, "", "anna", 60, 0) == (IceServer(urls=STUN),)
