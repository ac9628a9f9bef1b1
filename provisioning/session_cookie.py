"""The cookies of a page: the session's id, which no script sees, and the token that its scripts send back.

Both carry the port in their names: browsers don't keep cookies of two ports apart. Under TLS the session's begins with
`__Host-` (RFC 6265bis 4.1.3.2), so that no other host and no plain connection can have set it.
"""

from __future__ import annotations

import hmac
import re

from aiohttp import web

from provisioning.sessions import LONGEST_S, csrf_token

CSRF_HEADER = "X-CSRF-Token"


class SessionCookie:
    """`secure`: under TLS."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure

    def read(self, request: web.Request) -> str:
        """The id of the session; empty when there is none."""
        return request.cookies.get(self._name(request), "")

    def give(self, request: web.Request, response: web.Response, session_id: str) -> None:
        for name, value, httponly in (
            (self._name(request), session_id, True),
            (_csrf_name(request), csrf_token(session_id), False),
        ):
            response.set_cookie(
                name,
                value,
                max_age=int(LONGEST_S),
                httponly=httponly,
                samesite="Strict",
                secure=self._secure,
                path="/",
            )

    def take_back(self, request: web.Request, response: web.Response) -> None:
        for name in (self._name(request), _csrf_name(request)):
            response.del_cookie(name, path="/", secure=self._secure, samesite="Strict")

    def has_token(self, request: web.Request) -> bool:
        """The request carries the token of its session, which only a script of an own page can read."""
        given = request.headers.get(CSRF_HEADER, "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token(self.read(request)).encode())

    def _name(self, request: web.Request) -> str:
        return f"{'__Host-' if self._secure else ''}room_appliance{_port(request)}"


def _csrf_name(request: web.Request) -> str:
    return f"room_appliance_csrf{_port(request)}"


def _port(request: web.Request) -> str:
    """As scripts know it (`location.port`): that of the address bar, also behind a proxy; none where it is usual."""
    found = re.search(r":([0-9]{1,5})$", request.host)
    return f"_{found[1]}" if found else ""
