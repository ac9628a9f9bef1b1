"""A connection to the system bus for talking with one service: calls with known signatures, properties, signals.

Nothing of D-Bus passes through: values come without their variants, errors as `NetworkError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dbus_fast import BusType, DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from provisioning.network import ErrorCode, NetworkError
from provisioning.nm_api import BUS_NAME, ROOT_PATH, Method

CALL_S = 15.0  # NetworkManager answers in milliseconds; polkit may think for some seconds

Properties = dict[str, Any]
Objects = dict[str, dict[str, Properties]]  # path -> interface -> its properties
OnSignal = Callable[[Message], None]

_PROPERTIES = "org.freedesktop.DBus.Properties"
_DBUS = "org.freedesktop.DBus"
_ABSENT = frozenset(
    {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.NoReply",
        "org.freedesktop.DBus.Error.Disconnected",
    }
)
_REFUSED = frozenset(
    {
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.NetworkManager.PermissionDenied",
        "org.freedesktop.NetworkManager.Settings.PermissionDenied",
        "org.freedesktop.NetworkManager.Device.PermissionDenied",
    }
)


class CallError(NetworkError):
    """The service refused a call; `name` is D-Bus's name of the error."""

    def __init__(self, code: ErrorCode, message: str, name: str) -> None:
        super().__init__(code, message)
        self.name = name


class ServiceBus:
    """`service` on the bus at `address` (None: the system bus). Call `connect` first; a lost one can connect again."""

    def __init__(self, service: str = BUS_NAME, address: str | None = None) -> None:
        self._service = service
        self._address = address
        self._bus: MessageBus | None = None
        self._listeners: list[OnSignal] = []

    @property
    def is_connected(self) -> bool:
        return self._bus is not None and self._bus.connected

    async def connect(self, matches: tuple[str, ...] = ()) -> None:
        """`matches` are rules for the signals that `listen` is to see. Raises `NetworkError("unavailable")`."""
        self.close()
        try:
            async with asyncio.timeout(CALL_S):
                bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
                self._bus = await bus.connect()
                for match in matches:
                    await self._send(_DBUS, "/org/freedesktop/DBus", Method(_DBUS, "AddMatch", "s"), [match])
        except (OSError, EOFError, TimeoutError, DBusError, ValueError) as exc:  # no socket, a refused log-in
            self.close()
            raise NetworkError("unavailable", f"the system bus cannot be reached: {exc or 'no answer'}") from exc
        self._bus.add_message_handler(self._take)

    def close(self) -> None:
        """Idempotent."""
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()

    def listen(self, on_signal: OnSignal) -> Callable[[], None]:
        """`on_signal` sees every matched signal from now on, until the returned function is called."""
        self._listeners.append(on_signal)
        return lambda: self._listeners.remove(on_signal)

    async def call(self, method: Method, path: str, *arguments: Any) -> list[Any]:
        """The values that it gives, without variants. Raises `CallError`."""
        return await self._send(self._service, path, method, list(arguments))

    async def get(self, path: str, interface: str, name: str) -> Any:
        (value,) = await self.call(Method(_PROPERTIES, "Get", "ss", "v"), path, interface, name)
        return value

    async def set(self, path: str, interface: str, name: str, value: Variant) -> None:
        await self.call(Method(_PROPERTIES, "Set", "ssv"), path, interface, name, value)

    async def objects(self) -> Objects:
        """Everything the service has, in one call."""
        method = Method("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "", "a{oa{sa{sv}}}")
        (objects,) = await self.call(method, ROOT_PATH)
        return dict(objects)

    async def _send(self, destination: str, path: str, method: Method, arguments: list[Any]) -> list[Any]:
        bus = self._bus
        if bus is None or not bus.connected:
            raise CallError("unavailable", "the system bus is gone", "org.freedesktop.DBus.Error.Disconnected")
        message = Message(
            destination=destination,
            path=path,
            interface=method.interface,
            member=method.name,
            signature=method.takes,
            body=arguments,
        )
        try:
            async with asyncio.timeout(CALL_S):
                reply = await bus.call(message)
        except TimeoutError as exc:
            raise CallError(
                "unavailable", f"{destination} does not answer {method.name}", "org.freedesktop.DBus.Error.NoReply"
            ) from exc
        except (OSError, EOFError) as exc:
            raise CallError(
                "unavailable", f"the system bus broke off: {exc}", "org.freedesktop.DBus.Error.Disconnected"
            ) from exc
        if reply.message_type is MessageType.ERROR:
            raise _error(destination, method, str(reply.error_name), str(reply.body[0]) if reply.body else "")
        if method.gives and reply.signature != method.gives:
            raise CallError(
                "unavailable", f"{destination}: {method.name} gives {reply.signature!r}, not {method.gives!r}", ""
            )
        return [plain(value) for value in reply.body]

    def _take(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL:
            for listener in tuple(self._listeners):
                listener(message)


def plain(value: Any) -> Any:
    """Without variants, at any depth."""
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _error(service: str, method: Method, name: str, message: str) -> CallError:
    if name in _ABSENT:
        return CallError("unavailable", f"{service} does not run here", name)
    if name in _REFUSED:
        return CallError(
            "unavailable", f"{service} does not let this user do {method.name}: see systemd/install.sh", name
        )
    return CallError("failed", f"{method.name}: {message or name}", name)
