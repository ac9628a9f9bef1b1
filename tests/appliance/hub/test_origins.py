from __future__ import annotations

import pytest

from appliance.hub.origins import is_loopback_host


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8080"])
def test_this_machine(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "[",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "[::1].evil",
        "::1",
        "localhost:x",
    ],
)
def test_another_one(host: str) -> None:
    assert not is_loopback_host(host)
