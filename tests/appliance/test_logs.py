from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import journal, logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    names = ("appliance", "hw", "provisioning", "aioice", "aiortc", "aiohttp.access", "av", "libav")
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in names}
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
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


@pytest.fixture
def in_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Standard error belongs to a journal that does not listen."""
    monkeypatch.setattr(journal, "is_stderr", lambda environ: True)
    monkeypatch.setattr(journal, "SOCKET", str(tmp_path / "nobody"))


@pytest.mark.usefixtures("in_journal")
def test_without_its_socket_the_journal_gets_priorities_and_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(environ={})
    logger = logging.getLogger("appliance.x")
    logger.info("a")
    logger.warning("b")
    logger.error("c")
    assert capsys.readouterr().err == "<6>appliance.x: a\n<4>appliance.x: b\n<3>appliance.x: c\n"


@pytest.mark.usefixtures("in_journal")
@pytest.mark.parametrize("verbose", [False, True])
def test_libraries_are_quiet_and_verbose_is_about_us(verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(verbose, environ={})
    for name in ("aioice.ice", "aiortc.rtcrtpsender", "aiohttp.access"):
        logging.getLogger(name).info("each packet")
    logging.getLogger("aiortc.rtcrtpsender").warning("odd")
    logging.getLogger("hw.alsa").debug("opened")
    expected = "<4>aiortc.rtcrtpsender: odd\n" + ("<7>hw.alsa: opened\n" if verbose else "")
    assert capsys.readouterr().err == expected


def test_no_handler_sees_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[logging.LogRecord] = []

    class Ring(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    logs.set_up(environ={})
    logs.add_handler(Ring())
    logger = logging.getLogger("appliance.x")
    try:
        raise ValueError("rat_0123456789abcdef is wrong")
    except ValueError:
        logger.exception("GET %s", "/?token=xyzzy")
    logger.info("%s rat_0123456789abcdef %s", "a")  # one argument is missing
    logger.info("%d%%", 3)
    assert [record.getMessage() for record in seen] == [
        "GET /?token=***",
        "'%s *** %s' with ('a',) (not enough arguments for format string)",
        "3%",
    ]
    assert seen[0].exc_text is not None
    assert "*** is wrong" in seen[0].exc_text
    error = capsys.readouterr().err
    assert "GET /?token=*** | Traceback" in error
    assert "rat_" not in error
