"""Room tokens: what opens a room, what doesn't, and that nothing else than our errors comes out."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import jwt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from appliance.errors import TokenExpiredError, TokenInvalidError, TokenMissingError
from appliance.hub.tokens import Claims, TokenKeys, TokenSigner

SECRET = b"0123456789abcdef0123456789abcdef"
SIGNER = TokenSigner(SECRET)
NOW_S = 1_800_000_000.0
GOOD: dict[str, Any] = {"sub": "anna", "room": "attic", "role": "host", "name": "Anna", "exp": 1_800_000_060}


def signed(claims: Any, *, secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=64),
    st.from_regex(r"\A[A-Za-z0-9._~-]{1,64}\Z"),
    st.sampled_from(["host", "audience"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=256),
)
def test_what_is_signed_is_verified(user: str, room: str, role: Any, name: str) -> None:
    token = SIGNER.sign(user, room, role, name, 60, NOW_S)
    claims = SIGNER.verify(token, NOW_S + 59)
    assert claims == Claims(sub=user, room=room, role=role, name=name, exp=int(NOW_S) + 60, iat=int(NOW_S))


def test_it_expires_a_minute_after_its_end_for_clocks_differ() -> None:
    token = SIGNER.sign("anna", "attic", "host", "", 60, NOW_S)
    SIGNER.verify(token, NOW_S + 119.9)
    with pytest.raises(TokenExpiredError, match="60 s ago"):
        SIGNER.verify(token, NOW_S + 120)
    with pytest.raises(TokenExpiredError, match="100 s ago"):
        SIGNER.verify(token, NOW_S + 160)


def test_a_clock_that_was_set_back_still_takes_it() -> None:
    token = SIGNER.sign("anna", "attic", "host", "", 60, NOW_S)
    assert SIGNER.verify(token, NOW_S - 86_400).sub == "anna"


def test_none_at_all_is_missing() -> None:
    with pytest.raises(TokenMissingError):
        SIGNER.verify("", NOW_S)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_only_hs256_is_accepted(algorithm: str) -> None:
    long = SECRET * 2
    with pytest.raises(TokenInvalidError, match="alg value is not allowed"):
        TokenSigner(long).verify(signed(GOOD, secret=long, algorithm=algorithm), NOW_S)


def test_an_unsigned_token_is_refused() -> None:
    with pytest.raises(TokenInvalidError):
        SIGNER.verify(jwt.encode(GOOD, "", algorithm="none"), NOW_S)


def test_another_hubs_token_is_refused() -> None:
    with pytest.raises(TokenInvalidError, match="not signed by this hub"):
        SIGNER.verify(signed(GOOD, secret=SECRET[::-1]), NOW_S)


def test_changed_claims_are_refused() -> None:
    head, _, tail = signed(GOOD).split(".")
    body = base64.urlsafe_b64encode(json.dumps({**GOOD, "room": "cellar"}).encode()).rstrip(b"=").decode()
    with pytest.raises(TokenInvalidError, match="not signed"):
        SIGNER.verify(f"{head}.{body}.{tail}", NOW_S)


@pytest.mark.parametrize(
    "change",
    [
        {"sub": None},
        {"sub": 5},
        {"sub": "u" * 65},
        {"room": "two words"},
        {"room": ""},
        {"room": "attic\n"},
        {"role": "king"},
        {"name": ["Anna"]},
        {"exp": "tomorrow"},
        {"exp": None},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"nbf": 1_800_000_061},
        {"aud": "another service"},
    ],
)
def test_wrong_claims_are_refused(change: dict[str, Any]) -> None:
    claims = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(TokenInvalidError):
        SIGNER.verify(signed(claims), NOW_S)


def test_it_signs_nothing_that_it_would_not_accept() -> None:
    with pytest.raises(TokenInvalidError, match="room"):
        SIGNER.sign("anna", "two words", "host", "", 60, NOW_S)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        TokenSigner(b"short")


@given(st.one_of(st.text(), st.from_regex(r"\A[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\Z")))
def test_no_text_is_a_token_and_none_gets_through(text: str) -> None:
    with pytest.raises((TokenInvalidError, TokenMissingError)):
        SIGNER.verify(text, NOW_S)


@given(st.data())
def test_a_mutilated_token_is_no_token(data: st.DataObject) -> None:
    token = signed(GOOD)
    place = data.draw(st.integers(0, len(token) - 2))  # not the last: two spellings of its spare bits are one signature
    instead = data.draw(st.sampled_from("ABCxyz019-_.{}\x00é"))
    assume(token[place] != instead)
    with pytest.raises(TokenInvalidError):
        SIGNER.verify(token[:place] + instead + token[place + 1 :], NOW_S)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional={key: JSON for key in (*GOOD, "iat", "nbf", "aud", "iss", "jti")}))
def test_any_signed_claims_are_taken_as_they_are_or_refused(claims: dict[str, Any]) -> None:
    token = jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, algorithm="HS256")
    with suppress(TokenInvalidError, TokenExpiredError):
        taken = SIGNER.verify(token, NOW_S)
        assert {taken.sub, taken.room} == {claims["sub"], claims["room"]}
        assert taken.exp > NOW_S


@pytest.mark.parametrize("payload", [b"[]", b'"text"', b"5", b"[" * 2000, b"\xff", b'{"exp":1e999}'])
def test_a_signed_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(TokenInvalidError):
        SIGNER.verify(jwt.api_jws.encode(payload, SECRET, algorithm="HS256"), NOW_S)


def test_a_header_without_a_bottom_is_refused() -> None:
    header = base64.urlsafe_b64encode(b"[" * 2500).rstrip(b"=").decode()
    with pytest.raises(TokenInvalidError):
        SIGNER.verify(f"{header}.e30.AAAA", NOW_S)


# --- two secrets

NEXT = b"fedcba9876543210fedcba9876543210"


def test_after_a_rotation_tokens_of_both_secrets_are_good_until_the_first_is_over() -> None:
    signer = TokenSigner(SECRET)
    old = signer.sign("anna", "attic", "host", "", 600, NOW_S)
    signer.keys = TokenKeys(NEXT, SECRET, NOW_S + 60)
    new = signer.sign("ben", "attic", "host", "", 600, NOW_S)
    assert TokenSigner(NEXT).verify(new, NOW_S).sub == "ben"
    for now_s in (NOW_S, NOW_S + 59):
        assert signer.verify(old, now_s).sub == "anna"
    assert signer.verify(new, NOW_S + 61).sub == "ben"
    with pytest.raises(TokenInvalidError, match="not signed"):
        signer.verify(old, NOW_S + 60)
    signer.keys = TokenKeys(NEXT)
    with pytest.raises(TokenInvalidError, match="not signed"):
        signer.verify(old, NOW_S)


def test_the_previous_secret_opens_no_more_than_the_present_one() -> None:
    signer = TokenSigner(TokenKeys(NEXT, SECRET, NOW_S + 60))
    for wrong in (signed(GOOD | {"exp": 1}), signed(GOOD, secret=b"x" * 32), signed(GOOD | {"room": ""})):
        with pytest.raises((TokenInvalidError, TokenExpiredError)):
            signer.verify(wrong, NOW_S)


def test_a_short_previous_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        TokenKeys(SECRET, b"short", NOW_S)
