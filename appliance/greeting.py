"""What a unit says on standard output once it is there: where its pages are, and what its owner needs first. Pure."""

from __future__ import annotations

from appliance import __version__
from appliance.config import Config
from provisioning.claim import Claim


def greeting(
    config: Config, url: str, claim: Claim, *, fingerprint: str, has_panel: bool, demo_token: str | None
) -> list[str]:
    """Line by line. `fingerprint`: of its own certificate, or empty; `demo_token`: the API token of a demo."""
    room = config.room.room
    lines = [f"Room appliance {__version__} at {url}/"]
    if not config.room.is_own:
        lines.append(f"  its room             {room} at {config.room.url}")
    elif config.hub.enabled:
        lines.append(f"  join from a browser  {url}/join/{room}")
    if has_panel:
        lines.append(f"  front panel          {url}/panel")
    if fingerprint:
        lines.append(f"  fingerprint          SHA-256 {fingerprint}")
    if demo_token is not None:
        lines += [
            f"  API token            {demo_token}",
            f"  claim code           {claim.code}",
            "Ctrl-C ends it.",
        ]
    elif not claim.is_claimed:
        lines.append(f"  no owner yet         {url}/setup; room-appliance claim-code shows the code")
    return lines
