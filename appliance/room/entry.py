"""Getting to a hub: one link, Login, and with it the way into a room, or back into the seat of an earlier session."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import get_args

from appliance.errors import InvalidArgumentError
from appliance.media.e2ee import FrameKey
from appliance.room.encryption import Encryption
from appliance.room.link import Link
from appliance.room.options import RoomOptions
from appliance.room.signaling_base import Priority, Profile, Role, VideoCodec
from appliance.room.signaling_login import LoggedIn, Login, check_user_id
from appliance.room.signaling_room import Join, Joined, Kicked, RoomClosed

Token = str | Callable[[], str | Awaitable[str]]  # a provider is asked for a fresh one at each join and rejoin

MAX_NAME_LENGTH = 256
MAX_DATA_LENGTH = 1024
RESYNC_TIMEOUT_S = 2.0  # what is told of a resumed session's room follows at once


class TokenUnavailableError(Exception):
    """The token provider failed; its error is the cause."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in; a login after a lost link uses them again."""

    user_id: str
    token: Token
    user_name: str

    def check(self, operation: str) -> None:
        """Raises `InvalidArgumentError` (IL29)."""
        if self.user_id:  # else the hub gives one
            check_user_id(self.user_id, operation)
        check_name(self.user_name, operation)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a join asks for; a rejoin asks for it again. `key`: derived from `encryption` before the first."""

    room_id: str
    credentials: Credentials
    role: Role
    profile: Profile
    probe: bool = False
    data: str = ""
    encryption: Encryption | None = None
    key: FrameKey | None = None
    priority: Priority = 100
    preemptive: bool = False
    video_codecs: tuple[VideoCodec, ...] = ("h264", "vp8")

    def check(self) -> None:
        """Raises `InvalidArgumentError` (IL08, IL09, IL29)."""
        if not re.fullmatch(r"[A-Za-z0-9._~-]{1,64}", self.room_id):
            raise _bad(f"room id {self.room_id!r}: 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -", "join")
        self.credentials.check("join")
        if self.role not in get_args(Role):
            raise _bad(f"role {self.role!r}: one of {', '.join(get_args(Role))}", "join")
        if self.profile not in get_args(Profile):
            raise _bad(f"profile {self.profile!r}: one of {', '.join(get_args(Profile))}", "join")
        if len(self.data) > MAX_DATA_LENGTH:
            raise _bad(f"data of {len(self.data)} characters: at most {MAX_DATA_LENGTH}", "join")

    def request(self, request_id: int, token: str = "") -> Join:
        return Join(
            id=request_id,
            room=self.room_id,
            role=self.role,
            profile=self.profile,
            token=token,
            probe=self.probe,
            data=self.data,
            encryption=self.key.mode if self.key is not None else "none",
            key_fingerprint=self.key.fingerprint(self.room_id) if self.key is not None else "",
            priority=self.priority,
            preemptive=self.preemptive,
            video_codecs=self.video_codecs,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A login, and `joined` when a room was asked for. Pushed messages wait in the link until its `deliver` is called.

    `put_out`: the seat was resumed, and had been put out of its room meanwhile.
    """

    link: Link
    logged_in: LoggedIn
    joined: Joined | None = None
    put_out: Kicked | RoomClosed | None = None

    @property
    def resumed(self) -> bool:
        return self.logged_in.resumed


async def enter(
    url: str,
    credentials: Credentials,
    options: RoomOptions,
    on_lost: Callable[[Link, str], None],
    *,
    session: str = "",
    ticket: Ticket | None = None,
) -> Entry:
    """Connect, log in and, with a `ticket`, join; `session` takes a held seat over where the hub still has it.

    The caller bounds the time. Raises `LinkLostError`, `TimeoutError`, `TokenUnavailableError` and the hub's
    `RtcError`; then nothing is left open.
    """
    token = await fetch(credentials.token)
    link = await Link.open(url, options, on_lost)
    try:
        logged_in = await link.request(
            lambda request_id: Login(
                id=request_id,
                token=token,
                user_id=credentials.user_id,
                user_name=credentials.user_name,
                session=session,
            ),
            LoggedIn,
            options.join_timeout_s,
        )
        if ticket is None:
            return Entry(link, logged_in)
        if logged_in.resumed:
            try:
                told = await link.resync(RESYNC_TIMEOUT_S)
            except TimeoutError:  # the session was held, and the hub never knew of the room
                pass
            else:
                return (
                    Entry(link, logged_in, told) if isinstance(told, Joined) else Entry(link, logged_in, put_out=told)
                )
        other = ticket.credentials.token
        room_token = await fetch(other) if other != credentials.token else ""
        joined = await link.request(
            lambda request_id: ticket.request(request_id, room_token), Joined, options.join_timeout_s
        )
        return Entry(link, logged_in, joined)
    except BaseException:
        await link.close()
        raise


async def fetch(token: Token) -> str:
    """The token itself, of a provider a fresh one. Raises `TokenUnavailableError`."""
    if isinstance(token, str):
        return token
    try:
        fresh = token()
        return await fresh if inspect.isawaitable(fresh) else fresh
    except Exception as exc:
        raise TokenUnavailableError(f"no token: {exc}") from exc


def check_name(user_name: str, operation: str) -> None:
    """Raises `InvalidArgumentError` (IL29)."""
    if len(user_name) > MAX_NAME_LENGTH:
        raise _bad(f"user name of {len(user_name)} characters: at most {MAX_NAME_LENGTH}", operation)


def _bad(message: str, operation: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, operation=operation)
