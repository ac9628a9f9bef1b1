"""`python -m tests.names`: writes docs/names.md out of docs/names.tsv: what we call what vendors call otherwise.

A line of that file: id, kind, their name, ours, our row of docs/capabilities.md. Ours is a class of `HOMES`, or a
member of one: method, property, field, or value of an enum; `Role["host"]` is a value of a type or of a field.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from appliance import devices, errors, unit_events
from appliance import room as public
from appliance.events import Event
from appliance.room import client, events, signaling_base, statistics, streams

DOCS = Path(__file__).parents[1] / "docs"
DATA, PAGE = DOCS / "names.tsv", DOCS / "names.md"
VENDORS = {
    "TRTC": "Tencent TRTC (Web SDK 4)",
    "NERTC": "NetEase NERTC",
    "SPARK": "Huawei SparkRTC",
    "QN": "Qiniu QNRTC",
    "RTM": "anyRTC RTM",
}
HOMES: tuple[ModuleType, ...] = (client, events, unit_events, errors, statistics, streams, signaling_base, devices)


@dataclass(frozen=True, slots=True)
class Name:
    id: str
    kind: str
    theirs: str
    ours: str
    row: str

    @property
    def vendor(self) -> str:
        return self.id.partition("-")[0]


def read_names(text: str) -> list[Name]:
    return [Name(*line.split("\t")) for line in text.splitlines()[1:]]


def find(ours: str) -> Any:
    """What the name stands for; LookupError when there is no such thing."""
    path, _, value = ours.replace('"]', "").partition('["')
    first, *members = path.split(".")
    found = getattr(public, first) if first in public.__all__ else None
    for home in HOMES:
        found = getattr(home, first, None) if found is None else found
    if found is None:
        raise LookupError(ours)
    for member in members:
        found = _member(found, member)
    choices = re.findall(r"'(\w+)'", found) if isinstance(found, str) else typing.get_args(found)
    if value and value not in choices:
        raise LookupError(ours)
    return found


def _member(owner: Any, name: str) -> Any:
    """Of a dataclass's field the type as it is written."""
    written = {field.name: field.type for field in dataclasses.fields(owner)} if dataclasses.is_dataclass(owner) else {}
    if name in written:
        return written[name]
    if not hasattr(owner, name):
        raise LookupError(f"{owner} has no {name}")
    return getattr(owner, name)


def page(names: list[Name]) -> str:
    parts = [_HEAD]
    for vendor, title in VENDORS.items():
        parts.append(f"\n## {title}\n\n| kind | theirs | ours | row |\n|---|---|---|---|\n")
        parts += [
            f"| {name.kind} | `{name.theirs}` | {_shown(name.ours)} | {name.row} |\n"
            for name in names
            if name.vendor == vendor
        ]
    return "".join(parts)


def _shown(ours: str) -> str:
    """Events also by the name that `on` takes."""
    try:
        found = find(ours)
    except LookupError:
        return f"`{ours}`"
    is_event = isinstance(found, type) and issubclass(found, Event)
    return f"`{ours}`, `{found.event_name}`" if is_event else f"`{ours}`"


_HEAD = """# Names

What other vendors' room SDKs call a thing, and what it is called here. Every name of their pages is here; the row
leads to docs/capabilities.md, and `make rows` says which of them work. Events are classes, and `RoomClient.on` takes
the class or its hyphenated name. Vendors' numeric codes stand beside our own in `RtcErrorInfo.vendor_codes`. Written by
`python -m tests.names` out of docs/names.tsv.
"""


if __name__ == "__main__":
    PAGE.write_text(page(read_names(DATA.read_text())))
