"""The certificate of the unit's own making."""

from __future__ import annotations

import datetime
import stat
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from appliance import certificate
from appliance.certificate import MAX_REMEMBERED, addresses_now, keep, lasting_ipv6

HOME, AWAY = IPv4Address("192.168.1.4"), IPv4Address("10.42.0.1")


def called(file: Path) -> tuple[list[str], list[str]]:
    made = x509.load_pem_x509_certificate(file.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName), [str(one) for one in names.get_values_for_type(x509.IPAddress)]


def key(file: Path) -> bytes:
    made = x509.load_pem_x509_certificate(file.read_bytes()).public_key()
    return made.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_it_says_what_the_unit_is_called(tmp_path: Path) -> None:
    file = tmp_path / "new" / "tls.pem"
    assert keep(file, {"porch", "porch.local"}, {HOME, IPv6Address("::1")})
    assert called(file) == (["porch", "porch.local"], ["192.168.1.4", "::1"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = x509.load_pem_x509_certificate(file.read_bytes())
    assert made.not_valid_before_utc < datetime.datetime.now(datetime.UTC) < made.not_valid_after_utc
    assert not keep(file, {"porch"}, {HOME})  # all of it is there


def test_a_missing_name_or_address_is_added_and_the_key_stays(tmp_path: Path) -> None:
    file = tmp_path / "tls.pem"
    keep(file, ["porch"], [HOME])
    first = key(file)
    assert keep(file, ["porch"], [AWAY])
    assert called(file) == (["porch"], ["192.168.1.4", "10.42.0.1"])
    assert keep(file, ["door"], [AWAY])
    assert not keep(file, ["porch"], [HOME])  # to and fro: browsers know this one
    assert key(file) == first


def test_what_it_was_called_is_forgotten_in_the_end(tmp_path: Path) -> None:
    file = tmp_path / "tls.pem"
    for n in range(MAX_REMEMBERED + 5):
        keep(file, ["porch"], [IPv4Address(f"10.0.0.{n}")])
    names, addresses = called(file)
    assert len(names) + len(addresses) == MAX_REMEMBERED
    assert names == ["porch"]
    assert addresses[-1] == f"10.0.0.{MAX_REMEMBERED + 4}"


def test_it_is_issued_anew_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tls.pem"
    monkeypatch.setattr(certificate, "LIFE", certificate.RENEW - datetime.timedelta(days=1))
    keep(file, ["porch"], [HOME])
    first = key(file)
    monkeypatch.undo()
    assert keep(file, ["porch"], [HOME])
    assert not keep(file, ["porch"], [HOME])
    assert key(file) == first


def test_a_clock_that_starts_in_1970_is_no_reason_to_end_in_1980(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Past(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Past:
            return cls(1970, 1, 1, tzinfo=tz)

    monkeypatch.setattr(datetime, "datetime", Past)
    keep(tmp_path / "tls.pem", ["porch"], [])
    monkeypatch.undo()
    made = x509.load_pem_x509_certificate((tmp_path / "tls.pem").read_bytes())
    assert made.not_valid_before_utc < datetime.datetime.now(datetime.UTC) < made.not_valid_after_utc


@pytest.mark.parametrize(
    "damage", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----"]
)
def test_a_damaged_file_is_not_replaced(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "tls.pem"
    file.write_bytes(damage)
    with pytest.raises(ValueError, match=r"."):
        keep(file, ["porch"], [])
    assert file.read_bytes() == damage


def test_a_key_of_somebody_elses_making_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "tls.pem"
    keep(file, ["porch"], [])
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    text = file.read_bytes()
    file.write_bytes(other + text[text.index(b"-----BEGIN CERTIFICATE") :])
    with pytest.raises(ValueError, match="not of this unit"):
        keep(file, ["door"], [])


def test_this_machine_has_addresses() -> None:
    assert {IPv4Address("127.0.0.1"), IPv6Address("::1")} <= addresses_now()


def test_only_ipv6_addresses_that_last_count() -> None:
    table = """\
00000000000000000000000000000001 01 80 10 80       lo
fe800000000000000000000000000001 02 40 20 80     eth0
20010db8000000000000000000000005 02 40 00 01     eth0
20010db8000000000000000000000006 02 40 00 00     eth0
fd000000000000000000000000000007 02 40 00 80     eth0
"""
    assert lasting_ipv6(table) == {IPv6Address("2001:db8::6"), IPv6Address("fd00::7")}


@given(st.lists(st.integers(0, 2**128 - 1), max_size=5))
def test_every_lasting_address_is_found(numbers: list[int]) -> None:
    table = "".join(f"{number:032x} 02 40 00 80     eth0\n" for number in numbers)
    assert lasting_ipv6(table) == {IPv6Address(number) for number in numbers}
