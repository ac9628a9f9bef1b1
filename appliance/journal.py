"""Records for systemd's journal with priorities and fields, by its native protocol.

Source: systemd.io/JOURNAL_NATIVE_PROTOCOL and systemd.journal-fields(7). One datagram is one entry; each field is
`NAME=value` and a line feed or, when the value has line feeds, `NAME`, a line feed, the length as 64 bits
little-endian, the value, a line feed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

from appliance.log_fields import fields

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "room-appliance"
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
MAX_VALUE_BYTES = 32 * 1024  # an entry then fits into one datagram, whatever wmem_default is


def is_stderr(environ: Mapping[str, str], descriptor: int = 2) -> bool:
    """Whether standard error goes to the journal: $JOURNAL_STREAM (systemd.exec(5)) names its device and inode."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(descriptor)
        return (int(device), int(inode)) == (status.st_dev, status.st_ino)
    except (OSError, ValueError):
        return False


def entry(values: Mapping[str, str]) -> bytes:
    """The datagram for these fields; values over `MAX_VALUE_BYTES` are cut and say so."""
    parts: list[bytes] = []
    for name, text in values.items():
        value = text.encode("utf-8", "backslashreplace")  # a lone surrogate is no UTF-8
        if len(value) > MAX_VALUE_BYTES:
            cut = value[:MAX_VALUE_BYTES].decode("utf-8", "ignore")
            value = f"{cut} ... and {len(value) - MAX_VALUE_BYTES} bytes more".encode()
        if b"\n" in value:
            parts += (name.encode(), b"\n", len(value).to_bytes(8, "little"), value, b"\n")
        else:
            parts += (name.encode(), b"=", value, b"\n")
    return b"".join(parts)


class JournalHandler(logging.Handler):
    """Writes to the journal and never waits for it.

    Where there is no journal a record goes to `fallback`. What a full journal does not take is counted, and the count
    goes with the next entry that it takes.
    """

    def __init__(self, fallback: logging.Handler, path: str = "") -> None:
        super().__init__()
        self._path = path or SOCKET
        self._fallback = fallback
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._lost:
                self._socket.sendto(entry(_words_of_loss(self._lost)), self._path)
                self._lost = 0
            self._socket.sendto(entry(self._fields(record)), self._path)
        except BlockingIOError:
            self._lost += 1
        except OSError:
            self._fallback.handle(record)
        except Exception:  # a record that cannot be formatted: logging's own way, as in every handler
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        return {
            "MESSAGE": self.format(record),
            "PRIORITY": str(PRIORITIES.get(record.levelno, 6)),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
            "THREAD_NAME": record.threadName or "",
            "TASK_NAME": _task_name(),
            **{name.upper(): value for name, value in fields().items()},
        }


def _task_name() -> str:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop in this thread
        return ""
    return task.get_name() if task is not None else ""


def _words_of_loss(count: int) -> dict[str, str]:
    return {
        "MESSAGE": f"{count} log entries are lost: the journal did not take them in time",
        "PRIORITY": str(PRIORITIES[logging.WARNING]),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "LOGGER": __name__,
    }
