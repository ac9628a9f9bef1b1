"""The last records of the log, in memory: for the page, which has no journal to look into."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from provisioning.http_json import BodyError, answer
from provisioning.http_routes import ApiRoute

MAX_RECORDS = 2000
MAX_TEXT = 2000  # characters of one record

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_formatter = logging.Formatter()


class LogRecordInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`number` counts from the start of the program; `monotonic_s` orders records where the wall clock was set."""

    number: int
    at: float  # seconds since 1970, by the clock of then
    monotonic_s: float
    level: Level
    logger: str
    message: str


class LogAnswer(msgspec.Struct, kw_only=True):
    """Oldest first. `dropped`: records before the first that is still there."""

    records: list[LogRecordInfo]
    dropped: int


class LogQuery(msgspec.Struct, kw_only=True):
    """`level`: this and worse. `q`: in the message or the logger's name. `after`: records of a greater number.
    `limit`: the newest so many."""

    level: Level = "debug"
    q: Annotated[str, Meta(max_length=200)] = ""
    after: Annotated[int, Meta(ge=0, le=2**53)] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_RECORDS)] = 500


class LogRing(logging.Handler):
    """Keeps what `logs.add_handler` gives it, which takes the secrets out."""

    def __init__(self, max_records: int = MAX_RECORDS) -> None:
        super().__init__()
        self.length = max_records
        self._records: deque[LogRecordInfo] = deque(maxlen=max_records)
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = _formatter.format(record)
        except Exception:
            self.handleError(record)
            return
        self._count += 1
        self._records.append(
            LogRecordInfo(
                number=self._count,
                at=record.created,
                monotonic_s=round(time.monotonic(), 3),
                level=_level(record.levelno),
                logger=record.name,
                message=text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…",
            )
        )

    def forget(self) -> None:
        """Every record so far counts as dropped."""
        self._records.clear()

    def find(self, query: LogQuery) -> LogAnswer:
        records = tuple(self._records)  # threads log meanwhile
        words = query.q.casefold()
        found = [
            record
            for record in records
            if record.number > query.after
            and _LEVELS[record.level] >= _LEVELS[query.level]
            and (not words or words in record.message.casefold() or words in record.logger.casefold())
        ]
        return LogAnswer(records=found[-query.limit :], dropped=records[0].number - 1 if records else self._count)

    def lines(self, query: LogQuery) -> Iterator[str]:
        """As a text file, in UTC."""
        for record in self.find(query).records:
            clock = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds")
            yield f"{clock} {record.level:<7} {record.logger}: {record.message}\n"

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "GET",
                "/api/logs",
                self._get,
                scope="admin",
                summary="The last log records.",
                query=LogQuery,
                answer=LogAnswer,
            ),
            ApiRoute(
                "GET",
                "/api/logs.txt",
                self._get_text,
                scope="admin",
                summary="The last log records as a text file.",
                query=LogQuery,
                answer=str,
                content_type="text/plain",
            ),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        return answer(self.find(_query(request)))

    async def _get_text(self, request: web.Request) -> web.Response:
        headers = {"Content-Disposition": 'attachment; filename="room-appliance.log"'}
        query = _query(request)
        text = await asyncio.to_thread(lambda: "".join(self.lines(query)))
        return web.Response(text=text, content_type="text/plain", headers=headers)


def _query(request: web.Request) -> LogQuery:
    try:
        return msgspec.convert(dict(request.query), LogQuery, strict=False)
    except msgspec.ValidationError as exc:
        raise BodyError(f"{exc}; see the fields of LogQuery: level, q, after, limit") from exc


def _level(number: int) -> Level:
    return "error" if number >= 40 else "warning" if number >= 30 else "info" if number >= 20 else "debug"
