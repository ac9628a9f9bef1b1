"""SSIDs as text and back; what may be asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provisioning.network import MAX_SSID_BYTES, NetworkError, StaticAddress, WifiJoin
from provisioning.network_check import check_join, check_static, ssid_bytes, ssid_text


@given(st.binary(min_size=1, max_size=MAX_SSID_BYTES) | st.text(min_size=1, max_size=8).map(str.encode))
@example(b"\\x41")
@example(b"\\")
@example(b"\xff\x00")
@example("日本".encode())
def test_ssids_come_back_as_the_bytes_they_were(ssid: bytes) -> None:
    text = ssid_text(ssid)
    assert text.isprintable()
    assert ssid_bytes(text) == ssid


@pytest.mark.parametrize(
    ("ssid", "text"),
    [
        (b"Home", "Home"),
        ("Café".encode(), "Café"),
        (b"a\\b", "a\\b"),
        (b"\xff\x00 x", "\\xff\\x00 x"),
        (b"\\x41", "\\x5cx41"),
        (b"two\nlines", "two\\x0alines"),
    ],
)
def test_ssids_look_like_what_people_know(ssid: bytes, text: str) -> None:
    assert ssid_text(ssid) == text


@given(st.text(max_size=200))
def test_any_text_is_an_ssid_or_refused(text: str) -> None:
    with suppress(NetworkError):
        assert 1 <= len(ssid_bytes(text)) <= MAX_SSID_BYTES


@pytest.mark.parametrize("password", ["", "8 or mor", "x" * 63, "0123456789abcdef" * 4, "пароль12"])
def test_passwords(password: str) -> None:
    check_join(WifiJoin(ssid="Home", password=password))


@pytest.mark.parametrize("password", ["short", "x" * 64, "x" * 65, "eight\0chars", "eight\nchars"])
def test_no_passwords(password: str) -> None:
    with pytest.raises(NetworkError) as caught:
        check_join(WifiJoin(ssid="Home", password=password))
    assert (caught.value.code, caught.value.field) == ("invalid", "password")
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"address": "192.168.1.20/24", "gateway": "192.168.1.1", "dns": ("9.9.9.9", "2620:fe::fe")},
        {"address": "10.0.0.1/31", "gateway": "10.0.0.0"},
        {"address": "2001:db8::5/64", "gateway": "fe80::1"},
    ],
)
def test_static_addresses(values: dict[str, Any]) -> None:
    check_join(WifiJoin(ssid="Home", static=StaticAddress(**values)))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"address": "192.168.1.20"}, "static.address"),
        ({"address": "192.168.1.0/24"}, "static.address"),
        ({"address": "192.168.1.255/24"}, "static.address"),
        ({"address": "127.0.0.1/8"}, "static.address"),
        ({"address": "224.0.0.1/4"}, "static.address"),
        ({"address": "0.0.0.0/0"}, "static.address"),
        ({"address": "here/24"}, "static.address"),
        ({"address": "192.168.1.20/24", "gateway": "192.168.2.1"}, "static.gateway"),
        ({"address": "192.168.1.20/24", "gateway": "192.168.1.20"}, "static.gateway"),
        ({"address": "192.168.1.20/24", "gateway": "fe80::1"}, "static.gateway"),
        ({"address": "192.168.1.20/24", "gateway": "router"}, "static.gateway"),
        ({"address": "192.168.1.20/24", "dns": ("nine",)}, "static.dns"),
    ],
)
def test_no_static_addresses(values: dict[str, Any], field: str) -> None:
    with pytest.raises(NetworkError) as caught:
        check_static(StaticAddress(**values))
    assert (caught.value.code, caught.value.field) == ("invalid", field)


@given(st.text(max_size=64), st.text(max_size=64), st.lists(st.text(max_size=64), max_size=4))
def test_any_text_is_an_address_or_refused(address: str, gateway: str, dns: list[str]) -> None:
    with suppress(NetworkError):
        check_static(StaticAddress(address=address, gateway=gateway, dns=tuple(dns)))
