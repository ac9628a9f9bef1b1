"""Who sends a request, as the door found out (`appliance.web_access`). Pages ask `visitor(request).may("admin")`."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from provisioning.http_routes import SCOPES, Scope
from provisioning.sessions import Session


@dataclass(frozen=True, slots=True)
class Visitor:
    """`scope` None: nobody we know. `session`: known by the cookie of a page; `token_id`: by an API token."""

    scope: Scope | None = None
    session: Session | None = None
    token_id: str = ""

    @property
    def is_known(self) -> bool:
        return self.scope is not None

    def may(self, needed: Scope) -> bool:
        """Whether it may use what needs `needed`; "setup" is not for the visitor to have."""
        return needed == "open" or (self.scope is not None and SCOPES.index(self.scope) >= SCOPES.index(needed))


def visitor(request: web.Request) -> Visitor:
    known: Visitor = request.get(_KEY, Visitor())
    return known


def set_visitor(request: web.Request, known: Visitor) -> None:
    request[_KEY] = known


_KEY = web.RequestKey("visitor", Visitor)
