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


def session_id_of(request: web.Request) -> str:
    """Empty when the request carries none."""
    return request.cookies.get(_name(request, _port(request)), "")


def give_session(request: web.Request, response: web.Response, session_id: str, *, port: int | None = None) -> None:
    """`port`: where the page will be, if not where it is now."""
    ending = _port(request) if port is None else _ending(request, port)
    for name, value, httponly in (
        (_name(request, ending), session_id, True),
        (_csrf_name(ending), csrf_token(session_id), False),
    ):
        response.set_cookie(
            name,
            value,
            max_age=int(LONGEST_S),
            httponly=httponly,
            samesite="Strict",
            secure=request.secure,
            path="/",
        )


def take_session_back(request: web.Request, response: web.Response) -> None:
    ending = _port(request)
    for name in (_name(request, ending), _csrf_name(ending)):
        response.del_cookie(name, path="/", secure=request.secure, samesite="Strict")


def has_csrf_token(request: web.Request) -> bool:
    """The request carries the token of its session, which only a script of an own page can read."""
    given = request.headers.get(CSRF_HEADER, "")
    return hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token(session_id_of(request)).encode())


def _name(request: web.Request, ending: str) -> str:
    return f"{'__Host-' if request.secure else ''}room_appliance{ending}"


def _csrf_name(ending: str) -> str:
    return f"room_appliance_csrf{ending}"


def _port(request: web.Request) -> str:
    """As scripts know it (`location.port`): that of the address bar, also behind a proxy; none where it is usual."""
    found = re.search(r":([0-9]{1,5})$", request.host)
    return f"_{found[1]}" if found else ""


def _ending(request: web.Request, port: int) -> str:
    return "" if port == (443 if request.secure else 80) else f"_{port}"
