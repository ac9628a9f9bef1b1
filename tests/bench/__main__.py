"""`make bench`: measures, prints the table, and writes bench.json, docs/bench.md and docs/bench.svg.

`python -m tests.bench GROUP ...` measures these groups only; the others keep what was measured before.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import buttons, cost, display, echo, encryption, hub_rows, quality, rate, relay, sending
from tests.bench.table import HEAD, Row, chart, line, markdown

ROOT = Path(__file__).parents[2]
RESULT, PAGE, CHART = ROOT / "bench.json", ROOT / "docs" / "bench.md", ROOT / "docs" / "bench.svg"

GROUPS: Mapping[str, tuple[str, Callable[[], AsyncIterator[Row]]]] = {
    "quality": ("Sound and pictures, on good and bad networks", quality.rows),
    "rate": ("A link that narrows", rate.rows),
    "sending": ("Sending", sending.rows),
    "cost": ("A whole call", cost.rows),
    "echo": ("Echo, in simulated rooms", echo.rows),
    "buttons": ("Buttons", buttons.rows),
    "hub": ("The hub", hub_rows.rows),
    "display": ("The unit's own screen", display.rows),
    "relay": ("Relay and recording", relay.rows),
    "encryption": ("Encryption from end to end", encryption.rows),
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"{unknown[0]!r} is no group; there are {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    groups: dict[str, Any] = json.loads(RESULT.read_text())["groups"] if names and RESULT.exists() else {}
    for name in names or GROUPS:
        print(f"{GROUPS[name][0]}\n{HEAD}", flush=True)
        table = asyncio.run(_measured(GROUPS[name][1]))
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes")
        groups[name] = {"date": date, "rows": [asdict(each) for each in table]}
        write(groups)
    return 0


async def _measured(rows: Callable[[], AsyncIterator[Row]]) -> list[Row]:
    """Printed as they come: a group takes minutes."""
    table = []
    async for each in rows():
        print(line(each), flush=True)
        table.append(each)
    return table


def write(groups: Mapping[str, Any]) -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    RESULT.write_text(json.dumps({"machine": machine, "groups": groups}, indent=1))
    parts = [
        "# Measured\n\n"
        f"By `make bench` on {machine}; every peer ran on the same machine right before or after us. `ratio` is"
        " ours by the peer's; the goal bounds it from above.\n\n![All ratios](bench.svg)\n"
    ]
    for name, (title, _) in GROUPS.items():
        if name in groups:
            rows = [Row(**each) for each in groups[name]["rows"]]
            parts.append(f"## {title}\n\n{groups[name]['date']}\n\n{markdown(rows)}\n")
    PAGE.write_text("\n".join(parts))
    measured = [Row(**each) for name in GROUPS if name in groups for each in groups[name]["rows"]]
    CHART.write_text(chart(measured, "Ours by the peer's; the line is the goal"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
