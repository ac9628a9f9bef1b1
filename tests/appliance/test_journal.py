from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import journal
from appliance.log_fields import about


def parsed(datagram: bytes) -> dict[str, str]:
    """As journald reads it."""
    values: dict[str, str] = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        values[name.decode()] = value.decode()
        datagram = rest
    return values


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "journal"))
        end.settimeout(5)
        yield end


class Shelf(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def logger(tmp_path: Path, shelf: Shelf) -> Iterator[logging.Logger]:
    handler = journal.JournalHandler(shelf, str(tmp_path / "journal"))
    logger = logging.Logger("hw.alsa")
    logger.addHandler(handler)
    yield logger
    handler.close()


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True), st.text(st.characters(codec="utf-8")), max_size=5
    )
)
def test_entries_say_what_they_were_given(values: dict[str, str]) -> None:
    assert parsed(journal.entry(values)) == values


def test_what_is_no_text_and_what_is_too_long() -> None:
    assert parsed(journal.entry({"MESSAGE": "a\udcffb"})) == {"MESSAGE": "a\\udcffb"}
    long = parsed(journal.entry({"MESSAGE": "é" * journal.MAX_VALUE_BYTES}))["MESSAGE"]
    assert long.endswith(f"é ... and {journal.MAX_VALUE_BYTES} bytes more")


async def test_fields(journald: socket.socket, logger: logging.Logger) -> None:
    async def fail() -> None:
        try:
            raise OSError("gone")
        except OSError:
            logger.exception("lost %s", "it")

    await asyncio.create_task(fail(), name="session-devices", context=about(room="lobby", peer="anna"))
    fields = parsed(journald.recv(1 << 18))
    message = fields.pop("MESSAGE")
    assert message.startswith("lost it\nTraceback")
    assert message.endswith("OSError: gone")
    assert int(fields.pop("CODE_LINE")) > 0
    assert fields == {
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "room-appliance",
        "LOGGER": "hw.alsa",
        "CODE_FILE": __file__,
        "CODE_FUNC": "fail",
        "THREAD_NAME": "MainThread",
        "TASK_NAME": "session-devices",
        "ROOM": "lobby",
        "PEER": "anna",
    }


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")]
)
def test_priorities(journald: socket.socket, logger: logging.Logger, level: str, priority: str) -> None:
    getattr(logger, level)("x")
    assert parsed(journald.recv(1 << 18))["PRIORITY"] == priority


def test_a_journal_that_does_not_read_holds_up_nobody(journald: socket.socket, logger: logging.Logger) -> None:
    start_s = time.monotonic()
    for number in range(3000):  # far beyond the socket's queue
        logger.info("entry %d", number)
    assert time.monotonic() - start_s < 3
    taken = 0
    journald.setblocking(False)
    while True:
        try:
            journald.recv(1 << 18)
        except BlockingIOError:
            break
        taken += 1
    journald.settimeout(5)
    logger.info("after")
    loss = parsed(journald.recv(1 << 18))
    assert loss["MESSAGE"].startswith(f"{3000 - taken} log entries are lost")
    assert loss["PRIORITY"] == "4"
    assert parsed(journald.recv(1 << 18))["MESSAGE"] == "after"


def test_without_a_journal_records_go_to_the_fallback(tmp_path: Path, logger: logging.Logger, shelf: Shelf) -> None:
    logger.info("nobody there")
    assert shelf.messages == ["nobody there"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as late:
        late.bind(str(tmp_path / "journal"))
        logger.info("there now")
        assert parsed(late.recv(1 << 18))["MESSAGE"] == "there now"
    assert shelf.messages == ["nobody there"]


def test_the_longest_entry_fits_into_a_datagram(journald: socket.socket, logger: logging.Logger) -> None:
    logger.info("%s", "x" * 500_000)
    assert parsed(journald.recv(1 << 18))["MESSAGE"].endswith("bytes more")


def test_whether_stderr_is_the_journal() -> None:
    with tempfile.TemporaryFile() as file:
        status = os.fstat(file.fileno())
        named = f"{status.st_dev}:{status.st_ino}"
        assert journal.is_stderr({"JOURNAL_STREAM": named}, file.fileno())
        for other in ("", "8:1", f"{named}1", "a:b", named.replace(":", "")):
            assert not journal.is_stderr({"JOURNAL_STREAM": other}, file.fileno())
    assert not journal.is_stderr({"JOURNAL_STREAM": named}, 10_000)
