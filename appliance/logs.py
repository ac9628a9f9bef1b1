"""Logging: one line a record on stderr, with a priority where the journal reads it and a time where people do."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping

# sd-daemon(3): the journal takes the level from this prefix
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_CHATTY = ("aioice", "aiortc", "aiohttp.access", "av", "libav")  # each packet, request or codec remark


class LineFormatter(logging.Formatter):
    """Whatever a record holds, tracebacks too, on one line."""

    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = " | ".join(line for line in super().format(record).splitlines() if line.strip())
        if self._journal:
            return f"<{_PRIORITIES.get(record.levelno, 6)}>{record.name}: {text}"
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{clock}.{int(record.msecs):03d} {record.levelname:<7} {record.name}: {text}"


def set_up(verbose: bool = False, environ: Mapping[str, str] = os.environ) -> None:
    """Configure the root logger, replacing what was there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(journal="JOURNAL_STREAM" in environ))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in ("appliance", "hw", "provisioning"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
