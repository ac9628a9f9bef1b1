"""`make bench`: measures, prints the table, and writes bench.json, docs/bench.md, docs/bench.svg and README.md's part.

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
README, BEGIN, END = ROOT / "README.md", "<!-- measured: written by make bench -->\n", "<!-- /measured -->\n"
HEADLINES = (
    "mouth to ear, clean, p50",
    "mouth to ear, 5 % loss, p50",
    "hand-off to picture, clean, p50",
    "hand-off to picture, 5 % loss, p50",
    "freezes over 150 ms, 5 % loss",
    "CPU of a call, 720p30, both ways",
    "memory of a call, 720p30, both ways",
    "CPU of a call, 720p30, both ways, a camera that encodes",
    "memory of a call, 720p30, both ways, a camera that encodes",
    "program start to first picture",
    "pass-through 720p30, first leg",
    "pass-through 720p30, each further leg",
    "x264 720p30, first leg",
    "echo taken away (ERLE), worst of 10 rooms",
    "button edge to silent wire p99, GPIO",
)

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
    by_name = {each.measure: each for each in measured}
    shown = [by_name[name] for name in HEADLINES if name in by_name]
    dates = sorted(groups[name]["date"][:10] for name in GROUPS if name in groups)
    date = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    before, after = README.read_text().split(BEGIN)[0], README.read_text().split(END)[1]
    words = f"On {machine}, {date}; `ratio` is ours by the peer's, the goal bounds it from above.\n\n"
    README.write_text(f"{before}{BEGIN}{words}{markdown(shown)}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
