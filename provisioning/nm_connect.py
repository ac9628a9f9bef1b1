"""Bringing a connection up with NetworkManager, and taking everything back when it does not come up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from dbus_fast import Message, Variant

from provisioning.network import NetworkError
from provisioning.nm_api import (
    ACTIVATED,
    ACTIVE,
    ADD_AND_ACTIVATE,
    CHECKPOINT_CREATE,
    CHECKPOINT_DESTROY,
    CHECKPOINT_FLAGS,
    CHECKPOINT_ROLLBACK,
    DEACTIVATE,
    DEACTIVATED,
    DEVICE,
    DEVICE_FAILED,
    DHCP_ERROR,
    DHCP_FAILED,
    DHCP_START_FAILED,
    IP_CONFIG_EXPIRED,
    IP_CONFIG_UNAVAILABLE,
    NO_OBJECT,
    NO_SECRETS,
    PATH,
    REASON_CONNECT_TIMEOUT,
    REASON_IP_CONFIG_INVALID,
    REASON_NO_SECRETS,
    SSID_NOT_FOUND,
    SUPPLICANT_CONFIG_FAILED,
    SUPPLICANT_DISCONNECT,
    SUPPLICANT_FAILED,
    SUPPLICANT_TIMEOUT,
)
from provisioning.nm_bus import CallError, ServiceBus
from provisioning.nm_settings import WIFI_SECURITY, Profile

logger = logging.getLogger(__name__)

Persist = Literal["memory", "volatile"]  # gone at the next start; gone when the connection goes down

_NO_ADDRESS = frozenset({IP_CONFIG_UNAVAILABLE, IP_CONFIG_EXPIRED, DHCP_START_FAILED, DHCP_ERROR, DHCP_FAILED})
_REFUSED = frozenset({NO_SECRETS, SUPPLICANT_DISCONNECT, SUPPLICANT_CONFIG_FAILED, SUPPLICANT_FAILED})


def failure(device_reason: int, active_reason: int, name: str, *, has_password: bool) -> NetworkError:
    """What an activation that failed means to a person. NMDeviceStateReason, NMActiveConnectionStateReason."""
    if device_reason in _NO_ADDRESS or (not device_reason and active_reason == REASON_IP_CONFIG_INVALID):
        return NetworkError("no-address", f"{name!r} gave no address; is its DHCP on?")
    if device_reason == SSID_NOT_FOUND:
        return NetworkError("not-found", f"{name!r} is not in reach")
    if device_reason in _REFUSED or active_reason == REASON_NO_SECRETS:
        if has_password:
            return NetworkError("bad-password", f"{name!r} does not take this password", "password")
        return NetworkError("failed", f"{name!r} let this unit not in")
    if device_reason == SUPPLICANT_TIMEOUT or active_reason == REASON_CONNECT_TIMEOUT:
        return NetworkError("timeout", f"{name!r} did not answer in time; it may be too far away")
    return NetworkError("failed", f"{name!r} could not be joined (NetworkManager's reason {device_reason})")


async def deactivate(bus: ServiceBus, active: str, timeout_s: float) -> None:
    """Take an active connection down; returns when it is, or after `timeout_s`."""
    down = asyncio.Event()

    def on_signal(message: Message) -> None:
        is_ours = message.interface == ACTIVE and message.path == active and message.member == "StateChanged"
        if is_ours and message.body[0] == DEACTIVATED:
            down.set()

    stop = bus.listen(on_signal)
    try:
        with suppress(CallError, TimeoutError):  # it went by itself
            async with asyncio.timeout(timeout_s):
                await bus.call(DEACTIVATE, PATH, active)
                await down.wait()
    finally:
        stop()


@asynccontextmanager
async def checkpoint(bus: ServiceBus, device: str, timeout_s: int) -> AsyncGenerator[None]:
    """What happens to `device` inside is taken back when it fails or is cancelled, or after `timeout_s` by itself."""
    (path,) = await bus.call(CHECKPOINT_CREATE, PATH, [device], timeout_s, CHECKPOINT_FLAGS)
    try:
        yield
    except BaseException:
        with suppress(NetworkError):  # gone by its own time-out, or with NetworkManager itself
            await bus.call(CHECKPOINT_ROLLBACK, PATH, path)
        raise
    await bus.call(CHECKPOINT_DESTROY, PATH, path)


async def activate(
    bus: ServiceBus,
    profile: Profile,
    device: str,
    name: str,
    *,
    persist: Persist,
    timeout_s: float,
    is_bound: bool = False,
) -> tuple[str, str]:
    """Make `profile` and bring it up on `device`; `is_bound`: it goes down with this program.

    Gives the paths of the profile and of its active connection, when that is up. Raises `NetworkError`.
    """
    options = {"persist": Variant("s", persist)}
    if is_bound:
        options["bind-activation"] = Variant("s", "dbus-client")
    states: asyncio.Queue[tuple[str, int, int]] = asyncio.Queue()  # of active connections: path, state, reason
    last_reason = 0

    def on_signal(message: Message) -> None:
        nonlocal last_reason
        if message.member != "StateChanged":
            return
        if message.interface == ACTIVE:
            states.put_nowait((str(message.path), int(message.body[0]), int(message.body[1])))
        elif message.interface == DEVICE and message.path == device and message.body[0] == DEVICE_FAILED:
            last_reason = int(message.body[2])

    stop = bus.listen(on_signal)
    try:
        async with asyncio.timeout(timeout_s):
            made, active, _ = await bus.call(ADD_AND_ACTIVATE, PATH, profile, device, NO_OBJECT, options)
            with suppress(CallError):  # it may be gone again: the signals tell
                if await bus.get(active, ACTIVE, "State") == ACTIVATED:
                    return made, active
            while True:
                path, state, reason = await states.get()
                if path == active and state == ACTIVATED:
                    return made, active
                if path == active and state == DEACTIVATED:
                    logger.info("%s: not activated, reasons %d and %d", device, last_reason, reason)
                    raise failure(last_reason, reason, name, has_password=WIFI_SECURITY in profile)
    except TimeoutError as exc:
        raise NetworkError("timeout", f"{name!r} did not come up within {timeout_s:g} s") from exc
    finally:
        stop()
