"""A certificate of the unit's own: browsers give camera and microphone only to https and to localhost.

Made at first start, kept in the state directory (`tls.pem`: key and certificate, mode 0600), good for ten years; a
browser asks once whether to trust it.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import tempfile
from pathlib import Path

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.errors import ConfigError

FILE_NAME = "tls.pem"
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the own certificate is the own one in any year
_LIFE = datetime.timedelta(days=3652)
_CLOCK_MARGIN = datetime.timedelta(days=3652)  # a unit without a clock chip may have been born in the past


def self_signed(state_dir: Path, host_names: frozenset[str]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(for the server, for a client of this unit that trusts only it). Makes files: call it from a thread.

    Raises `ConfigError` when the file cannot be made or read.
    """
    path = state_dir / FILE_NAME
    try:
        if not path.exists():
            _create(path, host_names)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.minimum_version = ssl.TLSVersion.TLSv1_2
        server.load_cert_chain(path)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False  # it trusts this one certificate, whatever the unit is called today
        client.load_verify_locations(path)
        client.verify_flags = ssl.VerifyFlags(client.verify_flags | _NO_CHECK_TIME)
    except OSError as exc:  # also ssl.SSLError
        raise ConfigError(f"{path}: {exc}; delete it and a new one is made, or set web.tls to off") from exc
    return server, client


def fingerprint(state_dir: Path) -> str:
    """SHA-256 of the certificate, "AB:CD:..."; empty when there is none. It reads a file: call it from a thread."""
    try:
        return fingerprint_of((state_dir / FILE_NAME).read_bytes())
    except (OSError, ValueError):
        return ""


def fingerprint_of(pem: bytes) -> str:
    """SHA-256 of the first certificate in PEM text, "AB:CD:..."; ValueError when there is none."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex(":").upper()


def pinned(fingerprint: str) -> aiohttp.Fingerprint | None:
    """For a client that trusts the certificate with this SHA-256 fingerprint and no other; None for an empty one."""
    return aiohttp.Fingerprint(bytes.fromhex(fingerprint.replace(":", ""))) if fingerprint else None


def host_names() -> frozenset[str]:
    """What this machine is called on its network."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local", "localhost"})


def _create(path: Path, names: frozenset[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, min(names, key=len)[:64])])
    built = datetime.datetime.fromtimestamp(Path(__file__).stat().st_mtime, datetime.UTC)
    now = max(datetime.datetime.now(datetime.UTC), built)  # a clock that starts in 1970 is no reason to end in 1980
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(names)]
    alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_MARGIN)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
