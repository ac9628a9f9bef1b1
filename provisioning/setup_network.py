"""The unit's own set-up network as people meet it: its name, and the QR code that a phone joins it by."""

from __future__ import annotations

import hashlib

from provisioning.network import AccessPoint

ADDRESS = "10.42.0.1"  # systemd/room-appliance.dnsmasq.conf and room-appliance-portal.socket name it too


def own_access_point(key: str) -> AccessPoint:
    """Of the unit with this WPA key. The name stands on the label beside the key and lasts as long.

    Its last four characters tell two units apart in one room; they give 16 of the key's 80 bits away.
    """
    mark = hashlib.sha256(b"room-appliance set-up network " + key.encode()).hexdigest()[:4].upper()
    return AccessPoint(ssid=f"Room appliance {mark}", psk=key, address=ADDRESS)


def wifi_qr_text(access_point: AccessPoint) -> str:
    """What a phone's camera joins a network by (ZXing's "WIFI:" scheme, which Android and iOS read)."""
    return f"WIFI:T:WPA;S:{_escaped(access_point.ssid)};P:{_escaped(access_point.psk)};;"


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in '\\;,:"' else character for character in text)
