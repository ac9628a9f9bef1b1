"""Access points as NetworkManager tells them, made into the networks that a person chooses from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from provisioning.network import Security, WifiNetwork
from provisioning.network_check import ssid_text
from provisioning.nm_api import (
    KEY_802_1X,
    KEY_EAP_SUITE_B_192,
    KEY_OWE,
    KEY_OWE_TRANSITION,
    KEY_PSK,
    KEY_SAE,
    PRIVACY,
)

_ORDER: tuple[Security, ...] = ("wpa2", "wpa3", "open", "unsupported")  # of what is taken when one name has several


def security_of(flags: int, wpa: int, rsn: int) -> Security:
    """What joining takes. PSK and SAE together (transition mode) are "wpa2": SAE is used where both sides have it."""
    keys = wpa | rsn
    if keys & KEY_PSK:
        return "wpa2"
    if keys & KEY_SAE:
        return "wpa3"
    if keys & (KEY_802_1X | KEY_EAP_SUITE_B_192):
        return "unsupported"  # a company's network: it wants a user, not a password
    if keys & (KEY_OWE | KEY_OWE_TRANSITION):
        return "open" if keys & KEY_OWE_TRANSITION else "unsupported"
    return "unsupported" if flags & PRIVACY else "open"  # WEP


def merge(
    access_points: Iterable[Mapping[str, Any]], known: Collection[str], in_use: str | None, own: str | None
) -> list[WifiNetwork]:
    """One network for each SSID, strongest first. Without hidden ones, and without `own`, this unit's.

    Each access point is a mapping with Ssid (bytes), Strength (0..100), Flags, WpaFlags, RsnFlags.
    """
    found: dict[str, WifiNetwork] = {}
    for access_point in access_points:
        ssid = bytes(access_point.get("Ssid", b""))
        if not ssid.strip(b"\0"):  # hidden: empty, or as many zeros as its name is long
            continue
        text = ssid_text(ssid)
        if text == own:
            continue
        security = security_of(
            access_point.get("Flags", 0), access_point.get("WpaFlags", 0), access_point.get("RsnFlags", 0)
        )
        signal = min(100, max(0, int(access_point.get("Strength", 0))))
        other = found.get(text)
        if other is not None:
            security = min(security, other.security, key=_ORDER.index)
            signal = max(signal, other.signal)
        found[text] = WifiNetwork(
            ssid=text, signal=signal, security=security, known=text in known, in_use=text == in_use
        )
    return sorted(found.values(), key=lambda network: (-network.signal, network.ssid))
