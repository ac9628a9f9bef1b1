"""Whether the configured devices can be opened and deliver, each tried by itself."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from appliance.devices import FIRST_DELIVERY_S, Drivers
from appliance.drivers import PanelDevices
from hw import BLOCK_FRAMES, LED_NAMES, HardwareError, Samples, Speaker

Report = Callable[[HardwareError | None], None]

PANEL_S = 3.0  # for a panel on a serial port to answer: six times it is asked
LED_S = 0.15  # lit in turn: long enough to be seen

_SILENCE: Samples = np.zeros(BLOCK_FRAMES, np.int16)


class _Device(Protocol):
    device_id: str

    def close(self) -> None: ...


def probe(drivers: Drivers, timeout_s: float = FIRST_DELIVERY_S) -> Iterator[tuple[str, str, HardwareError | None]]:
    """Kind, device id and the error or None of each device, after its first picture or block. Blocks so long."""
    for kind, make in (("microphone", drivers.microphone), ("camera", drivers.camera)):
        if make is not None:
            source: Any = make()  # a Microphone or a Camera: both take a sink for something
            yield kind, source.device_id, _try(source, lambda report: _start_source(source, report), timeout_s)  # noqa: B023
    if drivers.speaker is not None:
        speaker = drivers.speaker()
        yield "speaker", speaker.device_id, _try(speaker, lambda report: _start_speaker(speaker, report), timeout_s)


def walk_panel(panel: PanelDevices, timeout_s: float = PANEL_S) -> str:
    """Lights every LED in turn; what is wrong with the panel, or "". Blocks so long."""
    try:
        panel.buttons.start(lambda _edge: None)
        panel.leds.set({})
        deadline_s = time.monotonic() + timeout_s
        while panel.trouble() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        for lit in LED_NAMES if not panel.trouble() else ():
            panel.leds.set({name: float(name == lit) for name in LED_NAMES})
            time.sleep(LED_S)
    except HardwareError as exc:
        return str(exc)
    finally:
        panel.buttons.close()
        panel.leds.close()
    return panel.trouble()


def _start_source(source: Any, report: Report) -> None:
    source.start(lambda _delivered: report(None), report)


def _start_speaker(speaker: Speaker, report: Report) -> None:
    def silence() -> Samples:
        report(None)
        return _SILENCE

    speaker.start(silence, report)


def _try(device: _Device, start: Callable[[Report], None], timeout_s: float) -> HardwareError | None:
    first: queue.SimpleQueue[HardwareError | None] = queue.SimpleQueue()
    try:
        start(first.put)
        return first.get(timeout=timeout_s)
    except HardwareError as exc:
        return exc
    except queue.Empty:
        return HardwareError(f"{device.device_id} opens, and delivers nothing within {timeout_s:g} s")
    finally:
        device.close()
