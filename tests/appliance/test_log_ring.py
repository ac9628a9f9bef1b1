"""The log in memory: bounded, filtered, without secrets, and as a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from appliance import logs
from appliance.log_ring import MAX_TEXT, LogQuery, LogRing

logger = logging.getLogger("appliance.test_log_ring")


@pytest.fixture
def ring() -> Iterator[LogRing]:
    ring = LogRing(max_records=5)
    logs.add_handler(ring)
    logger.setLevel(logging.DEBUG)
    yield ring
    logging.getLogger().removeHandler(ring)
    logger.setLevel(logging.NOTSET)


def messages(ring: LogRing, **query: object) -> list[str]:
    return [record.message for record in ring.find(LogQuery(**query)).records]  # type: ignore[arg-type]


def test_the_last_records_stay(ring: LogRing) -> None:
    for index in range(8):
        logger.info("record %d", index)
    answer = ring.find(LogQuery())
    assert [record.message for record in answer.records] == [f"record {index}" for index in range(3, 8)]
    assert answer.dropped == 3
    assert [record.number for record in answer.records] == [4, 5, 6, 7, 8]
    assert messages(ring, after=7) == ["record 7"]
    assert messages(ring, limit=2) == ["record 6", "record 7"]


def test_filters(ring: LogRing) -> None:
    logger.debug("Camera opens")
    logger.warning("camera lost")
    logger.error("panel lost")
    assert messages(ring, level="warning") == ["camera lost", "panel lost"]
    assert messages(ring, q="CAMERA") == ["Camera opens", "camera lost"]
    assert messages(ring, q="test_log_ring", level="error") == ["panel lost"]


def test_long_records_are_cut_and_tracebacks_kept(ring: LogRing) -> None:
    logger.info("x" * 10_000)
    try:
        raise ValueError("inside")
    except ValueError:
        logger.exception("failed")
    long, failed = messages(ring)
    assert len(long) == MAX_TEXT + 1
    assert failed.endswith("ValueError: inside")


def test_secrets_do_not_get_in(ring: LogRing) -> None:
    logger.info("login with password=hunter2hunter2")
    assert "hunter2hunter2" not in messages(ring)[0]


def test_as_a_file(ring: LogRing) -> None:
    logger.warning("camera lost")
    [line] = ring.lines(LogQuery())
    assert line.endswith(" warning appliance.test_log_ring: camera lost\n")
    assert "+00:00" in line
