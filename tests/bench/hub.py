"""The hub under load: a thousand clients, what a room costs by its size, and whether a flood disturbs the others.

The clients are all in this process, the hub is in another, who floods in a third.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.bench.flooder import FLOODER
from tests.bench.hub_process import HubProcess, hub_process
from tests.bench.swarm import Reply, SwarmClient, log_in

WATCHED = 10  # whose presence each client follows
FLICKERING = 20  # further users, who come and go; each client follows one of them
LOGINS_AT_ONCE = 20
TICK_S = 0.01
DRAIN_S = 15.0  # until the last of it must have come
OPEN: dict[str, Any] = {"secure": False, "max_connections": 4096}  # each client has an address of its own


@dataclass
class Tally:
    """What was expected and what came, by kind, with its time in ms."""

    sent: Counter[str] = field(default_factory=Counter)
    due: Counter[str] = field(default_factory=Counter)
    took_ms: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def came(self, kind: str, since_s: float) -> None:
        self.took_ms.setdefault(kind, []).append((time.monotonic() - since_s) * 1000)

    def lost(self, kind: str) -> int:
        """Negative: more came than was sent."""
        return self.due[kind] - len(self.took_ms.get(kind, ()))

    async def complete(self) -> None:
        """Until nothing is missing any more, or `DRAIN_S`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while any(self.lost(kind) for kind in self.due):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    def percentile_ms(self, kind: str, share: float) -> float:
        ordered = sorted(self.took_ms[kind])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Crowd:
    """`clients` logged in; the first of them in `rooms` rooms of `room_size`."""

    def __init__(self, hub: HubProcess) -> None:
        self.hub = hub
        self.tally = Tally()
        self.clients: list[SwarmClient] = []
        self.rooms: list[list[SwarmClient]] = []
        self.memory_bytes: dict[str, int] = {}
        self._flicker_s: dict[str, float] = {}  # when a user's presence began to change
        self._random = random.Random(7)

    async def gather(self, clients: int, rooms: int, room_size: int) -> None:
        self.memory_bytes["empty"] = self.hub.memory_bytes()
        names = [f"user-{number:04}" for number in range(clients)]
        for first in range(0, clients, LOGINS_AT_ONCE):
            some = names[first : first + LOGINS_AT_ONCE]
            self.clients += await asyncio.gather(
                *(log_in(self.hub.port, name, self._hear, _address(name)) for name in some)
            )
        self.memory_bytes["logged in"] = self.hub.memory_bytes()
        for number, client in enumerate(self.clients):
            watched = {names[(number + step) % clients] for step in range(1, WATCHED + 1)} - {client.user_id}
            await client.ask(type="subscribe-presence", user_ids=[*watched, _flickering(number)])
        self.memory_bytes["with presence"] = self.hub.memory_bytes()
        for number in range(rooms):
            room = self.clients[number * room_size : (number + 1) * room_size]
            for client in room:
                await client.enter(f"room-{number}")
                await client.ask(type="publish", stream={"name": "main", "audio": {}})
            self.rooms.append(room)
        self.memory_bytes["in rooms"] = self.hub.memory_bytes()

    def close(self) -> None:
        for client in self.clients:
            client.abort()

    def _hear(self, client: SwarmClient, message: Reply) -> None:
        match message["type"]:
            case "member-changed":
                name = message["member"].get("user_name", "")
                if name.startswith("at-"):
                    self.tally.came("roster event", float(name[3:]))
            case "peer-message":
                if message["sender"] != FLOODER:
                    self.tally.came("message", float(message["text"]))
                client.send(type="peer-message-ack", message=message["message"])
            case "peer-message-sent":
                if message["delivered"]:
                    self.tally.came("acknowledgement", time.monotonic())
            case "presence-changed":
                for user_id in message["statuses"]:
                    if user_id in self._flicker_s:
                        self.tally.came("presence event", self._flicker_s[user_id])
            case "error":
                self.tally.errors[message["code"]] += 1

    # --- what happens

    async def load(self, seconds: float, *, messages_per_s: float, events_per_s: float, flickers_per_s: float) -> None:
        """Each kind evenly spread, by one clock; until all of it has come, or is late."""
        start_s = time.monotonic()
        done: Counter[str] = Counter()
        logins: set[asyncio.Task[None]] = set()
        while (passed_s := time.monotonic() - start_s) < seconds:
            for _ in range(int(passed_s * messages_per_s) - done["messages"]):
                done["messages"] += 1
                self._message()
            for _ in range(int(passed_s * events_per_s) - done["events"]):
                done["events"] += 1
                self._rename(self._random.choice(self.rooms))
            for _ in range(int(passed_s * flickers_per_s) - done["flickers"]):
                logins.add(asyncio.create_task(self._flicker(done["flickers"]), name="flicker"))
                done["flickers"] += 1
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*logins)
        await self.tally.complete()

    def _rename(self, room: list[SwarmClient]) -> None:
        """One roster event at each other member."""
        self._random.choice(room).request(type="set-user-name", user_name=f"at-{time.monotonic()}")
        self.tally.sent["roster event"] += 1
        self.tally.due["roster event"] += len(room) - 1

    def _message(self) -> None:
        sender, receiver = self._random.sample(self.clients, 2)
        sender.request(type="send-peer-message", to=receiver.user_id, text=str(time.monotonic()))
        self.tally.sent["message"] += 1
        self.tally.due["message"] += 1
        self.tally.due["acknowledgement"] += 1

    async def _flicker(self, number: int) -> None:
        """Log in and out again: those who follow it hear both."""
        user_id = _flickering(number)
        if user_id in self._flicker_s:
            return
        followers = sum(_flickering(each) == user_id for each in range(len(self.clients)))
        self._flicker_s[user_id] = time.monotonic()
        self.tally.due["presence event"] += followers
        client = await log_in(self.hub.port, user_id, self._hear, _address(user_id))
        await asyncio.sleep(1)
        self._flicker_s[user_id] = time.monotonic()
        self.tally.due["presence event"] += followers
        await client.logout()
        await asyncio.sleep(1)
        del self._flicker_s[user_id]


def _address(name: str) -> str:
    """On this machine; all of 127/8 is."""
    number = int(name.rpartition("-")[2])
    return f"127.{2 if name.startswith('flicker') else 1}.{number // 250}.{number % 250 + 1}"


def _flickering(number: int) -> str:
    return f"flickering-{number % FLICKERING}"


@asynccontextmanager
async def crowd(clients: int, rooms: int, room_size: int) -> AsyncIterator[Crowd]:
    async with hub_process(**OPEN, room_capacity=max(room_size, 2)) as hub:
        gathered = Crowd(hub)
        try:
            await gathered.gather(clients, rooms, room_size)
            yield gathered
        finally:
            gathered.close()


@dataclass(frozen=True, slots=True)
class Load:
    tally: Tally
    cores: float  # of the hub
    idle_cores: float  # the same clients, with nothing but heartbeats
    kb_a_client: dict[str, float]  # by what it does, on top of the one before


async def under_load(clients: int = 1000, rooms: int = 100, room_size: int = 6, seconds: float = 15.0) -> Load:
    async with crowd(clients, rooms, room_size) as all_:
        await asyncio.sleep(2)
        idle = await _cores(all_.hub, asyncio.sleep(5))
        busy = all_.load(seconds, messages_per_s=500, events_per_s=50, flickers_per_s=4)
        cores = await _cores(all_.hub, busy)
        memory = all_.memory_bytes
        seats = rooms * room_size
        kb = {
            "logged in": (memory["logged in"] - memory["empty"]) / clients / 1000,
            "presence of 11 others": (memory["with presence"] - memory["logged in"]) / clients / 1000,
            "in a room": (memory["in rooms"] - memory["with presence"]) / seats / 1000,
        }
        return Load(all_.tally, cores, idle, kb)


async def _cores(hub: HubProcess, during: Coroutine[Any, Any, None]) -> float:
    cpu_s, start_s = hub.cpu_s(), time.monotonic()
    await during
    return (hub.cpu_s() - cpu_s) / (time.monotonic() - start_s)


SIZES = (2, 4, 8, 16, 32, 64)


async def cost_by_room_size(sizes: tuple[int, ...] = SIZES, events: int = 1500) -> dict[int, float]:
    """Microseconds of the hub's CPU for one roster event, told to all other members, in a room of this size."""
    cost: dict[int, float] = {}
    for size in sizes:
        async with crowd(size, 1, size) as room:
            await asyncio.sleep(0.5)
            cpu_s = room.hub.cpu_s()
            await room.load(events / 150, messages_per_s=0, events_per_s=150, flickers_per_s=0)
            cost[size] = (room.hub.cpu_s() - cpu_s) / room.tally.sent["roster event"] * 1e6
            if room.tally.lost("roster event"):
                raise RuntimeError(f"{room.tally.lost('roster event')} events lost in a room of {size}")
    return cost


@dataclass(frozen=True, slots=True)
class Flood:
    """The others' p99 of a roster event in ms, before and meanwhile, and what the flooder was told."""

    quiet_ms: float
    flooded_ms: float
    lost: int
    said: dict[str, Any]

    @property
    def ratio(self) -> float:
        return self.flooded_ms / self.quiet_ms


async def floods(
    kinds: tuple[str, ...], *, clients: int = 300, rooms: int = 50, seconds: float = 6.0
) -> dict[str, Flood]:
    """Each kind with a quiet phase of its own before it, for the machine has other things to do too."""
    results: dict[str, Flood] = {}
    async with crowd(clients, rooms, 6) as others:
        for kind in kinds:
            quiet = await _phase(others, seconds)
            flooder = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bench.flooder",
                str(others.hub.port),
                kind,
                str(seconds + 1),
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                await asyncio.sleep(1)  # it starts
                flooded = await _phase(others, seconds)
                output, _ = await asyncio.wait_for(flooder.communicate(), 30)
            finally:
                if flooder.returncode is None:
                    flooder.kill()
                    await flooder.wait()
            lost = sum(abs(flooded.lost(one)) for one in flooded.due)
            quiet_ms, flooded_ms = (each.percentile_ms("roster event", 0.99) for each in (quiet, flooded))
            results[kind] = Flood(quiet_ms, flooded_ms, lost, json.loads(output))
            await asyncio.sleep(1)
    return results


async def _phase(others: Crowd, seconds: float) -> Tally:
    others.tally = Tally()
    await others.load(seconds, messages_per_s=100, events_per_s=100, flickers_per_s=0)
    return others.tally
