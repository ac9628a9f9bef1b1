"""The plug of a mock device: it can be pulled while open, and put back."""

from __future__ import annotations

from hw import HardwareError, OnLost


class Pluggable:
    """`unplug()` closes an open device and tells its `on_lost` once, from the calling thread; then `start` raises
    HardwareError until `plug_in()`."""

    device_id: str

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self._plugged = True
        self._on_lost: OnLost | None = None

    def _opened(self, on_lost: OnLost) -> None:
        if not self._plugged:
            raise HardwareError(f"{self.device_id} is not plugged in")
        self._on_lost = on_lost

    def _lost(self, error: HardwareError) -> None:
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost(error)

    def close(self) -> None:
        self._on_lost = None

    def unplug(self) -> None:
        on_lost = self._on_lost
        self._plugged = False
        self.close()
        self._on_lost = on_lost
        self._lost(HardwareError(f"{self.device_id} was unplugged; plug it in again"))

    def plug_in(self) -> None:
        self._plugged = True
