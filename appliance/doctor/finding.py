"""What one check saw, and the report of all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TextIO

import msgspec

SCHEMA = 1  # of the JSON report; docs/doctor.md

Status = Literal["ok", "skipped", "warning", "failed"]
Fact = str | int | float | bool | None | list[str]


class Finding(msgspec.Struct, frozen=True):
    """`remedy` says what to do about a warning or a failure; `facts` are the numbers behind the message.

    `skipped`: not looked at, because it is not configured or because another program has it.
    """

    check: str
    status: Status
    message: str
    remedy: str = ""
    facts: Mapping[str, Fact] = {}


class Report(msgspec.Struct, frozen=True):
    """`status`: `failed` when one check failed, else `warning` when one warned, else `ok`."""

    schema: int
    status: Literal["ok", "warning", "failed"]
    findings: Sequence[Finding]


def report(findings: Sequence[Finding]) -> Report:
    seen = {finding.status for finding in findings}
    return Report(SCHEMA, "failed" if "failed" in seen else "warning" if "warning" in seen else "ok", findings)


def print_each(findings: Iterable[Finding], out: TextIO | None = None) -> list[Finding]:
    """Each finding as soon as it is there; gives all of them."""
    out = out or sys.stdout
    found = []
    for finding in findings:
        out.write(f"{finding.status:<7}  {finding.check}: {finding.message}\n")
        if finding.remedy:
            out.write(f"{'':<7}  -> {finding.remedy}\n")
        out.flush()
        found.append(finding)
    return found


def print_json(findings: Iterable[Finding], out: TextIO | None = None) -> list[Finding]:
    found = list(findings)
    text = msgspec.json.format(msgspec.json.encode(report(found)), indent=2).decode()
    (out or sys.stdout).write(text + "\n")
    return found
