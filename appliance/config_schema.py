"""What a configuration struct says about its own keys: range, unit, help, secret. Error messages, the README's table
and a settings page are all made from this.

A key's metadata stands in its annotation: `msgspec.Meta(description=help, extra={...})`, where `extra` may have "unit",
"allowed", "secret" and "later".
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from msgspec import inspect

ValueType = Literal["boolean", "integer", "choice", "text"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value may be; of a list key what each item may be. Bounds are of the number or of the text's length."""

    type: ValueType
    minimum: int | None = None
    maximum: int | None = None
    step: int | None = None
    choices: tuple[str, ...] = ()
    max_items: int | None = None  # a list


@dataclass(frozen=True, slots=True)
class Key:
    """One key of one section. `allowed` is a phrase such as "an integer from 1 to 60", `allowed_item` the one for an
    item of a list (else empty)."""

    section: str
    name: str
    default: Any
    allowed: str
    help: str
    unit: str
    secret: bool
    later: bool  # checked, and without effect in this version
    allowed_item: str
    shape: Shape


@functools.cache
def sections(config: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """The struct of each table, in the order of the file."""
    described = inspect.type_info(config)
    assert isinstance(described, inspect.StructType)
    return {
        field.encode_name: field.type.cls for field in described.fields if isinstance(field.type, inspect.StructType)
    }


@functools.cache
def keys(config: type[msgspec.Struct]) -> tuple[Key, ...]:
    """Every key of every section, in the order of the file."""
    return tuple(_keys(config))


def _keys(config: type[msgspec.Struct]) -> Iterator[Key]:
    for section, struct in sections(config).items():
        described = inspect.type_info(struct)
        assert isinstance(described, inspect.StructType)
        for field in described.fields:
            yield _key(section, field)


def _key(section: str, field: inspect.Field) -> Key:
    kind, extra, help_ = field.type, {}, ""
    if isinstance(kind, inspect.Metadata):
        extra, help_ = kind.extra or {}, (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    unit = extra.get("unit", "")
    return Key(
        section=section,
        name=field.encode_name,
        default=field.default,
        allowed=extra.get("allowed") or _allowed(kind) + (f" ({unit})" if unit else ""),
        help=help_,
        unit=unit,
        secret=extra.get("secret", False),
        later=extra.get("later", False),
        allowed_item=_allowed(kind.item_type) if isinstance(kind, inspect.VarTupleType) else "",
        shape=_shape(kind),
    )


def _shape(kind: inspect.Type) -> Shape:
    match kind:
        case inspect.Metadata(type=inner):
            return _shape(inner)
        case inspect.BoolType():
            return Shape("boolean")
        case inspect.IntType(ge=low, le=high, multiple_of=step):
            return Shape("integer", low, high, step)
        case inspect.LiteralType(values=values):
            return Shape("choice", choices=tuple(map(str, values)))
        case inspect.StrType(min_length=low, max_length=high):
            return Shape("text", low, high)
        case inspect.VarTupleType(item_type=item, max_length=high):
            return replace(_shape(item), max_items=high)
    raise TypeError(f"no shape for a configuration key of type {kind}")


def _allowed(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            return (extra or {}).get("allowed") or _allowed(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high, multiple_of=step):
            if step in (None, 2):
                return f"an {'even ' if step else ''}integer from {low} to {high}"
            return f"a multiple of {step} from {low} to {high}"
        case inspect.LiteralType(values=values):
            names = [f'"{value}"' for value in values]
            return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        case inspect.StrType(min_length=low, max_length=high):
            return f"text of {low or 0} to {high} characters"
        case inspect.VarTupleType(item_type=item, max_length=high):
            return f"a list of at most {high}, each {_allowed(item)}"
    raise TypeError(f"no words for a configuration key of type {kind}")
