"""What the unit tells about its network, and what it remembers of it from one composition to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from provisioning.network import Connectivity, InterfaceStatus
from provisioning.setup_mode import State
from provisioning.visits import Visits


class AttemptError(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str
    field: str | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The last wish to change the network, and what became of it. `age_s`: since it was asked or, at last, decided."""

    what: Literal["wifi", "ethernet"]
    ssid: str | None
    state: Literal["joining", "joined", "failed"]
    age_s: float
    addresses: tuple[str, ...] = ()  # of the unit in the network it joined
    error: AttemptError | None = None


class AccessPointInfo(msgspec.Struct, frozen=True, kw_only=True):
    ssid: str
    address: str
    devices: int | None


class NetworkInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /api/network` answers."""

    available: bool
    message: str
    connectivity: Connectivity
    interfaces: tuple[InterfaceStatus, ...]
    known: tuple[str, ...]
    setup_mode: str  # `setup_mode.Phase`
    access_point: AccessPointInfo | None
    last_attempt: Attempt | None


@dataclass(slots=True)
class Memory:
    """What outlives a composition of the unit: a phone in the access point is not thrown out by a new setting."""

    state: State = field(default_factory=State)
    attempt: tuple[Attempt, float] | None = None
    visits: Visits = field(default_factory=Visits)
