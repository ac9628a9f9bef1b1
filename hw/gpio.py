"""Leds and Buttons on GPIO pins: gpiozero, on lgpio.

Pins are BCM numbers; 0 is not connected. LEDs are driven by PWM. Buttons close to ground, with the pull-up of the Pi,
and are debounced here (`hw.debounce`), where a test can see it.

A program that sets `gpiozero.Device.pin_factory` (a MockFactory) before `start` or the first `set` gets those pins.
When no pin can be opened HardwareError is raised; when some can, those work and `trouble` says what is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hw import ButtonEdge, ButtonName, HardwareError, LedName
from hw.debounce import Debounce
from hw.light import bar_led, rgb

if TYPE_CHECKING:
    import gpiozero

_PWM_HZ = 200  # above flicker; lgpio's PWM is software, each edge wakes a thread
_CLOSE_S = 1.0


def is_raspberry_pi() -> bool:
    """Whether this machine is a Raspberry Pi, as its device tree says."""
    try:
        with open("/proc/device-tree/model", "rb") as file:
            return file.read(12) == b"Raspberry Pi"
    except OSError:
        return False


class GpioLeds:
    """LEDs on `mute`, `connection` and `quality` pins (the bar, best first), or one RGB LED on `rgb_led` (red, green,
    blue) that shows all of it in colors. `active_low`: lit when the pin is low, such as common-anode RGB LEDs."""

    def __init__(
        self,
        mute: int = 0,
        connection: int = 0,
        quality: Iterable[int] = (),
        rgb_led: tuple[int, ...] = (),
        *,
        active_low: bool = False,
    ) -> None:
        bar = tuple(quality)
        self._single: dict[LedName, int] = {"mute": mute, "connection": connection}
        self._single |= {bar_led(len(bar) - index, len(bar)): pin for index, pin in enumerate(bar)}
        self._rgb = dict(zip(("red", "green", "blue"), rgb_led, strict=False))
        self._active_low = active_low
        self._levels: dict[LedName, float] = {}
        self._pins = _Pins()

    @property
    def trouble(self) -> str:
        return self._pins.trouble

    def set(self, brightness: Mapping[LedName, float]) -> None:
        """The first call opens the pins; an empty one does nothing else. Raises HardwareError."""
        self._levels |= brightness
        if not self._pins.is_open:
            pins = self._rgb.items() if self._rgb else self._single.items()
            self._pins.open({f"{name} LED": pin for name, pin in pins}, self._led)
        wanted = zip(self._rgb, rgb(self._levels), strict=True) if self._rgb else self._levels.items()
        for name, level in wanted:
            led = self._pins.devices.get(f"{name} LED")
            if led is not None and led.value != level:
                led.value = level

    def close(self) -> None:
        self._pins.close()
        self._levels.clear()

    def _led(self, pin: int, factory: Any) -> Any:
        import gpiozero

        return gpiozero.PWMLED(pin, active_high=not self._active_low, frequency=_PWM_HZ, pin_factory=factory)


class GpioButtons:
    """`held` names the buttons that were down when they were opened: they mean nothing until let go."""

    def __init__(self, mute: int = 0, call: int = 0) -> None:
        self.held: tuple[ButtonName, ...] = ()
        self._numbers: dict[ButtonName, int] = {"mute": mute, "call": call}
        self._pins = _Pins()
        self._contacts: dict[ButtonName, Debounce] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def trouble(self) -> str:
        return self._pins.trouble

    def start(self, sink: Callable[[ButtonEdge], None]) -> None:
        self.close()
        self._pins.open({f"{name} button": pin for name, pin in self._numbers.items()}, self._button)
        self._closing = False
        with self._changed:  # no edge is fed before its contact is there
            for name in self._numbers:
                device = self._pins.devices.get(f"{name} button")
                if device is not None:
                    device.when_activated = self._teller(name, True)
                    device.when_deactivated = self._teller(name, False)
                    self._contacts[name] = Debounce(device.is_active)
            self.held = tuple(name for name in self._contacts if self._pins.devices[f"{name} button"].is_active)
        self._thread = threading.Thread(target=self._run, args=(sink,), name="gpio-buttons", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_CLOSE_S)
        self._pins.close()
        self._contacts.clear()

    def _button(self, pin: int, factory: Any) -> Any:
        import gpiozero

        return gpiozero.DigitalInputDevice(pin, pull_up=True, pin_factory=factory)

    def _teller(self, name: ButtonName, pressed: bool) -> Callable[[], None]:
        def tell() -> None:  # on the pin factory's thread
            with self._changed:
                if name in self._contacts:
                    self._contacts[name].change(pressed, time.monotonic())
                    self._changed.notify()

        return tell

    def _run(self, sink: Callable[[ButtonEdge], None]) -> None:
        last_s = 0.0
        while True:
            with self._changed:
                if self._closing:
                    return
                now_s = time.monotonic()
                edges = [(name, edge) for name, c in self._contacts.items() if (edge := c.settle(now_s)) is not None]
                if not edges:
                    due_s = [at_s for c in self._contacts.values() if (at_s := c.deadline_s()) is not None]
                    self._changed.wait(max(0.0, min(due_s) - now_s) if due_s else None)
            for name, edge in sorted(edges, key=lambda pair: pair[1].at_s):
                last_s = max(last_s, edge.at_s)  # a button that bounced longer than the other one is told later
                sink(ButtonEdge(name, edge.level, last_s))


class _Pins:
    """Named gpiozero devices that are opened and closed together."""

    def __init__(self) -> None:
        self.devices: dict[str, Any] = {}
        self.trouble = ""
        self.is_open = False
        self._own_factory: Any = None

    def open(self, numbers: Mapping[str, int], make: Callable[[int, Any], Any]) -> None:
        connected = {name: pin for name, pin in numbers.items() if pin}
        errors: list[str] = []
        if connected:
            factory = self._factory()
            for name, pin in connected.items():
                try:
                    self.devices[name] = make(pin, factory)
                except Exception as exc:  # lgpio's errors have no base class of their own
                    errors.append(f"GPIO {pin} ({name}): {_words(exc)}; is it free and this user in the group gpio?")
        if errors and not self.devices:
            self.close()
            raise HardwareError("\n".join(errors))
        self.trouble = "; ".join(errors)
        self.is_open = True

    def close(self) -> None:
        self.is_open = False
        for device in self.devices.values():
            device.close()
        self.devices.clear()
        if self._own_factory is not None:
            self._own_factory.close()
            self._own_factory = None

    def _factory(self) -> Any:
        try:
            import gpiozero
        except ImportError as exc:
            raise HardwareError("GPIO: gpiozero is not installed; pip install 'room-appliance[pi]'") from exc
        factory: gpiozero.Factory | None = gpiozero.Device.pin_factory
        if factory is None:
            factory = self._own_factory = _open_lgpio()
        return factory


def _open_lgpio() -> Any:
    """Named, because gpiozero's own choice falls back in silence to factories that cannot do PWM or lose edges."""
    try:
        from gpiozero.pins.lgpio import LGPIOFactory

        return LGPIOFactory()
    except ImportError as exc:
        raise HardwareError("GPIO: lgpio is not installed; apt-get install python3-lgpio") from exc
    except Exception as exc:  # lgpio opens a FIFO in its working directory when it is imported
        remedy = "is this a Raspberry Pi, this user in the group gpio, and $LG_WD a directory that it may write?"
        raise HardwareError(f"GPIO: {_words(exc)}; {remedy}") from exc


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).strip("'\"") or type(error).__name__
