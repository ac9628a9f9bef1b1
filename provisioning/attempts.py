"""How often the owner's password and the claim code may be guessed. Pure: monotonic seconds are passed in.

Each address waits longer after each wrong guess, and all addresses together share one bucket, so that a thousand of
them guess no faster. Nobody is locked out for good: waits end at `LONGEST_WAIT_S`, and whoever got in from an address
lately does not wait for strangers. IPv6 addresses count by /64, the smallest network one household gets.

At this rate the claim code's 40 bits last 170,000 years.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

FREE_FAILURES = 3  # slips of the finger
FIRST_WAIT_S = 2.0  # then it doubles
LONGEST_WAIT_S = 300.0
FORGET_S = 1800.0  # after so long without an attempt, an address starts anew
TOTAL_PER_S = 0.1
TOTAL_BURST = 20
MAX_ADDRESSES = 1024


@dataclass
class _Address:
    failures: int = 0
    wait_until_s: float = float("-inf")
    last_s: float = float("-inf")
    is_friend: bool = False


class Attempts:
    def __init__(self, now_s: float) -> None:
        self._addresses: dict[str, _Address] = {}  # the latest last
        self._level = float(TOTAL_BURST)
        self._level_at_s = now_s

    def begin(self, address: str, now_s: float) -> float:
        """0: guess now; it counts as wrong until `succeeded` is called. Else seconds to wait, and nothing counts."""
        name = network_of(address)
        known = self._addresses.get(name)
        if known is None or now_s - known.last_s > FORGET_S:
            known = _Address()
        self._level = min(TOTAL_BURST, self._level + (now_s - self._level_at_s) * TOTAL_PER_S)
        self._level_at_s = now_s
        wait_s = max(0.0, known.wait_until_s - now_s)
        if not known.is_friend:
            wait_s = max(wait_s, (1 - self._level) / TOTAL_PER_S)
        if wait_s > 0:
            return wait_s
        if not known.is_friend:
            self._level -= 1
        known.failures += 1
        known.last_s = now_s
        if known.failures >= FREE_FAILURES:
            doublings = min(known.failures - FREE_FAILURES, 16)
            known.wait_until_s = now_s + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**doublings)
        self._remember(name, known)
        return 0.0

    def succeeded(self, address: str, now_s: float) -> None:
        """The attempt that `begin` allowed was right."""
        self._level = min(TOTAL_BURST, self._level + 1)
        self._remember(network_of(address), _Address(last_s=now_s, is_friend=True))

    def _remember(self, name: str, known: _Address) -> None:
        self._addresses.pop(name, None)
        self._addresses[name] = known
        if len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]


def network_of(address: str) -> str:
    """Whom an address stands for: itself, an IPv6 one its /64; an IPv4 one inside IPv6 is what it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
