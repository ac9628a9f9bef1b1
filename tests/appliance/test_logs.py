from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from appliance import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    names = ("appliance", "hw", "provisioning", "aioice", "aiortc", "aiohttp.access", "av", "libav")
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in names}
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def test_a_traceback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(environ={})
    try:
        raise OSError("no\ncamera")
    except OSError:
        logging.getLogger("appliance.x").exception("lost %s", "it\n\n")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.match(
        r"\d\d:\d\d:\d\d\.\d{3} ERROR   appliance\.x: lost it \| Traceback .* \| OSError: no \| camera$", lines[0]
    )


def test_the_journal_gets_priorities_and_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(environ={"JOURNAL_STREAM": "8:1234"})
    logger = logging.getLogger("appliance.x")
    logger.info("a")
    logger.warning("b")
    logger.error("c")
    assert capsys.readouterr().err == "<6>appliance.x: a\n<4>appliance.x: b\n<3>appliance.x: c\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_libraries_are_quiet_and_verbose_is_about_us(verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(verbose, environ={"JOURNAL_STREAM": "8:1234"})
    for name in ("aioice.ice", "aiortc.rtcrtpsender", "aiohttp.access"):
        logging.getLogger(name).info("each packet")
    logging.getLogger("aiortc.rtcrtpsender").warning("odd")
    logging.getLogger("hw.alsa").debug("opened")
    expected = "<4>aiortc.rtcrtpsender: odd\n" + ("<7>hw.alsa: opened\n" if verbose else "")
    assert capsys.readouterr().err == expected
