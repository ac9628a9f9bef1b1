from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest

from appliance.errors import RestartsExceededError
from appliance.supervisor import ChildSpec, Restarted, RestartKind, RestartPolicy, Supervisor, decide, is_healthy

POLICY = RestartPolicy(max_restarts=3, window_s=10.0, backoff_first_s=0.5, backoff_max_s=3.0)
QUICK = RestartPolicy(max_restarts=3, window_s=60.0, backoff_first_s=0.001, backoff_max_s=0.001)

Start = Callable[[], Coroutine[None, None, None]]


@contextlib.asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(supervisor.run(), name="run")
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, RestartsExceededError):
            await task


async def settled() -> None:
    """Everything that the loop can do without waiting for time has been done."""
    for _ in range(20):
        await asyncio.sleep(0)


class Child:
    """A child that fails at its first starts and then stays, and what happened to it."""

    def __init__(self, failures: int = 0, journal: list[str] | None = None, name: str = "child") -> None:
        self.failures = failures
        self.starts = 0
        self.up = asyncio.Event()
        self.journal = journal if journal is not None else []
        self.name = name

    async def start(self) -> None:
        self.starts += 1
        if self.starts <= self.failures:
            raise OSError(f"no device {self.starts}")
        self.journal.append(f"{self.name} up")
        self.up.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.journal.append(f"{self.name} down")


# --- the decision


@pytest.mark.parametrize(
    ("kind", "failed", "verdict"),
    [
        ("permanent", True, "restart"),
        ("permanent", False, "restart"),
        ("transient", True, "restart"),
        ("transient", False, "stay"),
        ("temporary", True, "stay"),
        ("temporary", False, "stay"),
    ],
)
def test_restart_kind(kind: RestartKind, failed: bool, verdict: str) -> None:
    assert decide(kind, "a", failed, (), 0.0, POLICY).verdict == verdict


def test_too_many_restarts_of_all_children_give_up() -> None:
    history = (Restarted("a", 1.0), Restarted("b", 2.0), Restarted("c", 3.0))
    assert decide("permanent", "a", True, history, 10.9, POLICY).verdict == "give_up"


def test_restarts_before_the_window_are_forgotten() -> None:
    history = (Restarted("a", 1.0), Restarted("b", 2.0), Restarted("c", 3.0))
    decision = decide("permanent", "a", True, history, 11.0, POLICY)
    assert decision.verdict == "restart"
    assert decision.history == (Restarted("b", 2.0), Restarted("c", 3.0), Restarted("a", 11.0))


def test_back_off_doubles_for_the_child_that_fails_and_is_bounded() -> None:
    policy = RestartPolicy(max_restarts=9, window_s=100.0, backoff_first_s=0.5, backoff_max_s=3.0)
    history: tuple[Restarted, ...] = ()
    delays = []
    for at in range(5):
        decision = decide("permanent", "a", True, history, float(at), policy)
        history = decision.history
        delays.append(decision.delay_s)
    assert delays == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert decide("permanent", "b", True, history, 5.0, policy).delay_s == 0.5


def test_only_failed_is_unhealthy() -> None:
    assert is_healthy({"a": "ok", "b": {"c": "offline: retrying in 3 s", "d": "degraded: no camera"}})
    assert not is_healthy({"a": "ok", "b": {"c": "failed: no frames for 10 s"}})


# --- the supervisor


async def test_failing_child_is_restarted_until_it_stays() -> None:
    child = Child(failures=2)
    async with running(Supervisor("top", [ChildSpec("child", child.start)], QUICK)):
        async with asyncio.timeout(5):
            await child.up.wait()
    assert child.starts == 3


async def test_others_live_on_while_one_is_restarted() -> None:
    journal: list[str] = []
    steady, flaky = Child(journal=journal, name="steady"), Child(failures=2, journal=journal, name="flaky")
    supervisor = Supervisor("top", [ChildSpec("steady", steady.start), ChildSpec("flaky", flaky.start)], QUICK)
    async with running(supervisor), asyncio.timeout(5):
        await flaky.up.wait()
        assert journal == ["steady up", "flaky up"]
        assert supervisor.restarts == {"flaky": 2}


async def test_giving_up_names_the_child_and_stops_the_others() -> None:
    steady = Child()
    hopeless = Child(failures=99)
    supervisor = Supervisor("top", [ChildSpec("steady", steady.start), ChildSpec("bad", hopeless.start)], QUICK)
    with pytest.raises(RestartsExceededError, match=r"top: more than 3 restarts within 60 s, the last of bad: OSError"):
        async with asyncio.timeout(5):
            await supervisor.run()
    assert hopeless.starts == 4
    assert steady.journal[-1] == "child down"


async def test_children_stop_in_reverse_order() -> None:
    journal: list[str] = []
    children = [Child(journal=journal, name=name) for name in "abc"]
    async with running(Supervisor("top", [ChildSpec(child.name, child.start) for child in children])):
        async with asyncio.timeout(5):
            await children[-1].up.wait()
    assert journal == ["a up", "b up", "c up", "c down", "b down", "a down"]


async def test_next_child_is_stopped_only_when_the_later_one_is_gone() -> None:
    journal: list[str] = []
    up = asyncio.Event()

    async def leaves_slowly() -> None:
        try:
            up.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            journal.append("left")

    hub = Child(journal=journal, name="hub")
    async with running(Supervisor("top", [ChildSpec("hub", hub.start), ChildSpec("session", leaves_slowly)])):
        async with asyncio.timeout(5):
            await up.wait()
    assert journal == ["hub up", "left", "hub down"]


async def test_child_that_will_not_stop_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    up, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        up.set()
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    async with running(Supervisor("top", [ChildSpec("stubborn", stubborn, shutdown_timeout_s=0.02)])):
        async with asyncio.timeout(5):
            await up.wait()
    assert "top/stubborn: not stopped within 0.0 s, left behind" in caplog.text
    release.set()
    left = [task for task in asyncio.all_tasks() if task.get_name() == "top/stubborn"]
    assert len(left) == 1
    await left[0]


async def test_error_while_stopping_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    first = Child()
    up = asyncio.Event()

    async def breaks_down() -> None:
        try:
            up.set()
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("socket is gone")

    async with running(Supervisor("top", [ChildSpec("first", first.start), ChildSpec("second", breaks_down)])):
        async with asyncio.timeout(5):
            await up.wait()
    assert "top/second: failed while stopping: RuntimeError: socket is gone" in caplog.text
    assert first.journal == ["child up", "child down"]


async def test_cancelled_from_elsewhere_counts_as_failed() -> None:
    starts = 0
    again = asyncio.Event()

    async def child() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise asyncio.CancelledError
        again.set()
        await asyncio.Event().wait()

    async with running(Supervisor("top", [ChildSpec("child", child, "transient")], QUICK)), asyncio.timeout(5):
        await again.wait()


async def test_error_of_start_itself_is_the_childs() -> None:
    def start() -> Coroutine[None, None, None]:
        raise ValueError("no such thing")

    with pytest.raises(RestartsExceededError, match="no such thing"):
        async with asyncio.timeout(5):
            await Supervisor("top", [ChildSpec("child", start)], QUICK).run()


async def test_nested_supervisor_that_gives_up_is_restarted_by_its_parent_and_counts_anew() -> None:
    child = Child(failures=6)  # 4 starts use the inner supervisor up, the rest is within its limit again
    inner = Supervisor("inner", [ChildSpec("child", child.start)], QUICK)
    once = RestartPolicy(max_restarts=1, backoff_first_s=0.001)
    async with running(Supervisor("top", [inner.as_child()], once)), asyncio.timeout(5):
        await child.up.wait()
    assert child.starts == 7


async def test_nested_child_that_keeps_failing_ends_the_top() -> None:
    inner = Supervisor("inner", [ChildSpec("child", Child(failures=999).start)], QUICK)
    with pytest.raises(RestartsExceededError, match=r"top: .*the last of inner: RestartsExceededError: inner: "):
        async with asyncio.timeout(5):
            await Supervisor("top", [inner.as_child()], QUICK).run()


async def test_health_is_nested_and_names_what_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    up = asyncio.Event()

    async def ends() -> None: ...

    async def breaks() -> None:
        raise OSError("in use")

    async def runs() -> None:
        up.set()
        await asyncio.Event().wait()

    def broken_check() -> str:
        raise KeyError("frames")

    inner = Supervisor("media", [ChildSpec("camera", runs, health=lambda: "failed: no frames for 10 s")])
    supervisor = Supervisor(
        "top",
        [
            ChildSpec("once", ends, "transient"),
            ChildSpec("try", breaks, "temporary"),
            inner.as_child(),
            ChildSpec("odd", runs, health=broken_check),
            ChildSpec("plain", runs),
        ],
    )
    with caplog.at_level(logging.INFO):
        async with running(supervisor), asyncio.timeout(5):
            await up.wait()
            await settled()
            health = supervisor.health()
    assert health == {
        "once": "ended",
        "try": "crashed: OSError: in use",
        "media": {"camera": "failed: no frames for 10 s"},
        "odd": "failed: health check: KeyError: 'frames'",
        "plain": "ok",
    }


async def test_waiting_for_a_restart_is_told() -> None:
    slow = RestartPolicy(backoff_first_s=60.0, backoff_max_s=60.0)
    supervisor = Supervisor("top", [ChildSpec("child", Child(failures=1).start)], slow)
    async with running(supervisor), asyncio.timeout(5):
        await settled()
        assert supervisor.health() == {"child": "restarting: OSError: no device 1"}


async def test_tasks_are_named_and_gone_afterwards() -> None:
    before = asyncio.all_tasks()
    child = Child()
    async with running(Supervisor("top", [ChildSpec("child", child.start)])), asyncio.timeout(5):
        await child.up.wait()
        assert {task.get_name() for task in asyncio.all_tasks() - before} == {
            "run",
            "supervisor top/child",
            "top/child",
        }
    assert asyncio.all_tasks() == before


def test_two_children_of_one_name_are_refused() -> None:
    start: Start = Child().start
    with pytest.raises(ValueError, match="two children of one name"):
        Supervisor("top", [ChildSpec("a", start), ChildSpec("a", start)])
