"""What log records are about beyond their words, such as a room and a peer: the context of the task that writes them.

    asyncio.create_task(serve(leg), context=about(peer="anna"))    # its records, and its tasks', carry PEER=anna

Names are those of the journal's fields, in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context, ContextVar, copy_context
from types import MappingProxyType

_FIELDS: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))


def about(**fields: str) -> Context:
    """A copy of this context in which records are about `fields` too."""
    context = copy_context()
    context.run(_FIELDS.set, MappingProxyType({**_FIELDS.get(), **fields}))
    return context


def fields() -> Mapping[str, str]:
    """What records written here and now are about."""
    return _FIELDS.get()
