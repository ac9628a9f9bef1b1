"""JSON in and out of HTTP routes: answers, errors and checked bodies.

Every error of every route is {"error": {"code", "message"}}, with "field" where one is to blame.
"""

from __future__ import annotations

import math
import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

T = TypeVar("T")


class ApiError(Exception):
    """What a route refuses. `code` is for programs, `message` for people; `retry_after_s`: when it may be different."""

    def __init__(self, status: int, code: str, message: str, field: str = "", *, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.retry_after_s = retry_after_s

    def response(self) -> web.Response:
        response = error_response(self.status, self.code, str(self), self.field)
        if self.retry_after_s > 0:
            response.headers["Retry-After"] = str(math.ceil(self.retry_after_s))
        return response


class BodyError(ApiError):
    """A request body that is not what it should be."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(400, "bad-request", message, field)


def answer(value: Any, status: int = 200) -> web.Response:
    """JSON of a struct or plain value."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def error_response(status: int, code: str, message: str, field: str = "") -> web.Response:
    response = answer({"error": {"code": code, "message": message, **({"field": field} if field else {})}}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def read_body(request: web.Request, cls: type[T], allowed: str, *, may_be_empty: bool = False) -> T:
    """The JSON body as `cls`. Raises `BodyError` that names the field and what is `allowed`."""
    return decode_body(await request.read(), cls, allowed, may_be_empty=may_be_empty)


def decode_body(body: bytes, cls: type[T], allowed: str, *, may_be_empty: bool = False) -> T:
    """Like `read_body`, of bytes."""
    if may_be_empty and not body.strip():
        body = b"{}"
    try:
        return msgspec.json.decode(body, type=cls)
    except msgspec.ValidationError as exc:
        words = str(exc)
        found = re.search(r"`(\$[^`]*)`$", words) or re.search(r"unknown field `([^`]*)`", words)
        raise BodyError(f"{words}; allowed is {allowed}", found[1] if found else "") from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise BodyError(f"the body is not JSON: {exc}; allowed is {allowed}") from exc
