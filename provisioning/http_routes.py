"""The table of HTTP routes: one row says where a route is, who may use it, what goes in and what comes out.

The same rows register the routes, tell the door which scope each needs (`appliance.web_access`) and write the OpenAPI
document, so that none of the three can forget one.

    ApiRoute("POST", "/api/mute", self._mute, scope="control", summary="Move the gates.", body=Mute, answer=MuteAnswer)

Scopes: `open` to everybody; `setup` to everybody while the unit waits for its owner; `read`, `control` (join, leave,
mute, press a button) and `admin`, each of which includes those before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

import msgspec
from aiohttp import web

from provisioning.http_json import ApiError

Scope = Literal["open", "setup", "read", "control", "admin"]
SCOPES: tuple[Scope, ...] = ("open", "setup", "read", "control", "admin")  # each includes those before it
Method = Literal["GET", "POST", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One route. `run` is an aiohttp handler; an `ApiError` that it raises becomes the answer.

    `body` is what the handler passes to `read_body`, `query` a struct whose fields are the parameters after "?".
    `answer` is the type of the JSON answer with `status`; of another `content_type` when that is given; None: no body.
    `more` are further answers that are no errors, by status; `errors` what each other status means: list those that the
    handler itself makes, for 400 (a body that is wrong), 401 and 403 follow from the row.
    """

    method: Method
    path: str  # as aiohttp writes it: /api/auth/tokens/{id}
    run: Callable[[web.Request], Awaitable[web.StreamResponse]]
    _: KW_ONLY
    scope: Scope
    summary: str
    body: Any = None
    body_optional: bool = False
    query: type[msgspec.Struct] | None = None
    answer: Any = None
    status: int = 200
    content_type: str = "application/json"
    more: Mapping[int, Any] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)
    max_body_bytes: int = 0  # where it takes more than the application does

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self.run(request)
        except ApiError as exc:
            return exc.response()


def add_routes(application: web.Application, routes: Iterable[ApiRoute]) -> None:
    """Register `routes`; `route_of` finds the row of a request then."""
    table = application.setdefault(_TABLE, {})
    for route in routes:
        added = application.router.add_route(route.method, route.path, route.handle)
        assert added.resource is not None  # only routes without a path have none
        table[route.method, added.resource.canonical] = route


def routes_of(application: web.Application) -> list[ApiRoute]:
    """Every row that was registered."""
    return list(application.get(_TABLE, {}).values())


def route_of(request: web.Request) -> ApiRoute | None:
    """The row of a request; None when it is for something else, or for nothing."""
    resource = request.match_info.route.resource
    if resource is None:
        return None
    return request.app.get(_TABLE, {}).get((request.method, resource.canonical))


_TABLE = web.AppKey("api routes", dict[tuple[str, str], ApiRoute])
