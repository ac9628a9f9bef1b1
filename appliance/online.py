"""Whether this machine has a way to others at all: the cheapest question there is, and no packet is sent for it."""

from __future__ import annotations

import socket
from contextlib import suppress

# Documentation addresses (RFC 5737, RFC 3849): nobody is there, so only a default route leads to them.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def is_online() -> bool:
    """Whether a default route is there. Connecting a UDP socket only looks the route up."""
    for family, address in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return True
    return False
