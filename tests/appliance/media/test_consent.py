"""Consent checks (`aiortc_hooks`) on a loop whose clock jumps to the next timer: a minute takes no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aioice import stun

from appliance.media.aiortc_hooks.ice import CONSENT_S, query_consent


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        inner: Any = self
        select = inner._selector.select

        def jump(timeout_s: float | None) -> Any:
            self._now_s += timeout_s or 0.0
            return select(0)

        inner._selector.select = jump

    def time(self) -> float:
        return self._now_s

    def stall(self, seconds: float) -> None:
        self._now_s += seconds


class Agent:
    """What `query_consent` needs of an ICE connection; the far end answers the requests that `answers` says."""

    def __init__(self, loop: JumpingLoop, answers: Callable[[int, float], bool], rtt_s: float) -> None:
        self.loop = loop
        self.answers = answers
        self.rtt_s = rtt_s
        self.requests = 0
        self.closed_s: float | None = None
        self.remote_password = "password"
        self.consent_expired = False
        self.consent_rtt_s: float
        self._nominated = {1: SimpleNamespace(protocol=self, remote_addr=("", 0))}
        self._query_consent_task: asyncio.Task[None] | None = None
        self._transactions: dict[bytes, stun.Transaction] = {}

    def build_request(self, pair: object, *, nominate: bool) -> stun.Message:
        return stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)

    async def request(
        self, message: stun.Message, addr: tuple[str, int], *, integrity_key: bytes, retransmissions: int
    ) -> None:
        transaction = self._transactions[message.transaction_id] = stun.Transaction(
            message, addr, self, retransmissions=retransmissions
        )
        await transaction.run()

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        self.requests += 1
        if self.answers(self.requests, self.loop.time()):
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id)
            transaction = self._transactions[message.transaction_id]
            self.loop.call_later(self.rtt_s, transaction.response_received, answer, addr)

    async def close(self) -> None:
        self.closed_s = self.loop.time()
        self._nominated.clear()


def run(
    seconds: float, answers: Callable[[int, float], bool], *, rtt_s: float = 0.02, stall: tuple[float, float] = (0, 0)
) -> Agent:
    """Checks for so long. `answers`: whether the far end answers request N at this time. `stall`: when, how long."""
    loop = JumpingLoop()
    agent = Agent(loop, answers, rtt_s)

    async def main() -> None:
        checks: Any = query_consent(agent)
        task = agent._query_consent_task = asyncio.create_task(checks, name="consent")
        loop.call_later(stall[0], loop.stall, stall[1])
        await asyncio.wait({task}, timeout=seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    return agent


def test_a_peer_that_answers_is_asked_once_a_second() -> None:
    agent = run(60, lambda number, now_s: True)
    assert agent.closed_s is None
    assert 50 <= agent.requests <= 75
    assert agent.consent_rtt_s == pytest.approx(0.02)


def test_a_peer_that_falls_silent_is_given_up_in_time() -> None:
    agent = run(60, lambda number, now_s: now_s < 10)
    assert agent.consent_expired
    assert agent.closed_s is not None
    assert 8.5 + CONSENT_S < agent.closed_s <= 10.1 + CONSENT_S


def test_one_answer_in_eight_is_enough() -> None:
    assert run(300, lambda number, now_s: number % 8 == 0).closed_s is None


def test_an_answer_that_takes_two_seconds_counts() -> None:
    assert run(60, lambda number, now_s: True, rtt_s=2.0).closed_s is None


def test_a_process_that_stood_still_asks_before_it_judges() -> None:
    assert run(60, lambda number, now_s: True, stall=(10.2, 20.0)).closed_s is None
    silent = run(60, lambda number, now_s: now_s < 10, stall=(10.2, 20.0))
    assert silent.closed_s is not None
    assert 32 < silent.closed_s < 34
