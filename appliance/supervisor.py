"""Supervision as in Erlang/OTP: children are kept running, in the order of the list, and stopped in the reverse order.

A child that ends is restarted or not by its `restart` kind: `permanent` always, `transient` only after an error,
`temporary` never. Restarts of one child back off; too many of all children within the window raise
`RestartsExceededError` out of `Supervisor.run`, which ends the parent's child, and at last the process.

Health in words, the part before ":" counts:
    ok | offline | degraded | ended    alive: offline and retrying is as healthy as it gets without a network
    restarting | crashed               the supervisor is on it, or the child was temporary
    failed                             only said by a child about itself: it should work and does not
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from appliance.errors import RestartsExceededError

logger = logging.getLogger(__name__)

RestartKind = Literal["permanent", "transient", "temporary"]
Health = str | Mapping[str, "Health"]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """At most `max_restarts` of all children within `window_s`; a child's next one waits twice as long as its last."""

    max_restarts: int = 8
    window_s: float = 60.0
    backoff_first_s: float = 0.1
    backoff_max_s: float = 5.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to keep running.

    `start` makes the coroutine that is the child; it runs until it is cancelled. `health` says how a running child is,
    and is called on the loop whenever somebody asks. `shutdown_timeout_s`: a child still there so long after its
    cancellation is left behind, and the log says so.
    """

    name: str
    start: Callable[[], Coroutine[Any, Any, None]]
    restart: RestartKind = "permanent"
    health: Callable[[], Health] | None = None
    shutdown_timeout_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Restarted:
    """One entry of a supervisor's history."""

    child: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Decision:
    """`restart` after `delay_s`, `stay` ended, or `give_up`; `history` holds what is still within the window."""

    verdict: Literal["restart", "stay", "give_up"]
    history: tuple[Restarted, ...]
    delay_s: float = 0.0


def decide(
    kind: RestartKind, child: str, failed: bool, history: Sequence[Restarted], now_s: float, policy: RestartPolicy
) -> Decision:
    """What to do about `child`, which has ended at `now_s`, with an error or (not `failed`) by itself."""
    recent = tuple(entry for entry in history if now_s - entry.at_s < policy.window_s)
    if kind == "temporary" or (kind == "transient" and not failed):
        return Decision("stay", recent)
    if len(recent) >= policy.max_restarts:
        return Decision("give_up", recent)
    own = sum(entry.child == child for entry in recent)
    delay_s = min(policy.backoff_max_s, policy.backoff_first_s * 2.0**own)
    return Decision("restart", (*recent, Restarted(child, now_s)), delay_s)


def is_healthy(health: Health) -> bool:
    """Whether nothing in this tree says `failed`: what the watchdog asks."""
    if isinstance(health, str):
        return health.partition(":")[0] != "failed"
    return all(is_healthy(child) for child in health.values())


class Supervisor:
    """Keeps `children` running from `run()` to its cancellation. `restarts` counts them by child, since it was made."""

    def __init__(self, name: str, children: Sequence[ChildSpec], policy: RestartPolicy = RestartPolicy()) -> None:
        names = [spec.name for spec in children]
        if len(set(names)) != len(names):
            raise ValueError(f"supervisor {name}: two children of one name in {names}")
        self.name = name
        self.restarts: Counter[str] = Counter()
        self._children = tuple(children)
        self._policy = policy
        self._history: tuple[Restarted, ...] = ()
        self._said: dict[str, str] = {}  # of a child that is not running
        self._gave_up: RestartsExceededError | None = None

    def as_child(self, restart: RestartKind = "permanent") -> ChildSpec:
        """This supervisor as a child of another one."""
        shutdown_timeout_s = sum(spec.shutdown_timeout_s for spec in self._children) + 0.5
        return ChildSpec(self.name, self.run, restart, self.health, shutdown_timeout_s)

    def health(self) -> dict[str, Health]:
        """How each child is, by name; a nested supervisor gives a dict of its own."""
        return {spec.name: self._health_of(spec) for spec in self._children}

    def _health_of(self, spec: ChildSpec) -> Health:
        if said := self._said.get(spec.name):
            return said
        if spec.health is None:
            return "ok"
        try:
            return spec.health()
        except Exception as exc:
            logger.exception("%s/%s: its health check failed", self.name, spec.name)
            return f"failed: health check: {_words(exc)}"

    async def run(self) -> None:
        """Start every child in order and keep it; ends by cancellation or with `RestartsExceededError`."""
        self._history, self._said, self._gave_up = (), {}, None
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            keepers = [
                group.create_task(self._keep(spec, over), name=f"supervisor {self.name}/{spec.name}")
                for spec in self._children
            ]
            try:
                await over.wait()
            finally:
                for keeper in reversed(keepers):
                    keeper.cancel()
                    await asyncio.wait({keeper})
        if self._gave_up is not None:
            raise self._gave_up

    async def _keep(self, spec: ChildSpec, over: asyncio.Event) -> None:
        """One child, again and again."""
        while True:
            self._said.pop(spec.name, None)
            error = await self._run_once(spec)
            now_s = time.monotonic()
            decision = decide(spec.restart, spec.name, error is not None, self._history, now_s, self._policy)
            self._history = decision.history
            why = _words(error) if error is not None else "it ended by itself"
            logger.log(
                logging.INFO if error is None else logging.ERROR,
                "%s/%s: %s; %s",
                self.name,
                spec.name,
                why,
                decision.verdict.replace("_", " "),
                exc_info=error,
            )
            if decision.verdict == "stay":
                self._said[spec.name] = "ended" if error is None else f"crashed: {why}"
                return
            self._said[spec.name] = f"restarting: {why}"
            self.restarts[spec.name] += decision.verdict == "restart"
            if decision.verdict == "give_up":
                self._gave_up = self._gave_up or self._exceeded(spec, why, error)
                over.set()
                return
            await asyncio.sleep(decision.delay_s)

    async def _run_once(self, spec: ChildSpec) -> BaseException | None:
        """The child from start to end; its error, or None. On cancellation the child is stopped first."""
        child = asyncio.create_task(_begin(spec), name=f"{self.name}/{spec.name}")
        try:
            await asyncio.wait({child})
        finally:
            if not child.done():
                child.cancel()
                await asyncio.wait({child}, timeout=spec.shutdown_timeout_s)
                self._check_stopped(spec, child)
        return asyncio.CancelledError("it was cancelled from elsewhere") if child.cancelled() else child.exception()

    def _check_stopped(self, spec: ChildSpec, child: asyncio.Task[None]) -> None:
        if not child.done():
            logger.error("%s/%s: not stopped within %.1f s, left behind", self.name, spec.name, spec.shutdown_timeout_s)
        elif not child.cancelled() and (error := child.exception()) is not None:
            logger.error("%s/%s: failed while stopping: %s", self.name, spec.name, _words(error), exc_info=error)

    def _exceeded(self, spec: ChildSpec, why: str, error: BaseException | None) -> RestartsExceededError:
        policy = self._policy
        exceeded = RestartsExceededError(
            f"{self.name}: more than {policy.max_restarts} restarts within {policy.window_s:g} s, "
            f"the last of {spec.name}: {why}"
        )
        exceeded.__cause__ = error
        return exceeded


async def _begin(spec: ChildSpec) -> None:
    """So that an error of `start` itself is the child's."""
    await spec.start()


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
