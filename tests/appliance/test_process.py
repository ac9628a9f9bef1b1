from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

import pytest

PRELUDE = """
import asyncio, sys, threading, time
from appliance import process

def say(word):
    print(word, flush=True)
"""


class Program:
    def __init__(self, body: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def expect(self, word: str) -> None:
        assert self.process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], 10)
            assert ready, f"no {word!r} within 10 s"
            char = os.read(self.process.stdout.fileno(), 1)
            assert char, f"ended without {word!r}"
            line += char
        assert line == word.encode() + b"\n"

    def signal(self, number: int) -> float:
        self.process.send_signal(number)
        return time.monotonic()

    def end(self) -> tuple[int, str]:
        """Exit status and standard error."""
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors.decode()


@pytest.fixture
def start() -> Iterator[type[Program]]:
    programs: list[Program] = []

    class Started(Program):
        def __init__(self, body: str) -> None:
            super().__init__(body)
            programs.append(self)

    yield Started
    for program in programs:
        program.process.kill()
        program.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_cancels_and_ends_with_0(start: type[Program], number: int) -> None:
    program = start("""
        async def main():
            say("up")
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                say("left the room")
        process.run(main)
    """)
    program.expect("up")
    program.signal(number)
    program.expect("left the room")
    assert program.end() == (0, "")


def test_main_that_ends_by_itself(start: type[Program]) -> None:
    program = start("""
        async def main():
            say("done")
        process.run(main)
    """)
    program.expect("done")
    assert program.end() == (0, "")


def test_error_of_main_is_raised(start: type[Program]) -> None:
    program = start("""
        async def main():
            raise OSError("no port")
        try:
            process.run(main)
        except OSError as exc:
            sys.exit(f"caught {exc}")
    """)
    assert program.end() == (1, "caught no port\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("obstacle", ["await asyncio.Event().wait()", "await asyncio.to_thread(time.sleep, 60)"])
def test_second_signal_ends_at_once(start: type[Program], obstacle: str, number: int) -> None:
    program = start(f"""
        async def main():
            say("up")
            try:
                await asyncio.Event().wait()
            finally:
                say("leaving")
                {obstacle}
        process.run(main)
    """)
    program.expect("up")
    program.signal(number)
    program.expect("leaving")
    at_s = program.signal(number)
    assert program.end() == (-number, "")
    assert time.monotonic() - at_s < 0.5


def test_whatever_holds_it_up_it_ends_within_2_s(start: type[Program]) -> None:
    obstacles = (
        "await asyncio.Event().wait()  # never leaves",
        "time.sleep(60)  # a blocked loop",
        "threading.Thread(target=time.sleep, args=(60,)).start()  # a thread that stays",
        "await asyncio.to_thread(time.sleep, 60)",
    )
    programs = [
        start(f"""
            async def main():
                say("up")
                try:
                    await asyncio.Event().wait()
                finally:
                    {obstacle}
            process.run(main)
        """)
        for obstacle in obstacles
    ]
    for program in programs:
        program.expect("up")
    for program in programs:
        at_s = program.signal(signal.SIGINT)
    for program, obstacle in zip(programs, obstacles, strict=True):
        assert program.end() == (1, "room-appliance: not stopped within 1.8 s, ended by force\n"), obstacle
    assert time.monotonic() - at_s < 2.0 + 0.2  # a busy machine's scheduling


def test_what_was_imported_is_no_work_for_the_garbage_collector(start: type[Program]) -> None:
    program = start(
        """
        import gc

        before = len(gc.get_objects())

        async def main():
            say("few" if len(gc.get_objects()) < before / 10 else "many")

        process.run(main)
        """
    )
    program.expect("few")
    assert program.end() == (0, "")


def test_the_garbage_collector_that_rested_for_the_imports_works(start: type[Program]) -> None:
    program = start(
        """
        import gc

        gc.disable()

        async def main():
            say("works" if gc.isenabled() else "rests")

        process.run(main)
        """
    )
    program.expect("works")
    assert program.end() == (0, "")


def test_pages_stay_small(start: type[Program]) -> None:
    program = start(
        """
        from pathlib import Path

        async def main():
            say("small" if "THP_enabled:\\t0" in Path("/proc/self/status").read_text() else "huge")

        process.run(main)
        """
    )
    program.expect("small")
    assert program.end() == (0, "")


def test_a_loop_that_hangs_says_where_before_the_watchdog_ends_it(start: type[Program]) -> None:
    program = start("""
        def stuck():
            say("up")
            time.sleep(60)

        async def main():
            stuck()
        process.run(main)
    """)
    program.expect("up")
    program.signal(signal.SIGABRT)
    status, errors = program.end()
    assert status == -signal.SIGABRT
    assert "in stuck" in errors
