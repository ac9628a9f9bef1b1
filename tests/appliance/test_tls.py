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

from appliance import certificate, tls
from appliance.config import Config, parse
from appliance.config_sections import Web
from appliance.errors import ConfigError, RtcError
from appliance.hub.token_secret import load_or_create_secret
from appliance.hub.tokens import TokenSigner
from appliance.lone_hub import run_hub
from appliance.room.client import RoomClient
from appliance.room.options import RoomOptions
from tests.appliance.unit import until

WRONG = ":".join(["AB"] * 32)


@asynccontextmanager
async def hub(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[tuple[str, str]]:
    """A hub with a certificate of its own: its wss:// address and the fingerprint that it says at start."""
    config = parse('[web]\nhost = "127.0.0.1"\nport = 0\n', "t")
    task = asyncio.create_task(run_hub(config, state_dir=state_dir), name="hub under test")
    try:
        text = ""
        async with asyncio.timeout(10):
            while not (said := re.search(r"hub (wss://\S+)\n +fingerprint +SHA-256 (\S+)\n", text)):
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
    made = tls.of_unit(tmp_path, Web())
    assert re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}", made.fingerprint)
    assert tls.fingerprint(tmp_path) == made.fingerprint
    assert tls.of_unit(tmp_path, Web()).fingerprint == made.fingerprint
    assert stat.S_IMODE((tmp_path / tls.FILE_NAME).stat().st_mode) == 0o600
    assert made.server.minimum_version == ssl.TLSVersion.TLSv1_2
    assert not made.look()  # nothing changed


def test_a_new_name_gets_a_new_certificate_and_keeps_the_pinned_key(tmp_path: Path) -> None:
    """While the unit runs: its clients that pin the key, and the unit as its own guest, go on trusting it."""
    made = tls.of_unit(tmp_path, Web())
    before = (tmp_path / tls.FILE_NAME).read_bytes()
    made.web = Web(host_names=("door.example",))
    assert made.look()
    after = (tmp_path / tls.FILE_NAME).read_bytes()
    assert x509.load_pem_x509_certificate(before) != x509.load_pem_x509_certificate(after)
    assert tls.fingerprint_of(before) == tls.fingerprint_of(after) == made.fingerprint
    assert shown(made.server) == x509.load_pem_x509_certificate(after)
    handshake(made.server, made.client)


def test_the_owners_certificate_is_used_and_its_renewal_taken_over(tmp_path: Path) -> None:
    certificate.keep(tmp_path / "one.pem", ["door.example"], [])
    certificate.keep(tmp_path / "two.pem", ["door.example"], [])
    file = tmp_path / "door.pem"
    file.write_bytes((tmp_path / "one.pem").read_bytes())
    made = tls.of_unit(tmp_path / "state", Web(tls="own", certificate=str(file), key=str(file)))
    assert not (tmp_path / "state").exists()
    handshake(made.server, made.client)
    first = made.fingerprint
    file.write_text("half a certif")
    with pytest.raises((OSError, ValueError)):
        made.look()
    handshake(made.server, made.client)  # the old one stays
    (tmp_path / "two.pem").replace(file)
    assert made.look()
    assert made.fingerprint not in ("", first)
    assert shown(made.server) == x509.load_pem_x509_certificate(file.read_bytes())
    handshake(made.server, made.client)


@pytest.mark.parametrize("files", [("/no/such/file", "/no/such/file"), ("/dev/null", "/dev/null")])
def test_an_owners_certificate_that_cannot_be_used_is_named(tmp_path: Path, files: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"web\.certificate, web\.key: .*PEM"):
        tls.of_unit(tmp_path, Web(tls="own", certificate=files[0], key=files[1]))


def test_an_owners_certificate_needs_both_files() -> None:
    with pytest.raises(ConfigError, match=r't:2: web\.tls = "own"; it needs web\.certificate and web\.key'):
        parse('[web]\ntls = "own"\ncertificate = "/a.pem"\n', "t")


async def test_the_certificate_is_looked_at_while_the_unit_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "LOOK_S", 0.01)
    made = tls.of_unit(tmp_path, Web())
    task = asyncio.create_task(made.keep(), name="certificate under test")
    (tmp_path / tls.FILE_NAME).write_text("damaged")
    await until(lambda: "stays as it was" in caplog.text)
    (tmp_path / tls.FILE_NAME).unlink()
    before = made.fingerprint
    await until(lambda: made.fingerprint != before)  # made anew
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_damaged_certificate_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / tls.FILE_NAME).write_text("no certificate")
    assert tls.fingerprint(tmp_path) == ""
    with pytest.raises(ConfigError, match=r"tls\.pem: .*; delete it and a new one is made"):
        tls.of_unit(tmp_path, Web())


@pytest.mark.parametrize("value", ["AB", WRONG[:-1], WRONG + ":AB", WRONG.replace("AB", "XY"), WRONG + "\n"])
def test_what_is_no_fingerprint_is_refused(value: str) -> None:
    text = "[room]\nfingerprint = " + '"' + value.replace("\n", "\\n") + '"\n'
    with pytest.raises(ConfigError, match=r"t:2: room\.fingerprint = .*SHA-256 fingerprint"):
        parse(text, "t")


def test_no_fingerprint_pins_nothing() -> None:
    assert tls.pinned(Config().room.fingerprint) is None


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """In memory; gives the client's end. Raises ssl.SSLError when the client does not trust the server."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(to_server, to_client, server_side=True), client.wrap_bio(to_client, to_server)]
    waiting = list(ends)
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    return ends[1]


def shown(server: ssl.SSLContext) -> x509.Certificate:
    """What a client is shown."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    der = handshake(server, anybody).getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


@pytest.mark.parametrize("days", [-1, 3652])
def test_the_unit_trusts_its_own_certificate_in_any_year(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(certificate, "LIFE", datetime.timedelta(days=days))
    made, other = tls.of_unit(tmp_path, Web()), tls.of_unit(tmp_path / "other", Web())
    handshake(made.server, made.client)
    with pytest.raises(ssl.SSLError, match=r"self-signed|signature"):
        handshake(other.server, made.client)
