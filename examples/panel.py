"""A front panel for a room appliance, to flash as main.py on a microcontroller with MicroPython (a Raspberry Pi Pico).

LEDs from pins to ground through their resistors, buttons from pins to ground. It speaks on UART 0 (pins 0 and 1, to the
Pi's serial port). The protocol is docs/panel-protocol.md. Change the pins and the name below, and flash.

The same file runs on a PC, as a panel on any serial port, such as the other end of one that the appliance has:
`socat pty,raw,link=host pty,raw,link=panel`, then `python panel.py panel`. Type `press mute`,
`release mute`; it prints its LEDs.
"""

import sys
import time

NAME = "Example panel"
VERSION = 1
LEDS = {1: 16, 2: 17, 3: 18, 4: 19, 5: 20, 6: 21, 7: 22}  # mute, connection, quality 1 to 5: the pins of a Pico
BUTTONS = {1: 14, 2: 15}  # mute, call

ALIVE_MS = 500
RESEND_MS = 30
HOST_LOST_MS = 2000
SETTLE_MS = 5  # a button counts once it has stood so long
MAX_FRAME = 70
MAX_EDGES = 16

HELLO, SET_LEDS, ACK = 0x01, 0x02, 0x03
PANEL_HELLO, EDGE, ALIVE = 0x81, 0x82, 0x83


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def stuff(body):
    return b"".join([bytes([len(part) + 1]) + part for part in body.split(b"\0")])


def unstuff(encoded):
    parts, at = [], 0
    while at < len(encoded):
        end = at + encoded[at]
        if end > len(encoded):
            return b""
        parts.append(encoded[at + 1 : end])
        at = end
    return b"\0".join(parts)


def encode(kind, sequence, payload):
    body = bytes([kind, sequence, len(payload)]) + payload
    crc = crc16(body)
    return b"\0" + stuff(body + bytes([crc & 0xFF, crc >> 8])) + b"\0"


def decode(encoded):
    """Type and payload; (0, b"") for what is no frame."""
    body = unstuff(encoded)
    if len(body) < 5 or crc16(body[:-2]) != body[-2] | body[-1] << 8 or body[2] != len(body) - 5:
        return 0, b""
    return body[0], body[3:-2]


class Panel:
    """The panel without its pins. `write` takes bytes for the host, `show` an LED's number and its brightness 0..255.

    Times are milliseconds of a clock that only goes forward.
    """

    def __init__(self, write, show, name=NAME, leds=LEDS, buttons=BUTTONS):
        self.write = write
        self.show = show
        self.name = name
        self.leds = sorted(leds)
        self.buttons = sorted(buttons)
        self.held = set()
        self.session = 0
        self.sequence = 0
        self.event = 0  # number of the next edge
        self.edges = []  # (number, milliseconds, button, pressed) until they are acknowledged
        self.encoded = b""
        self.alive_ms = 0  # when the next one is due
        self.resend_ms = 0
        self.heard_ms = 0
        self.lit = False

    def receive(self, data, now_ms):
        """Bytes from the host."""
        parts = data.split(b"\0")
        for part in parts[:-1]:
            kind, payload = decode(self.encoded + part)
            self.encoded = b""
            if kind:
                self.take(kind, payload, now_ms)
        self.encoded = (self.encoded + parts[-1])[: MAX_FRAME + 1]

    def take(self, kind, payload, now_ms):
        self.heard_ms = now_ms
        if kind == HELLO and len(payload) >= 2:
            self.greet(min(payload[0], VERSION), payload[1], now_ms)
        elif kind == SET_LEDS and self.session:
            for number, level in zip(self.leds, payload):
                self.show(number, level)
            self.lit = True
        elif kind == ACK and payload:
            while self.edges and (payload[0] - self.edges[0][0] - 1) % 256 < MAX_EDGES:
                self.edges.pop(0)

    def greet(self, version, session, now_ms):
        self.session, self.event, self.edges = session, 0, []
        held = 0
        for index, number in enumerate(self.buttons):
            held |= (number in self.held) << index
        body = bytes([version, held, len(self.leds), *self.leds, len(self.buttons), *self.buttons])
        self.send(PANEL_HELLO, now_ms, body + self.name.encode())

    def button(self, number, pressed, at_ms):
        """A debounced edge."""
        if pressed == (number in self.held):
            return
        self.held ^= {number}
        if not self.session:
            return
        if len(self.edges) >= MAX_EDGES:
            self.session = self.alive_ms = 0  # the host does not listen: begin anew
            return
        self.edges.append((self.event, at_ms, number, pressed))
        self.event = (self.event + 1) % 256
        if len(self.edges) == 1:
            self.resend(at_ms)
        else:
            self.send_edge(self.edges[-1])

    def poll(self, now_ms):
        """What is due: call it at least every 10 ms."""
        if self.edges and now_ms >= self.resend_ms:
            self.resend(now_ms)
        if now_ms >= self.alive_ms:
            self.alive_ms = now_ms + ALIVE_MS
            self.send(ALIVE, now_ms, b"")
        if self.lit and now_ms - self.heard_ms >= HOST_LOST_MS:
            self.lit = False  # nobody knows whether the microphone is open: show nothing
            for number in self.leds:
                self.show(number, 0)

    def resend(self, now_ms):
        self.resend_ms = now_ms + RESEND_MS
        for edge in self.edges:
            self.send_edge(edge)

    def send_edge(self, edge):
        event, at_ms, number, pressed = edge
        self.send(EDGE, at_ms, bytes([event, number, int(pressed)]))

    def send(self, kind, at_ms, rest):
        self.sequence = (self.sequence + 1) % 256
        stamp = bytes([at_ms >> shift & 0xFF for shift in (0, 8, 16, 24)])
        self.write(encode(kind, self.sequence, bytes([self.session]) + stamp + rest))


class Debounce:
    """A button that settles: `feed` its level often, and get True or False once for every edge, else None."""

    def __init__(self):
        self.told = self.level = False
        self.since_ms = 0

    def feed(self, level, now_ms):
        if level != self.level:
            self.level, self.since_ms = level, now_ms
        if self.level != self.told and now_ms - self.since_ms >= SETTLE_MS:
            self.told = self.level
            return self.told
        return None


def on_a_microcontroller():
    from machine import PWM, UART, Pin

    uart = UART(0, 115200)
    lamps = {number: PWM(Pin(pin)) for number, pin in LEDS.items()}
    for lamp in lamps.values():
        lamp.freq(1000)
    switches = {number: (Pin(pin, Pin.IN, Pin.PULL_UP), Debounce()) for number, pin in BUTTONS.items()}
    panel = Panel(uart.write, lambda number, level: lamps[number].duty_u16(level * 257))
    last, now_ms = time.ticks_ms(), 0
    while True:
        ticks = time.ticks_ms()
        now_ms += time.ticks_diff(ticks, last)  # ticks_ms starts again after 12 days, now_ms does not
        last = ticks
        if uart.any():
            panel.receive(uart.read(), now_ms)
        for number, (pin, debounce) in switches.items():
            edge = debounce.feed(not pin.value(), now_ms)
            if edge is not None:
                panel.button(number, edge, debounce.since_ms)
        panel.poll(now_ms)
        time.sleep_ms(1)


def on_a_pc(path):
    import os
    import select
    import tty

    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port)
    names = {"mute": 1, "call": 2}
    shown = {}

    def show(number, level):
        if shown.get(number) != level:
            shown[number] = level
            print("led", number, level, flush=True)

    panel = Panel(lambda data: os.write(port, data), show)
    inputs = [port, sys.stdin.fileno()]
    while True:
        ready, _, _ = select.select(inputs, [], [], 0.01)
        now_ms = time.monotonic_ns() // 1000000
        if port in ready:
            panel.receive(os.read(port, 256), now_ms)
        if sys.stdin.fileno() in ready:
            typed = os.read(sys.stdin.fileno(), 256).decode()
            if not typed:
                return
            for line in typed.splitlines():
                action, _, name = line.partition(" ")
                panel.button(names[name], action == "press", now_ms)
        panel.poll(now_ms)


if __name__ == "__main__":
    if sys.implementation.name == "micropython" and len(sys.argv) < 2:
        on_a_microcontroller()
    else:
        on_a_pc(sys.argv[1])
