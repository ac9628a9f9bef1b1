"""The unit's own certificate, made by itself and kept true to what the unit is called.

`tls.pem` in the state directory holds key and certificate, mode 0600. The key is made once: whoever pins it (`[room]
fingerprint`) keeps trusting the unit. The certificate around it is issued anew when a name or address of the unit is
missing in it, or when its end comes near; names and addresses that were in it stay, so that a unit which goes to and
fro between two networks is not a new one to browsers each time.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import ifaddr
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning.private_file import write_private

LIFE = datetime.timedelta(days=3652)
RENEW = datetime.timedelta(days=90)  # before its end
MAX_REMEMBERED = 32  # names and addresses, the newest last
_CLOCK_MARGIN = datetime.timedelta(days=3652)  # a unit without a clock chip may have been born in the past
_IF_INET6 = Path("/proc/net/if_inet6")
_TEMPORARY = 0x01  # IFA_F_TEMPORARY, include/uapi/linux/if_addr.h
_GLOBAL_SCOPE = 0x00

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Called = str | Address


def keep(path: Path, names: Iterable[str], addresses: Iterable[Address]) -> bool:
    """Make the file, or issue its certificate anew where it has to be; True when it changed. Blocks.

    Raises OSError, and ValueError for a file that holds no key and certificate.
    """
    wanted: list[Called] = [*sorted(names), *sorted(addresses, key=lambda address: (address.version, int(address)))]
    now = _now()
    if not path.exists():
        _write(path, ec.generate_private_key(ec.SECP256R1()), wanted, now)
        return True
    pem = path.read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("its key is not of this unit's making")
    known = _called(certificate)
    if set(wanted) <= set(known) and now < certificate.not_valid_after_utc - RENEW:
        return False
    stale = [one for one in known if one not in wanted]
    _write(path, key, [*stale, *wanted][-MAX_REMEMBERED:], now)
    return True


def addresses_now() -> frozenset[Address]:
    """Where a browser may find this machine: IPv4 addresses, and IPv6 ones that last. Blocks."""
    found: set[Address] = {ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")}
    for adapter in ifaddr.get_adapters():
        found |= {ipaddress.IPv4Address(one.ip) for one in adapter.ips if isinstance(one.ip, str)}
    with suppress(OSError):  # a kernel without IPv6
        found |= lasting_ipv6(_IF_INET6.read_text(encoding="ascii"))
    return frozenset(found)


def lasting_ipv6(table: str) -> set[Address]:
    """The global addresses of /proc/net/if_inet6 that are not temporary ones (RFC 8981), which change each day."""
    found: set[Address] = set()
    for line in table.splitlines():
        match line.split():
            case [address, _index, _prefix, scope, flags, _name]:
                if int(scope, 16) == _GLOBAL_SCOPE and not int(flags, 16) & _TEMPORARY:
                    found.add(ipaddress.IPv6Address(int(address, 16)))
    return found


def _now() -> datetime.datetime:
    """A clock that starts in 1970 is no reason to end in 1980: not before this program was built."""
    built = datetime.datetime.fromtimestamp(Path(__file__).stat().st_mtime, datetime.UTC)
    return max(datetime.datetime.now(datetime.UTC), built)


def _called(certificate: x509.Certificate) -> list[Called]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [one for one in names.get_values_for_type(x509.IPAddress) if isinstance(one, Address)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def _write(path: Path, key: ec.EllipticCurvePrivateKey, called: list[Called], now: datetime.datetime) -> None:
    names = [one for one in called if isinstance(one, str)]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, min(names, key=len)[:64])])
    alternatives: list[x509.GeneralName] = [
        x509.DNSName(one) if isinstance(one, str) else x509.IPAddress(one) for one in called
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_MARGIN)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, key_pem + certificate.public_bytes(serialization.Encoding.PEM))
