from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import redact
from appliance.hub.tokens import TokenSigner
from provisioning.api_tokens import new_token


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_hidden", set())
    monkeypatch.setattr(redact, "_hidden_pattern", None)


def test_the_tokens_of_this_house() -> None:
    room_token = TokenSigner(b"0" * 32).sign("anna", "lobby", "host", "Anna", 60, 0)
    api_token = new_token()
    assert redact.redact(f"refused: {room_token}, {api_token}.") == "refused: ***, ***."


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("{'Cookie': 'sid=12345; theme=dark'}", "{'Cookie': '***'}"),
        ('psk = "correct horse, battery"', 'psk = "***"'),
        ('{"password": "with \\"quotes\\" in it", "n": 1}', '{"password": "***", "n": 1}'),
        ("WifiJoin(ssid='home', psk='it is mine')", "WifiJoin(ssid='home', psk='***')"),
        ("GET /join/lobby?token=xyzzy&name=a", "GET /join/lobby?token=***&name=a"),
        ("turn_secret=abc) failed", "turn_secret=***) failed"),
        ("mqtt://unit:geheim@broker:1883/x", "mqtt://unit:***@broker:1883/x"),
        ("a=ice-pwd:YH75Fviy6338Vbrhrlp8Yh", "a=ice-pwd:***"),
        ("x -----BEGIN PRIVATE KEY-----\nMIIE\nabc\n-----END PRIVATE KEY----- y", "x *** y"),
        ("x -----BEGIN EC PRIVATE KEY-----\nMIIE", "x ***"),
    ],
)
def test_masked_by_its_looks(text: str, redacted: str) -> None:
    assert redact.redact(text) == redacted
    assert redact.redact(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "this hub needs a room token",
        "the token expired 3 s ago",
        "hub.token_ttl = 60 is too small",
        "leg 7f to anna ended: closed",
        "cannot reach wss://10.77.0.1:8080/hub/ws: refused",
        "CONNECTED -> RECONNECTING (LOST)",
        "api-tokens: Permission denied",
    ],
)
def test_innocent_words_stay(text: str) -> None:
    assert redact.redact(text) == text


def test_known_secrets_wherever_they_stand() -> None:
    redact.hide("482915", "482915-longer", "short")
    assert redact.redact("code 482915-longer or x482915y, short") == "code *** or x***y, short"


@given(st.text(min_size=redact.MIN_SECRET_CHARS), st.text(), st.text())
def test_whatever_is_around_a_known_secret(secret: str, before: str, after: str) -> None:
    redact.hide(secret)
    assert secret not in redact.redact(before + secret + after) or secret in redact.MASK * 9


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"]), min_size=8))
def test_passwords_in_json(password: str) -> None:
    said = redact.redact(json.dumps({"password": password, "ssid": "home"}))
    assert json.loads(said) == {"password": redact.MASK, "ssid": "home"}
