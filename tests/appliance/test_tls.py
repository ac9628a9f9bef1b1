"""The certificate of a unit, and another unit that trusts it and no other."""

from __future__ import annotations

import asyncio
import datetime
import re
import ssl
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from appliance import tls
from appliance.app import run_hub
from appliance.config import Config, parse
from appliance.errors import ConfigError, RtcError
from appliance.hub.tokens import TokenSigner, load_or_create_secret
from appliance.room.client import RoomClient
from appliance.room.options import RoomOptions

NAMES = frozenset({"porch"})
WRONG = ":".join(["AB"] * 32)


@asynccontextmanager
async def hub(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[tuple[str, str]]:
    """A hub with a certificate of its own: its wss:// address and the fingerprint that it says at start."""
    config = parse('[web]\nhost = "127.0.0.1"\nport = 0\n', "t")
    task = asyncio.create_task(run_hub(config, state_dir=state_dir), name="hub under test")
    try:
        text = ""
        async with asyncio.timeout(10):
            while not (said := re.search(r"hub (wss://\S+)\n +certificate +SHA-256 (\S+)\n", text)):
                assert not task.done()
                await asyncio.sleep(0.02)
                text += capsys.readouterr().out
        yield said[1], said[2]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_unit_joins_the_hub_whose_fingerprint_it_was_told_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with hub(tmp_path, capsys) as (url, fingerprint):
        assert fingerprint == tls.fingerprint(tmp_path)
        token = TokenSigner(load_or_create_secret(tmp_path / "token-secret")).sign(
            "porch", "lobby", "host", "", 60, time.time()
        )
        for trusted, words in (
            (fingerprint, ""),
            (fingerprint.lower(), ""),
            (WRONG, "certificate"),
            ("", "certificate"),
        ):
            client = RoomClient(url, options=RoomOptions(ssl=tls.pinned(trusted)))
            try:
                if words:
                    with pytest.raises(RtcError, match=words):
                        await client.join("lobby", token=token)
                else:
                    await client.join("lobby", token=token)
                    assert client.user_id == "porch"
            finally:
                await client.destroy()


def test_the_certificate_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    assert tls.fingerprint(tmp_path) == ""
    server, client = tls.self_signed(tmp_path, NAMES)
    first = tls.fingerprint(tmp_path)
    assert re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}", first)
    tls.self_signed(tmp_path, NAMES)
    assert tls.fingerprint(tmp_path) == first
    assert stat.S_IMODE((tmp_path / tls.FILE_NAME).stat().st_mode) == 0o600
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2
    assert [tls["subject"] for tls in client.get_ca_certs()] == [((("commonName", "porch"),),)]


def test_a_damaged_certificate_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / tls.FILE_NAME).write_text("no certificate")
    assert tls.fingerprint(tmp_path) == ""
    with pytest.raises(ConfigError, match=r"tls\.pem: .*; delete it and a new one is made"):
        tls.self_signed(tmp_path, NAMES)


@pytest.mark.parametrize("value", ["AB", WRONG[:-1], WRONG + ":AB", WRONG.replace("AB", "XY"), WRONG + "\n"])
def test_what_is_no_fingerprint_is_refused(value: str) -> None:
    text = "[room]\nfingerprint = " + '"' + value.replace("\n", "\\n") + '"\n'
    with pytest.raises(ConfigError, match=r"t:2: room\.fingerprint = .*SHA-256 fingerprint"):
        parse(text, "t")


def test_no_fingerprint_pins_nothing() -> None:
    assert tls.pinned(Config().room.fingerprint) is None


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """In memory. Raises ssl.SSLError when the client does not trust the server."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(to_server, to_client, server_side=True), client.wrap_bio(to_client, to_server)]
    waiting = ends
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)


@pytest.mark.parametrize("days", [-1, 3652])
def test_the_unit_trusts_its_own_certificate_in_any_year(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(tls, "_LIFE", datetime.timedelta(days=days))
    server, client = tls.self_signed(tmp_path, NAMES)
    handshake(server, client)
    (tmp_path / "other").mkdir()
    other, _ = tls.self_signed(tmp_path / "other", NAMES)
    with pytest.raises(ssl.SSLError, match="self-signed"):
        handshake(other, client)


def test_a_clock_that_starts_in_1970_is_no_reason_to_end_in_1980(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Past(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Past:
            return cls(1970, 1, 1, tzinfo=tz)

    monkeypatch.setattr(tls.datetime, "datetime", Past)
    tls.self_signed(tmp_path, NAMES)
    monkeypatch.undo()
    made = x509.load_pem_x509_certificate((tmp_path / tls.FILE_NAME).read_bytes())
    assert made.not_valid_before_utc < datetime.datetime.now(datetime.UTC) < made.not_valid_after_utc
