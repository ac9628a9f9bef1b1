"""Improv Wi-Fi over serial, version 1, the unit's side: packets, commands, and the machine that answers. Sans-IO.

    packet   "IMPROV" 01 type length data checksum \\n     checksum: sum of all bytes before it & FF; "\\n" ahead, too
    command  number length payload                        the data of an RPC packet
    result   number length (length text)*                 the data of a result packet

    READY --Wi-Fi command--> PROVISIONING --joined--> PROVISIONED      STOPPED: this machine has no Wi-Fi
                                  '-----failed, 25 s--> as before

Source: www.improv-wifi.com/serial and the browser's client (improv-wifi-serial-sdk 2.8.1), which gives up after 30 s,
sends one command at a time, and asks for the state every second until it is answered. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

HEADER = b"IMPROV\x01"
MAX_DATA = 255
TIME_LIMIT_S = 25.0
CUT_S = 0.5  # a packet comes in one piece: what is not whole after so long a pause was cut
_OVERHEAD = len(HEADER) + 3  # type, length, checksum


class PacketType(IntEnum):
    STATE = 1
    ERROR = 2
    RPC = 3
    RESULT = 4


class State(IntEnum):
    STOPPED = 0
    READY = 2
    PROVISIONING = 3
    PROVISIONED = 4


class ErrorCode(IntEnum):
    NONE = 0
    INVALID_PACKET = 1
    UNKNOWN_COMMAND = 2
    UNABLE_TO_CONNECT = 3
    BAD_HOSTNAME = 5
    UNKNOWN = 0xFF


class Command(IntEnum):
    WIFI = 1
    STATE = 2
    INFO = 3
    SCAN = 4
    HOSTNAME = 5
    NAME = 6
    NETWORK = 7


class ImprovError(Exception):
    """What is answered instead of a result."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name.lower().replace("_", " "))
        self.code = code


@dataclass(frozen=True, slots=True)
class Ask:
    """A command to carry out; `text` of HOSTNAME and NAME is the new one, None asks for the present one."""

    number: int
    command: Command
    ssid: bytes = b""
    password: str = field(default="", repr=False)
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up what was asked for: its time is over."""

    ask: Ask


Action = bytes | Ask | Cancel


@dataclass(frozen=True, slots=True)
class Facts:
    """The network: which kinds this machine has, whether its Wi-Fi is in one, addresses of the page where online."""

    wifi: bool = False
    ethernet: bool = False
    provisioned: bool = False
    urls: tuple[str, ...] = ()

    @property
    def flags(self) -> int:
        return int(bool(self.urls)) | self.wifi << 1 | self.ethernet << 2


def encode(kind: PacketType, data: bytes) -> bytes:
    """One packet with the line ends around it that keep it apart from log lines. ValueError: over 255 bytes."""
    if len(data) > MAX_DATA:
        raise ValueError(f"{len(data)} bytes do not fit into an Improv packet of {MAX_DATA}")
    packet = HEADER + bytes((kind, len(data))) + data
    return b"\n" + packet + bytes((sum(packet) & 0xFF, 0x0A))


def encode_result(command: Command, texts: Sequence[str]) -> bytes:
    """Texts that do not fit are left out, from the first such one on."""
    body = b""
    for text in texts:
        part = text.encode()
        if len(body) + 1 + len(part) > MAX_DATA - 2:
            break
        body += bytes((len(part),)) + part
    return encode(PacketType.RESULT, bytes((command, len(body))) + body)


class Decoder:
    """Packets out of a stream with anything between them, also cut, corrupt and glued ones.

    A packet in a damaged one is found: after a false start the search goes on one byte behind it.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._fed_s = float("-inf")

    def feed(self, data: bytes, now_s: float) -> list[tuple[int, bytes] | None]:
        """Type and data of each packet that is whole now; None for one whose checksum is wrong."""
        packets: list[tuple[int, bytes] | None] = []
        if now_s - self._fed_s > CUT_S and self._buffer:
            del self._buffer[0]
            self._take(packets)
            self._buffer.clear()
        self._fed_s = now_s
        self._buffer += data
        self._take(packets)
        return packets

    def _take(self, packets: list[tuple[int, bytes] | None]) -> None:
        buffer = self._buffer
        while self._find_header():
            if len(buffer) < _OVERHEAD:
                return
            kind, length = buffer[7], buffer[8]
            if len(buffer) < _OVERHEAD + length:
                return
            if sum(buffer[: 9 + length]) & 0xFF == buffer[9 + length]:
                packets.append((kind, bytes(buffer[9 : 9 + length])))
                del buffer[: _OVERHEAD + length]
            else:
                packets.append(None)
                del buffer[0]

    def _find_header(self) -> bool:
        """Drops what cannot be the begin of a packet; whether a whole header stands in front."""
        buffer = self._buffer
        at = buffer.find(HEADER)
        if at < 0:
            kept = next((n for n in range(len(HEADER) - 1, 0, -1) if buffer.endswith(HEADER[:n])), 0)
            del buffer[: len(buffer) - kept]
            return False
        del buffer[:at]
        return True


def parse_command(data: bytes, number: int) -> Ask:
    """The data of an RPC packet. Raises `ImprovError`."""
    if len(data) < 2 or len(data) != 2 + data[1]:
        raise ImprovError(ErrorCode.INVALID_PACKET)
    payload = data[2:]
    try:
        command = Command(data[0])
    except ValueError:
        raise ImprovError(ErrorCode.UNKNOWN_COMMAND) from None
    if command is Command.WIFI:
        ssid, rest = _part(payload)
        password, rest = _part(rest)
        if not ssid or rest:
            raise ImprovError(ErrorCode.INVALID_PACKET)
        return Ask(number, command, ssid=ssid, password=_text(password))
    if command in (Command.HOSTNAME, Command.NAME):
        return Ask(number, command, text=_text(payload) if payload else None)
    if payload:
        raise ImprovError(ErrorCode.INVALID_PACKET)
    return Ask(number, command)


def _part(data: bytes) -> tuple[bytes, bytes]:
    """The text in front, by its length byte, and the rest."""
    if not data or len(data) < 1 + data[0]:
        raise ImprovError(ErrorCode.INVALID_PACKET)
    return data[1 : 1 + data[0]], data[1 + data[0] :]


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ImprovError(ErrorCode.INVALID_PACKET) from None


class Improv:
    """Answers one client. What takes time it asks its shell for, with a limit; everything else it answers itself.

    A client that went away leaves its question behind: another one's is answered beside it, except that there is one
    scan and one join at a time.
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._decoder = Decoder()
        self._pending: dict[Ask, float] = {}  # until when
        self._number = 0
        self._error = ErrorCode.NONE
        self._told: State | None = None

    @property
    def state(self) -> State:
        if any(ask.command is Command.WIFI for ask in self._pending):
            return State.PROVISIONING
        if not self.facts.wifi:
            return State.STOPPED
        return State.PROVISIONED if self.facts.provisioned else State.READY

    def observe(self, facts: Facts) -> list[Action]:
        """The network changed, perhaps."""
        self.facts = facts
        return [] if self._told is None else self._tell_change()

    def receive(self, data: bytes, now_s: float) -> list[Action]:
        actions: list[Action] = []
        for packet in self._decoder.feed(data, now_s):
            if packet is None:
                actions += self._fail(ErrorCode.INVALID_PACKET)
            elif packet[0] == PacketType.RPC:  # others are echoes of our own
                self._number += 1
                try:
                    actions += self._obey(parse_command(packet[1], self._number), now_s)
                except ImprovError as exc:
                    actions += self._fail(exc.code)
        return actions

    def done(self, ask: Ask, results: Sequence[Sequence[str]]) -> list[Action]:
        """What was asked for came out so; a join after `observe` of the network it is in now."""
        if self._pending.pop(ask, None) is None:
            return []
        change = self._tell_change() if ask.command is Command.WIFI else []
        return [*change, *(encode_result(ask.command, texts) for texts in results)]

    def failed(self, ask: Ask, code: ErrorCode) -> list[Action]:
        """What was asked for cannot be had."""
        if self._pending.pop(ask, None) is None:
            return []
        return [*self._fail(code), *(self._tell_change() if ask.command is Command.WIFI else [])]

    def advance(self, now_s: float) -> list[Action]:
        """Ends what takes too long."""
        actions: list[Action] = []
        for ask in [ask for ask, until_s in self._pending.items() if until_s <= now_s]:
            code = ErrorCode.UNABLE_TO_CONNECT if ask.command is Command.WIFI else ErrorCode.UNKNOWN
            actions += [Cancel(ask), *self.failed(ask, code)]
        return actions

    def next_deadline_s(self) -> float | None:
        return min(self._pending.values(), default=None)

    def _obey(self, ask: Ask, now_s: float) -> list[Action]:
        if ask.command is Command.STATE:
            answers: list[Action] = [self._tell_state()]
            if self.state is State.PROVISIONED:
                answers.append(encode_result(ask.command, self.facts.urls))
            return answers
        if ask.command is Command.NETWORK:
            return [encode_result(ask.command, [str(self.facts.flags), *self.facts.urls])]
        busy = [known for known in self._pending if known.command is ask.command]
        if busy and ask.command is Command.SCAN:
            return []  # its results are this one's, too
        if busy and ask.command is Command.WIFI:
            return self._fail(ErrorCode.UNABLE_TO_CONNECT)
        self._pending[ask] = now_s + TIME_LIMIT_S
        if ask.command is Command.WIFI:
            return [*self._fail(ErrorCode.NONE), self._tell_state(), ask]
        return [ask]

    def _tell_state(self) -> bytes:
        self._told = self.state
        return encode(PacketType.STATE, bytes((self.state,)))

    def _tell_change(self) -> list[Action]:
        return [self._tell_state()] if self.state is not self._told else []

    def _fail(self, code: ErrorCode) -> list[Action]:
        """Tells an error; that there is none any more it tells once."""
        if code is ErrorCode.NONE and self._error is ErrorCode.NONE:
            return []
        self._error = code
        return [encode(PacketType.ERROR, bytes((code,)))]
