"""What stands on a unit's label: the claim code, the address of its set-up page, the name and key of its own network.

The QR codes are two: a phone opens the page by one and joins the unit's own network by the other. The code travels
behind the "#", which browsers keep to themselves.
"""

from __future__ import annotations

import io
from pathlib import Path

import segno

from provisioning.claim import ClaimSecrets
from provisioning.setup_network import own_access_point, wifi_qr_text

QR_FORMATS = (".svg", ".png")


def setup_url(address: str, code: str) -> str:
    """The set-up page at `address` ("https://door.local:8080"), with the claim code filled in."""
    return f"{address}/setup#code={code}"


def as_text(known: ClaimSecrets, address: str) -> str:
    own = own_access_point(known.key)
    return (
        f"claim code     {known.shown}\n"
        f"set-up page    {setup_url(address, known.shown)}\n"
        f"set-up Wi-Fi   {own.ssid}\n"
        f"its key        {own.psk}\n"
    )


def page_qr(known: ClaimSecrets, address: str) -> segno.QRCode:
    return segno.make_qr(setup_url(address, known.shown), error="m")


def wifi_qr(known: ClaimSecrets) -> segno.QRCode:
    return segno.make_qr(wifi_qr_text(own_access_point(known.key)), error="m")


def draw(code: segno.QRCode) -> str:
    """For a terminal."""
    drawn = io.StringIO()
    code.terminal(out=drawn, compact=True)
    return drawn.getvalue()


def save(code: segno.QRCode, file: Path) -> None:
    """As SVG or PNG, by the name. Raises ValueError for another name, and OSError."""
    if file.suffix.lower() not in QR_FORMATS:
        raise ValueError(f"{file}: allowed are {' and '.join(QR_FORMATS)}")
    picture = io.BytesIO()
    code.save(picture, kind=file.suffix.lower()[1:], scale=8)
    file.write_bytes(picture.getvalue())
