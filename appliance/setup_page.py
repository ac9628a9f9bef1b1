"""First set-up over HTTP: which step is next (`provisioning.wizard`), and what its page needs to know.

GET  /api/setup          `SetupAnswer`; a stranger is told the steps and nothing else
POST /api/setup/room     reads an invitation or address and looks at the hub there; changes nothing
POST /api/setup/finish   the wizard was walked to its end

Name and room are saved by PUT /api/config, the network by POST /api/network/connect: here nothing is kept but the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import tomli
from aiohttp import web
from msgspec import Meta

from appliance.api import NoFields
from appliance.config_store import ConfigStore
from appliance.hub_trust import HubCertificate, look_at
from appliance.invitation import qr_svg
from provisioning.claim import Claim
from provisioning.http_json import ApiError, answer, read_body
from provisioning.http_routes import ApiRoute
from provisioning.network import Network, NetworkStatus
from provisioning.room_link import MAX_TEXT, RoomLinkError, parse_room_link
from provisioning.visitor import visitor
from provisioning.wizard import STEPS, Facts, Step, is_done, may_open, next_step

FINISHED_FILE = "set-up-finished"


class StepTold(msgspec.Struct, frozen=True):
    name: Step
    done: bool
    may_open: bool


class ChosenRoom(msgspec.Struct, frozen=True):
    """`own`: of this unit's own hub."""

    url: str
    room: str
    own: bool


class SetupAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`addresses`: of this unit's pages, the one to remember first; `qr` is an SVG of that one."""

    step: Step
    steps: tuple[StepTold, ...]
    name: str = ""
    room: ChosenRoom | None = None
    addresses: tuple[str, ...] = ()
    qr: str = ""


class RoomRequest(msgspec.Struct, forbid_unknown_fields=True):
    address: Annotated[str, Meta(max_length=MAX_TEXT)]
    room: Annotated[str, Meta(max_length=256)] = ""
    token: Annotated[str, Meta(max_length=4096)] = ""


class RoomAnswer(msgspec.Struct, frozen=True):
    """What goes into the section [room]; `key` is its encryption secret. `certificate`: of the hub, "trusted" by
    everybody, "own" (shown by its fingerprint: compare it), "pinned" by the link, "other" than the pinned one; or
    "none" without TLS, "unreachable".
    """

    url: str
    room: str
    token: str
    fingerprint: str
    key: str
    certificate: HubCertificate


class Finished:
    """Whether the wizard was walked to its end: an empty file, so that a factory reset begins anew. Blocks."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / FINISHED_FILE
        self.value = self._file.exists()

    def set(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file.touch(mode=0o600)
        self.value = True


class SetupPage:
    """`addresses` gives the addresses of the unit's pages by the network of now."""

    def __init__(
        self,
        claim: Claim,
        store: ConfigStore,
        network: Network,
        finished: Finished,
        addresses: Callable[[NetworkStatus, web.Request], Sequence[str]],
    ) -> None:
        self._claim = claim
        self._store = store
        self._network = network
        self._finished = finished
        self._addresses = addresses

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "GET",
                "/api/setup",
                self._get,
                scope="open",
                summary="How far first set-up is; strangers are told nothing but the steps.",
                answer=SetupAnswer,
            ),
            ApiRoute(
                "POST",
                "/api/setup/room",
                self._look_at_room,
                scope="admin",
                summary="Read an invitation or a hub's address, and look at that hub; nothing is changed.",
                body=RoomRequest,
                answer=RoomAnswer,
            ),
            ApiRoute(
                "POST",
                "/api/setup/finish",
                self._finish,
                scope="admin",
                summary="First set-up was walked to its end.",
                body=NoFields,
                body_optional=True,
                answer=SetupAnswer,
                errors={503: "it cannot be kept"},
            ),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        return answer(await self._describe(request))

    async def _describe(self, request: web.Request) -> SetupAnswer:
        known = visitor(request).may("admin")
        status = await self._network.status()
        facts = self._facts(status, known=known)
        steps = tuple(StepTold(step, is_done(step, facts), may_open(step, facts)) for step in STEPS)
        if not known:
            return SetupAnswer("claim", steps)
        config = self._store.config
        addresses = tuple(self._addresses(status, request))
        return SetupAnswer(
            next_step(facts),
            steps,
            config.device.name,
            ChosenRoom(config.room.url, config.room.room, config.room.is_own),
            addresses,
            await asyncio.to_thread(qr_svg, addresses[0]) if addresses else "",
        )

    def _facts(self, status: NetworkStatus, *, known: bool) -> Facts:
        chosen = tomli.loads(self._store.text)
        return Facts(
            claimed=known or not self._claim.is_open(time.monotonic()),
            named="name" in chosen.get("device", {}),
            online=is_online(status),
            room_chosen=bool({"url", "room"} & chosen.get("room", {}).keys()),
            finished=self._finished.value,
        )

    async def _look_at_room(self, request: web.Request) -> web.Response:
        wish = await read_body(request, RoomRequest, '{"address": "...", "room": "...", "token": "..."}')
        try:
            link = parse_room_link(wish.address, room=wish.room, token=wish.token)
        except RoomLinkError as exc:
            raise ApiError(400, exc.code, str(exc), exc.field) from exc
        seen = await look_at(link.url, link.fingerprint)
        return answer(RoomAnswer(link.url, link.room, link.token, seen.fingerprint, link.key, seen.certificate))

    async def _finish(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        try:
            await asyncio.to_thread(self._finished.set)
        except OSError as exc:
            raise ApiError(503, "service-unavailable", f"it cannot be kept: {exc.strerror}") from exc
        return answer(await self._describe(request))


def is_online(status: NetworkStatus) -> bool:
    """In somebody's network, or on a machine whose network is not ours to set up."""
    return not status.available or any(status.connected(kind) is not None for kind in ("wifi", "ethernet"))
