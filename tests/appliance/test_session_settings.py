"""What the configuration says of the session."""

from __future__ import annotations

import jwt

from appliance.config import parse
from appliance.session_settings import SessionSettings, session_settings
from tests.appliance.unit import SIGNER


def settings(text: str) -> SessionSettings:
    return session_settings(parse(text, "t"), SIGNER, "ws://127.0.0.1:1/hub/ws", None)


def test_in_its_own_hub_a_unit_goes_by_its_name_and_mints_a_token_that_moderates_nothing() -> None:
    own = settings('[device]\nname = "Front Door, 2nd"\n[room]\nroom = "hall"\n')
    assert (own.url, own.room) == ("ws://127.0.0.1:1/hub/ws", "hall")
    assert (own.user_id, own.user_name) == ("front-door-2nd", "Front Door, 2nd")
    assert callable(own.token)
    token = own.token()
    assert isinstance(token, str)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert "front-door-2nd" in claims.values()
    assert not claims.get("moderator")


def test_a_name_without_a_letter_is_an_appliance() -> None:
    assert settings('[device]\nname = "***"\n').user_id == "appliance"


def test_elsewhere_the_hub_names_it_unless_the_settings_do() -> None:
    other = settings('[room]\nurl = "wss://hub.example/hub/ws"\ntoken = "given"\n')
    assert (other.url, other.user_id, other.token) == ("wss://hub.example/hub/ws", "", "given")
    assert settings('[room]\nurl = "wss://hub.example/hub/ws"\nuser = "anna"\n').user_id == "anna"


def test_a_camera_on_its_side_sends_upright_pictures() -> None:
    video = settings("[video]\nwidth = 640\nheight = 360\nrotation = 90\n").uplink.video
    assert (video.width, video.height) == (360, 640)
