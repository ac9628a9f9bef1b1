"""Getting into a room: one link, Login, then Join or the seat of an earlier session."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import get_args

from appliance.errors import InvalidArgumentError
from appliance.room.link import Link
from appliance.room.options import RoomOptions
from appliance.room.signaling_base import Profile, Role
from appliance.room.signaling_login import LoggedIn, Login
from appliance.room.signaling_room import Join, Joined

Token = str | Callable[[], str | Awaitable[str]]  # a provider is asked for a fresh one at each join and rejoin

MAX_ID_LENGTH = 64
MAX_NAME_LENGTH = 256
RESYNC_TIMEOUT_S = 2.0  # a resumed session's Joined follows at once


class TokenUnavailableError(Exception):
    """The token provider failed; its error is the cause."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a join asks for; a rejoin asks for it again."""

    room_id: str
    user_id: str
    token: Token
    user_name: str
    role: Role
    profile: Profile

    def check(self) -> None:
        """Raises `InvalidArgumentError` (IL29)."""
        if not re.fullmatch(r"[A-Za-z0-9._~-]{1,64}", self.room_id):
            raise _bad(f"room id {self.room_id!r}: 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -")
        if len(self.user_id.encode("utf-8", "surrogatepass")) > MAX_ID_LENGTH:
            raise _bad(f"user id {self.user_id!r}: at most {MAX_ID_LENGTH} bytes")
        if len(self.user_name) > MAX_NAME_LENGTH:
            raise _bad(f"user name of {len(self.user_name)} characters: at most {MAX_NAME_LENGTH}")
        if self.role not in get_args(Role):
            raise _bad(f"role {self.role!r}: one of {', '.join(get_args(Role))}")
        if self.profile not in get_args(Profile):
            raise _bad(f"profile {self.profile!r}: one of {', '.join(get_args(Profile))}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A seat in the room. Pushed messages wait in the link until somebody calls its `deliver`."""

    link: Link
    logged_in: LoggedIn
    joined: Joined
    resumed: bool


async def enter(
    url: str, ticket: Ticket, options: RoomOptions, on_lost: Callable[[Link, str], None], *, session: str = ""
) -> Entry:
    """Connect, log in and join; `session` takes a held seat over where the hub still has it.

    The caller bounds the time. Raises `LinkLostError`, `TimeoutError`, `TokenUnavailableError` and the hub's
    `RtcError`; then nothing is left open.
    """
    token = await _fetch(ticket.token)
    link = await Link.open(url, options, on_lost)
    try:
        logged_in = await link.request(
            lambda request_id: Login(
                id=request_id, token=token, user_id=ticket.user_id, user_name=ticket.user_name, session=session
            ),
            LoggedIn,
            options.join_timeout_s,
        )
        if logged_in.resumed:
            try:
                return Entry(link, logged_in, await link.resync(RESYNC_TIMEOUT_S), resumed=True)
            except TimeoutError:  # the session was held, its seat in the room was not
                pass
        joined = await link.request(
            lambda request_id: Join(id=request_id, room=ticket.room_id, role=ticket.role, profile=ticket.profile),
            Joined,
            options.join_timeout_s,
        )
        return Entry(link, logged_in, joined, resumed=False)
    except BaseException:
        await link.close()
        raise


async def _fetch(token: Token) -> str:
    if isinstance(token, str):
        return token
    try:
        fresh = token()
        return await fresh if inspect.isawaitable(fresh) else fresh
    except Exception as exc:
        raise TokenUnavailableError(f"no token: {exc}") from exc


def _bad(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, operation="join")
