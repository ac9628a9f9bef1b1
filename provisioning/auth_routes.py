"""Claiming a unit, logging in and out, the password and API tokens, over HTTP.

Guesses of the claim code, the password and of tokens at log-in count together (`attempts`). Whoever gets in gets a new
session id, and the one that the browser came with ends: nobody can hand a victim a session (fixation).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from provisioning.api_tokens import MAX_NAME, ApiToken, ApiTokenError
from provisioning.auth import Auth
from provisioning.claim import is_well_formed
from provisioning.http_json import ApiError, answer, read_body
from provisioning.http_routes import ApiRoute, Scope
from provisioning.password import PasswordBusyError, PasswordError, checked
from provisioning.session_cookie import give_session, session_id_of, take_session_back
from provisioning.visitor import visitor

logger = logging.getLogger(__name__)

_Secret = Annotated[str, msgspec.Meta(max_length=1024)]
_TOO_MANY = "too many attempts; Retry-After says when to try again"


class AuthState(msgspec.Struct):
    """`setup_mode`: the claim code opens the unit now. `scope`: what the one who asks may do, null for a stranger."""

    claimed: bool
    setup_mode: bool
    signed_in: bool
    scope: Literal["read", "control", "admin"] | None


class ClaimRequest(msgspec.Struct, forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(max_length=64)]
    password: _Secret


class LoginRequest(msgspec.Struct, forbid_unknown_fields=True):
    """One of the two: the owner's password or an API token."""

    password: _Secret = ""
    token: _Secret = ""


class LogoutRequest(msgspec.Struct, forbid_unknown_fields=True):
    everywhere: bool = False


class PasswordRequest(msgspec.Struct, forbid_unknown_fields=True):
    current: _Secret
    new: _Secret


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f]*$")]
    scope: Literal["read", "control", "admin"]


class TokenInfo(msgspec.Struct):
    """`created` and `last_used` are ISO 8601 in UTC."""

    id: str
    name: str
    scope: Scope
    created: str
    last_used: str | None


class NewToken(TokenInfo):
    """`token` is shown this once."""

    token: str


class TokenList(msgspec.Struct):
    tokens: list[TokenInfo]


class AuthRoutes:
    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._claiming = asyncio.Lock()

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "GET",
                "/api/auth",
                self._state,
                scope="open",
                summary="Whether the unit has an owner, and whether that is you.",
                answer=AuthState,
            ),
            ApiRoute(
                "POST",
                "/api/setup/claim",
                self._claim,
                scope="setup",
                summary="Set the owner's password with the claim code; you are signed in then.",
                body=ClaimRequest,
                answer=AuthState,
                errors={403: "wrong code, or there is an owner", 429: _TOO_MANY, 503: "the password cannot be kept"},
            ),
            ApiRoute(
                "POST",
                "/api/auth/login",
                self._login,
                scope="open",
                summary="The owner's password, or an API token, for the cookie of a page.",
                body=LoginRequest,
                answer=AuthState,
                errors={401: "wrong password or token", 409: "the unit has no owner yet", 429: _TOO_MANY},
            ),
            ApiRoute(
                "POST",
                "/api/auth/logout",
                self._logout,
                scope="read",
                summary="Log out here, or everywhere.",
                body=LogoutRequest,
                body_optional=True,
                status=204,
                errors={403: "only the owner logs out everywhere"},
            ),
            ApiRoute(
                "POST",
                "/api/auth/password",
                self._password,
                scope="admin",
                summary="Change the owner's password; every other page is logged out.",
                body=PasswordRequest,
                status=204,
                errors={
                    403: "the current password is wrong",
                    409: "the unit has no owner yet",
                    429: _TOO_MANY,
                    503: "the password cannot be kept",
                },
            ),
            ApiRoute(
                "GET",
                "/api/auth/tokens",
                self._list_tokens,
                scope="admin",
                summary="The API tokens, without their secrets.",
                answer=TokenList,
            ),
            ApiRoute(
                "POST",
                "/api/auth/tokens",
                self._create_token,
                scope="admin",
                summary="Make an API token; it is shown this once.",
                body=TokenRequest,
                answer=NewToken,
                status=201,
                errors={503: "the token cannot be kept, or there are too many"},
            ),
            ApiRoute(
                "DELETE",
                "/api/auth/tokens/{id}",
                self._revoke_token,
                scope="admin",
                summary="Revoke an API token, and end the sessions that it opened.",
                status=204,
                errors={404: "there is no such token", 503: "the tokens cannot be written"},
            ),
        ]

    async def _state(self, request: web.Request) -> web.Response:
        return answer(self._describe(visitor(request).scope))

    async def _claim(self, request: web.Request) -> web.Response:
        wish = await read_body(request, ClaimRequest, '{"code": the claim code, "password": the new password}')
        if not is_well_formed(wish.code):
            raise ApiError(400, "bad-request", "this is no claim code; it reads like 4F7-K2M-9XB", "code")
        _check(wish.password, "password")
        self._attempt(request)
        if not self._auth.claim.matches(wish.code):
            raise _wrong(request, 403, "wrong-code", "this is not the claim code of this unit", "code")
        async with self._claiming:
            if not self._auth.claim.is_open(time.monotonic()):
                raise ApiError(403, "claimed", "somebody else was faster: this unit has an owner")
            await self._set_password(wish.password)
            self._auth.claim.claimed()
        self._auth.attempts.succeeded(_address(request), time.monotonic())
        self._auth.sessions.end_all()
        return await self._signed_in(request, "admin")

    async def _login(self, request: web.Request) -> web.Response:
        wish = await read_body(request, LoginRequest, '{"password": "..."} or {"token": API token}')
        if bool(wish.password) == bool(wish.token):
            raise ApiError(400, "bad-request", 'either "password" or "token" is needed', "password")
        if wish.password and not self._auth.claim.is_claimed:
            raise ApiError(409, "unclaimed", "this unit has no owner yet; claim it first")
        self._attempt(request)
        if wish.token:
            token = self._auth.tokens.find(wish.token)
            if token is None:
                raise _wrong(request, 401, "unauthorized", "this is no API token of this unit", "token")
            self._auth.attempts.succeeded(_address(request), time.monotonic())
            return await self._signed_in(request, token.scope, token_id=token.id)
        if not await self._verify(wish.password):
            raise _wrong(request, 401, "unauthorized", "this is not the owner's password", "password")
        self._auth.attempts.succeeded(_address(request), time.monotonic())
        return await self._signed_in(request, "admin")

    async def _logout(self, request: web.Request) -> web.Response:
        wish = await read_body(request, LogoutRequest, 'nothing or {"everywhere": true}', may_be_empty=True)
        known = visitor(request)
        if wish.everywhere:
            if not known.may("admin"):
                raise ApiError(403, "scope", "only the owner logs out everywhere")
            self._auth.sessions.end_all()
        elif known.session is not None:
            self._auth.sessions.end(known.session)
        await self._auth.save()
        response = web.Response(status=204)
        take_session_back(request, response)
        return response

    async def _password(self, request: web.Request) -> web.Response:
        wish = await read_body(request, PasswordRequest, '{"current": "...", "new": "..."}')
        if not self._auth.claim.is_claimed:
            raise ApiError(409, "unclaimed", "this unit has no owner yet; claim it first")
        _check(wish.new, "new")
        self._attempt(request)
        if not await self._verify(wish.current):
            raise _wrong(request, 403, "wrong-password", "this is not the owner's password", "current")
        self._auth.attempts.succeeded(_address(request), time.monotonic())
        await self._set_password(wish.new)
        self._auth.sessions.end_all()
        response = web.Response(status=204)
        if visitor(request).session is not None:
            give_session(request, response, self._auth.sessions.begin("admin", time.monotonic()))
        await self._auth.save()
        return response

    async def _list_tokens(self, _request: web.Request) -> web.Response:
        return answer(TokenList([_info(token) for token in self._auth.tokens.stored()]))

    async def _create_token(self, request: web.Request) -> web.Response:
        wish = await read_body(request, TokenRequest, '{"name": "...", "scope": "read", "control" or "admin"}')
        try:
            made, token = await asyncio.to_thread(self._auth.tokens.create, wish.name, wish.scope)
        except ApiTokenError as exc:
            raise ApiError(503, "service-unavailable", str(exc)) from exc
        return answer(NewToken(token=token, **msgspec.structs.asdict(_info(made))), 201)

    async def _revoke_token(self, request: web.Request) -> web.Response:
        token_id = request.match_info["id"]
        try:
            found = await asyncio.to_thread(self._auth.tokens.revoke, token_id)
        except ApiTokenError as exc:
            raise ApiError(503, "service-unavailable", str(exc)) from exc
        if not found:
            raise ApiError(404, "not-found", f"there is no API token {token_id[:16]!r}")
        self._auth.sessions.end_of_token(token_id)
        await self._auth.save()
        return web.Response(status=204)

    def _attempt(self, request: web.Request) -> None:
        """Count a guess; raises when there were too many."""
        wait_s = self._auth.attempts.begin(_address(request), time.monotonic())
        if wait_s > 0:
            raise ApiError(
                429, "too-many-attempts", f"too many attempts; wait {math.ceil(wait_s)} s", retry_after_s=wait_s
            )

    async def _verify(self, password: str) -> bool:
        try:
            return await self._auth.password.verify(password)
        except PasswordBusyError as exc:
            raise ApiError(429, "too-many-attempts", str(exc), retry_after_s=3) from exc

    async def _set_password(self, password: str) -> None:
        try:
            await self._auth.password.set(password)
        except PasswordBusyError as exc:
            raise ApiError(429, "too-many-attempts", str(exc), retry_after_s=3) from exc
        except PasswordError as exc:
            raise ApiError(503, "service-unavailable", str(exc)) from exc

    async def _signed_in(self, request: web.Request, scope: Scope, *, token_id: str = "") -> web.Response:
        now_s = time.monotonic()
        before = self._auth.sessions.find(session_id_of(request), now_s)
        if before is not None:
            self._auth.sessions.end(before)
        response = answer(self._describe(scope))
        give_session(request, response, self._auth.sessions.begin(scope, now_s, token_id=token_id))
        await self._auth.save()
        return response

    def _describe(self, scope: Scope | None) -> AuthState:
        claim = self._auth.claim
        known = scope if scope in ("read", "control", "admin") else None
        return AuthState(claim.is_claimed, claim.is_open(time.monotonic()), known is not None, known)


def _address(request: web.Request) -> str:
    return request.remote or ""


def _wrong(request: web.Request, status: int, code: str, message: str, field: str) -> ApiError:
    """A guess that was wrong; who reads the log may want to know."""
    logger.warning("a wrong guess from %s: %s", _address(request), message)
    return ApiError(status, code, message, field)


def _check(password: str, field: str) -> None:
    try:
        checked(password)
    except PasswordError as exc:
        raise ApiError(400, "bad-request", str(exc), field) from exc


def _info(token: ApiToken) -> TokenInfo:
    return msgspec.convert(token, TokenInfo, from_attributes=True)
