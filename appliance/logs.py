"""Logging: to the journal with fields where there is one, else one line a record on stderr; secrets never.

Every handler is added by `add_handler`, which puts the mask for secrets before it.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping

from appliance import journal
from appliance.redact import redact

_CHATTY = ("aioice", "aiortc", "aiohttp.access", "av", "libav")  # each packet, request or codec remark
_plain = logging.Formatter()


class LineFormatter(logging.Formatter):
    """Whatever a record holds, tracebacks too, on one line; `prefix` with its level as sd-daemon(3) wants it."""

    def __init__(self, prefix: bool) -> None:
        super().__init__()
        self._prefix = prefix

    def format(self, record: logging.LogRecord) -> str:
        text = " | ".join(line for line in super().format(record).splitlines() if line.strip())
        if self._prefix:
            return f"<{journal.PRIORITIES.get(record.levelno, 6)}>{record.name}: {text}"
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{clock}.{int(record.msecs):03d} {record.levelname:<7} {record.name}: {text}"


def mask(record: logging.LogRecord) -> bool:
    """Take the secrets out of `record`, for good: a filter that lets everything pass."""
    try:
        message = record.getMessage()
    except Exception as exc:  # logging would say so on stderr, secrets and all
        message = f"{record.msg!r} with {record.args!r} ({exc})"
    record.msg, record.args = redact(message), None
    if record.exc_info and not record.exc_text:
        record.exc_text = _plain.formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = redact(record.exc_text)  # every formatter takes it from there
    return True


def add_handler(handler: logging.Handler) -> None:
    """Let `handler` have all records, without their secrets. `logging.getLogger().removeHandler` takes it off again."""
    handler.addFilter(mask)
    logging.getLogger().addHandler(handler)


def set_up(verbose: bool = False, environ: Mapping[str, str] = os.environ) -> None:
    """Configure the root logger, replacing what was there."""
    in_journal = journal.is_stderr(environ)
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(prefix=in_journal))
    if in_journal:
        handler = journal.JournalHandler(fallback=handler)
    logging.basicConfig(handlers=[], level=logging.INFO, force=True)
    add_handler(handler)
    for name in ("appliance", "hw", "provisioning"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
