from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provisioning.improv import (
    HEADER,
    TIME_LIMIT_S,
    Action,
    Ask,
    Cancel,
    Command,
    Decoder,
    ErrorCode,
    Facts,
    Improv,
    ImprovError,
    PacketType,
    State,
    encode,
    encode_result,
    parse_command,
)

GET_STATE = bytes.fromhex("494D50524F56010302020 0E50A".replace(" ", ""))  # the specification's own vector
URL = "https://192.0.2.7:8080/setup#code=4F7-K2M-9XB"
ALONE = Facts(wifi=True)
HOME = Facts(wifi=True, provisioned=True, urls=(URL,))


def rpc(command: int, payload: bytes = b"") -> bytes:
    return encode(PacketType.RPC, bytes((command, len(payload))) + payload)


def wifi(ssid: bytes = b"Home", password: bytes = b"secret word") -> bytes:
    return rpc(Command.WIFI, bytes((len(ssid),)) + ssid + bytes((len(password),)) + password)


def packets(data: bytes) -> list[tuple[int, bytes] | None]:
    return Decoder().feed(data, 0.0)


def told(actions: list[Action]) -> list[tuple[PacketType, bytes]]:
    """The packets among the actions."""
    out = b"".join(action for action in actions if isinstance(action, bytes))
    found = packets(out)
    return [(PacketType(packet[0]), packet[1]) for packet in found if packet is not None]


def asked(actions: list[Action]) -> Ask:
    [ask] = [action for action in actions if isinstance(action, Ask)]
    return ask


def texts(data: bytes) -> list[str]:
    """Of the data of a result."""
    found, at = [], 2
    assert data[1] == len(data) - 2
    while at < len(data):
        found.append(data[at + 1 : at + 1 + data[at]].decode())
        at += 1 + data[at]
    return found


def state_of(state: State) -> tuple[PacketType, bytes]:
    return PacketType.STATE, bytes((state,))


def error_of(code: ErrorCode) -> tuple[PacketType, bytes]:
    return PacketType.ERROR, bytes((code,))


# --- packets


def test_vector_of_the_specification() -> None:
    assert packets(GET_STATE) == [(PacketType.RPC, b"\x02\x00")]
    assert rpc(Command.STATE) == b"\n" + GET_STATE


def test_longest_packet() -> None:
    assert packets(encode(PacketType.RPC, b"x" * 255)) == [(PacketType.RPC, b"x" * 255)]
    with pytest.raises(ValueError, match="256 bytes"):
        encode(PacketType.RPC, b"x" * 256)


def test_result_that_does_not_fit_ends_with_whole_texts() -> None:
    [packet] = packets(encode_result(Command.STATE, ["a" * 200, "b" * 100, "c"]))
    assert packet is not None
    assert texts(packet[1]) == ["a" * 200]


_DATA = st.binary(max_size=255)


@given(st.lists(st.tuples(st.sampled_from(list(PacketType)), _DATA), max_size=5), st.data())
def test_packets_glued_together_and_cut_anywhere(sent: list[tuple[PacketType, bytes]], data: st.DataObject) -> None:
    stream = b"".join(encode(kind, content) for kind, content in sent)
    decoder, found = Decoder(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += decoder.feed(stream[:size], 0.0)
        stream = stream[size:]
    assert found == sent


@given(st.binary(max_size=300).filter(lambda noise: b"IMPROV" not in noise), _DATA)
def test_noise_before_a_packet(noise: bytes, content: bytes) -> None:
    assert packets(noise + encode(PacketType.RPC, content)) == [(PacketType.RPC, content)]


@given(_DATA, st.integers(0, 264), st.integers(1, 255))
def test_packet_with_one_wrong_byte(content: bytes, at: int, change: int) -> None:
    """It is dropped, and the next one is found, at the latest after a pause."""
    packet = bytearray(encode(PacketType.RPC, content))
    place = 1 + at % (len(packet) - 2)  # the line ends around it mean nothing
    packet[place] ^= change
    decoder = Decoder()
    found = [one for one in decoder.feed(bytes(packet), 0.0) + decoder.feed(GET_STATE, 1.0) if one is not None]
    assume(place != 9 or not found or content[: len(found[0][1])] != found[0][1])  # a length that fits by chance
    assert found == [(PacketType.RPC, b"\x02\x00")]


@given(_DATA, st.integers(0, 264))
def test_packet_that_lost_a_part_hides_the_next_one_no_longer_than_a_pause(content: bytes, at: int) -> None:
    packet = encode(PacketType.RPC, content)
    cut = packet[: at % (len(packet) - 2)]
    decoder = Decoder()
    found = decoder.feed(cut, 0.0) + decoder.feed(GET_STATE, 0.1) + decoder.feed(b"", 1.0)
    good = [one for one in found if one is not None]
    assume(not any(HEADER in data for _, data in good))  # the sum of both fits by chance: one byte cannot tell
    assert good == [(PacketType.RPC, b"\x02\x00")]


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_are_survived(chunks: list[bytes]) -> None:
    machine = Improv()
    for number, chunk in enumerate(chunks):
        for prefix in (b"", HEADER + b"\x03", rpc(Command.WIFI)[:-4]):
            machine.receive(prefix + chunk, number * 0.3)
        machine.advance(number * 0.3)


# --- commands


@pytest.mark.parametrize(
    ("data", "ask"),
    [
        (b"\x01\x08\x04Home\x02pw", Ask(7, Command.WIFI, ssid=b"Home", password="pw")),
        (b"\x01\x06\x04Home\x00", Ask(7, Command.WIFI, ssid=b"Home")),
        (b"\x02\x00", Ask(7, Command.STATE)),
        (b"\x05\x00", Ask(7, Command.HOSTNAME)),
        (b"\x05\x05porch", Ask(7, Command.HOSTNAME, text="porch")),
        ("\x06\x04Türe".encode()[:1] + b"\x05" + "Türe".encode(), Ask(7, Command.NAME, text="Türe")),
        (b"\x07\x00", Ask(7, Command.NETWORK)),
    ],
)
def test_commands(data: bytes, ask: Ask) -> None:
    assert parse_command(data, 7) == ask


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ErrorCode.INVALID_PACKET),
        (b"\x02", ErrorCode.INVALID_PACKET),
        (b"\x02\x01", ErrorCode.INVALID_PACKET),  # shorter than it says
        (b"\x02\x00x", ErrorCode.INVALID_PACKET),  # longer than it says
        (b"\x02\x01x", ErrorCode.INVALID_PACKET),  # wants no payload
        (b"\x01\x00", ErrorCode.INVALID_PACKET),
        (b"\x01\x02\x00\x00", ErrorCode.INVALID_PACKET),  # no SSID
        (b"\x01\x05\x04Home", ErrorCode.INVALID_PACKET),  # no password's length
        (b"\x01\x08\x04Home\x03pw", ErrorCode.INVALID_PACKET),
        (b"\x01\x08\x04Home\x01pw", ErrorCode.INVALID_PACKET),
        (b"\x06\x01\xff", ErrorCode.INVALID_PACKET),  # no UTF-8
        (b"\x08\x00", ErrorCode.UNKNOWN_COMMAND),
        (b"\x00\x00", ErrorCode.UNKNOWN_COMMAND),
    ],
)
def test_commands_that_are_none(data: bytes, code: ErrorCode) -> None:
    with pytest.raises(ImprovError) as caught:
        parse_command(data, 1)
    assert caught.value.code is code
    machine = Improv()
    assert told(machine.receive(encode(PacketType.RPC, data), 0.0)) == [error_of(code)]


@given(_DATA)
def test_any_command_is_read_or_refused(data: bytes) -> None:
    with suppress(ImprovError):
        assert parse_command(data, 1).command == data[0]


def test_password_is_in_no_log() -> None:
    assert "secret" not in repr(asked(Improv().receive(wifi(), 0.0)))


# --- the machine


def machine_with(facts: Facts = ALONE) -> Improv:
    machine = Improv()
    assert machine.observe(facts) == [], "nobody asked yet"
    return machine


def test_state_of_a_unit_without_a_network() -> None:
    assert told(machine_with().receive(rpc(Command.STATE), 0.0)) == [state_of(State.READY)]
    assert told(machine_with(Facts(ethernet=True)).receive(rpc(Command.STATE), 0.0)) == [state_of(State.STOPPED)]


def test_state_of_a_unit_in_a_network_comes_with_its_page() -> None:
    state, (kind, data) = told(machine_with(HOME).receive(rpc(Command.STATE), 0.0))
    assert (state, kind, data[0], texts(data)) == (state_of(State.PROVISIONED), PacketType.RESULT, Command.STATE, [URL])


def test_network_state() -> None:
    facts = Facts(wifi=True, ethernet=True, urls=(URL, "http://b"))
    [(_, data)] = told(machine_with(facts).receive(rpc(Command.NETWORK), 0.0))
    assert texts(data) == ["7", URL, "http://b"]
    [(_, data)] = told(machine_with(Facts(wifi=True)).receive(rpc(Command.NETWORK), 0.0))
    assert texts(data) == ["2"]


def test_joining() -> None:
    machine = machine_with()
    actions = machine.receive(wifi(), 0.0)
    ask = asked(actions)
    assert (ask.ssid, ask.password) == (b"Home", "secret word")
    assert told(actions) == [state_of(State.PROVISIONING)]
    assert told(machine.receive(rpc(Command.STATE), 1.0)) == [state_of(State.PROVISIONING)]
    assert machine.observe(HOME) == [], "still at it: its end is told with the address"
    state, (kind, data) = told(machine.done(ask, [[URL]]))
    assert state == state_of(State.PROVISIONED)
    assert (kind, data[0], texts(data)) == (PacketType.RESULT, Command.WIFI, [URL])
    assert machine.next_deadline_s() is None


def test_joining_that_fails_and_is_tried_again() -> None:
    machine = machine_with()
    ask = asked(machine.receive(wifi(), 0.0))
    assert told(machine.failed(ask, ErrorCode.UNABLE_TO_CONNECT)) == [
        error_of(ErrorCode.UNABLE_TO_CONNECT),
        state_of(State.READY),
    ]
    assert told(machine.receive(wifi(), 5.0)) == [error_of(ErrorCode.NONE), state_of(State.PROVISIONING)]


def test_failing_to_change_the_network_leaves_the_old_one() -> None:
    machine = machine_with(HOME)
    ask = asked(machine.receive(wifi(), 0.0))
    assert told(machine.failed(ask, ErrorCode.UNABLE_TO_CONNECT))[-1] == state_of(State.PROVISIONED)


def test_time_limit() -> None:
    machine = machine_with()
    ask = asked(machine.receive(wifi(), 100.0))
    assert machine.next_deadline_s() == 100.0 + TIME_LIMIT_S < 130.0, "the browser gives up after 30 s"
    assert machine.advance(100.0 + TIME_LIMIT_S - 0.1) == []
    actions = machine.advance(100.0 + TIME_LIMIT_S)
    assert actions[0] == Cancel(ask)
    assert told(actions) == [error_of(ErrorCode.UNABLE_TO_CONNECT), state_of(State.READY)]
    assert machine.done(ask, [[URL]]) == [], "too late"
    assert machine.failed(ask, ErrorCode.UNKNOWN) == []


def test_one_join_and_one_scan_at_a_time() -> None:
    machine = machine_with()
    first = asked(machine.receive(wifi(), 0.0))
    assert told(machine.receive(wifi(b"Other"), 1.0)) == [error_of(ErrorCode.UNABLE_TO_CONNECT)]
    machine.failed(first, ErrorCode.UNABLE_TO_CONNECT)
    scan = asked(machine.receive(rpc(Command.SCAN), 2.0))
    assert machine.receive(rpc(Command.SCAN), 3.0) == []
    assert asked(machine.receive(rpc(Command.INFO), 3.0)).command is Command.INFO
    results = told(machine.done(scan, [["Home", "-50", "YES"], []]))
    assert [texts(data) for _, data in results] == [["Home", "-50", "YES"], []]
    assert machine.receive(rpc(Command.SCAN), 4.0) != []


def test_network_that_comes_and_goes_is_told_to_who_asked_before() -> None:
    machine = machine_with()
    machine.receive(rpc(Command.STATE), 0.0)
    assert told(machine.observe(HOME)) == [state_of(State.PROVISIONED)]
    assert machine.observe(HOME) == []
    assert told(machine.observe(Facts())) == [state_of(State.STOPPED)]


def test_own_packets_that_come_back_are_no_commands() -> None:
    machine = machine_with(HOME)
    echo = b"".join(action for action in machine.receive(rpc(Command.STATE), 0.0) if isinstance(action, bytes))
    assert machine.receive(echo, 0.1) == []
