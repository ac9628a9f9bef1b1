"""TLS of the unit's port: browsers give camera and microphone only to https and to localhost.

With a certificate of its own making (`certificate`), or with the owner's. Both are looked at again while the unit runs:
an address that it got, a certificate that was renewed. Others pin its public key, which outlives its certificates; a
browser asks once for each certificate whether to trust it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance import certificate
from appliance.config_sections import Web
from appliance.errors import ConfigError

logger = logging.getLogger(__name__)

FILE_NAME = "tls.pem"
LOOK_S = 30.0  # at names, addresses and files
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the own certificate is the own one in any year
_PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN: it is trusted itself, whoever signed it


@dataclass
class Tls:
    """`server` for the port, `client` for this unit as its own guest, which trusts only it.

    `fingerprint` is what others pin. Call `keep` in a task; connections that are open stay as they are.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    fingerprint: str
    state_dir: Path
    web: Web
    stamp: tuple[int, ...]

    async def keep(self) -> None:
        """Until cancelled: what is new takes effect for new connections."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self.look)
            except (OSError, ValueError) as exc:
                logger.warning("the certificate stays as it was: %s", exc)

    def look(self) -> bool:
        """Take over what changed; False when nothing did. Blocks. Raises OSError and ValueError."""
        chain, key = _files(self.state_dir, self.web)
        stamp = _stamp(chain, key)
        if stamp == self.stamp:
            return False
        shown = fingerprint_of(chain.read_bytes())
        self.server.load_cert_chain(chain, key)
        self.client.load_verify_locations(chain)
        self.stamp, self.fingerprint = stamp, shown
        logger.info("another certificate is in use, of the key SHA-256 %s", shown)
        return True


def of_unit(state_dir: Path, web: Web) -> Tls:
    """As `[web]` wants it. Makes files: call it from a thread. Raises `ConfigError`."""
    try:
        chain, key = _files(state_dir, web)
        stamp = _stamp(chain, key)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.minimum_version = ssl.TLSVersion.TLSv1_2
        server.load_cert_chain(chain, key)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False  # it trusts this one certificate, whatever the unit is called today
        client.load_verify_locations(chain)
        client.verify_flags = ssl.VerifyFlags(client.verify_flags | _NO_CHECK_TIME | _PARTIAL_CHAIN)
        return Tls(server, client, fingerprint_of(chain.read_bytes()), state_dir, web, stamp)
    except (OSError, ValueError) as exc:  # also ssl.SSLError
        if web.tls == "own":
            raise ConfigError(f"web.certificate, web.key: {exc}; give a certificate in PEM and its key") from exc
        path = state_dir / FILE_NAME
        raise ConfigError(f"{path}: {exc}; delete it and a new one is made, or set web.tls to off") from exc


def fingerprint(state_dir: Path) -> str:
    """SHA-256 of the own key, "AB:CD:..."; empty when there is none. It reads a file: call it from a thread."""
    try:
        return fingerprint_of((state_dir / FILE_NAME).read_bytes())
    except (OSError, ValueError):
        return ""


def fingerprint_of(pem: bytes) -> str:
    """SHA-256 of the public key of the first certificate in PEM text, "AB:CD:..."; ValueError when there is none."""
    return _of_key(x509.load_pem_x509_certificate(pem)).hex(":").upper()


def fingerprints_of_der(der: bytes) -> tuple[str, str]:
    """(of the public key, of the whole certificate) of one that was shown. Raises ValueError."""
    shown = x509.load_der_x509_certificate(der)
    return _of_key(shown).hex(":").upper(), hashlib.sha256(der).digest().hex(":").upper()


class Pin(aiohttp.Fingerprint):
    """Trusts whoever has this key (SHA-256 of its SubjectPublicKeyInfo, RFC 7469 2.4), or this very certificate."""

    def check(self, transport: asyncio.Transport) -> None:
        """Called by aiohttp after each handshake."""
        seen = transport.get_extra_info("ssl_object")
        if seen is None:
            return
        der = seen.getpeercert(binary_form=True) or b""
        try:
            key = _of_key(x509.load_der_x509_certificate(der))
        except ValueError:
            key = b""
        if self.fingerprint not in (key, hashlib.sha256(der).digest()):
            host, port, *_ = transport.get_extra_info("peername")
            raise aiohttp.ServerFingerprintMismatch(self.fingerprint, key, host, port)


def pinned(fingerprint: str) -> Pin | None:
    """For a client that trusts whoever has this SHA-256 fingerprint and nobody else; None for an empty one."""
    return Pin(bytes.fromhex(fingerprint.replace(":", ""))) if fingerprint else None


def host_names() -> frozenset[str]:
    """What this machine is called on its network."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local", "localhost"})


def _of_key(shown: x509.Certificate) -> bytes:
    spki = shown.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def _files(state_dir: Path, web: Web) -> tuple[Path, Path]:
    """(certificate, key), both true to what the unit is called where they are its own."""
    if web.tls == "own":
        return Path(web.certificate), Path(web.key)
    path = state_dir / FILE_NAME
    certificate.keep(path, host_names() | set(web.host_names), certificate.addresses_now())
    return path, path


def _stamp(chain: Path, key: Path) -> tuple[int, ...]:
    return tuple(number for file in (chain, key) for number in (file.stat().st_ino, file.stat().st_mtime_ns))
