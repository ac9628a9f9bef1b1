"""What was measured, as rows: ours against a peer of the same run; as text, as Markdown and as a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is ours by the peer's; `goal` bounds it from above. A peer's 0 is met by our 0 only."""

    measure: str
    unit: str
    ours: float
    peer: str
    peer_value: float
    ratio: float
    goal: float
    met: bool


def row(measure: str, unit: str, ours: float, peer_value: float, goal: float, peer: str = "stock aiortc") -> Row:
    ratio = ours / peer_value if peer_value else (0.0 if not ours else math.inf)
    return Row(measure, unit, round(ours, 3), peer, round(peer_value, 3), round(ratio, 3), goal, ratio <= goal)


def percentile(values: Sequence[float], share: float) -> float:
    """NaN of nothing, which meets no goal."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan


_WIDTH = 60  # of a measure
HEAD = f"{'measure':{_WIDTH}}  {'ours':>9}  {'peer':>9}  {'ratio':>6}  {'goal':>5}"


def line(each: Row) -> str:
    """As `HEAD` names its columns."""
    figures = f"{each.ours:9.3f}  {each.peer_value:9.3f}  {each.ratio:6.2f}  {each.goal:5.2f}"
    verdict = "met" if each.met else "MISSED"
    return f"{each.measure:{_WIDTH}}  {figures}  {verdict:6}  {each.unit}, against {each.peer}"


def markdown(rows: Sequence[Row]) -> str:
    lines = ["| measure | unit | ours | peer | | ratio | goal | |", "|---|---|--:|---|--:|--:|--:|---|"]
    for each in rows:
        verdict = "met" if each.met else "**missed**"
        lines.append(
            f"| {each.measure} | {each.unit} | {each.ours:g} | {each.peer} | {each.peer_value:g} "
            f"| {each.ratio:.2f} | {each.goal:g} | {verdict} |"
        )
    return "\n".join(lines)


_LINE, _LEFT, _SCALE = 18, 420, 160  # px: a row, its name, a ratio of 1
_MOST = 2.0  # a longer bar is cut


def chart(rows: Sequence[Row], title: str) -> str:
    """SVG: a bar a row, as long as its ratio; a line where its goal is. Reads on light and dark."""
    width, height = _LEFT + int(_MOST * _SCALE) + 60, _LINE * (len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>',
        '<g font-family="sans-serif" font-size="11">',
        f'<text x="4" y="13" font-weight="bold">{escape(title)}</text>',
    ]
    for number, each in enumerate(rows, 1):
        y = number * _LINE
        shown = min(_MOST, each.ratio) if math.isfinite(each.ratio) else _MOST
        goal = _LEFT + min(_MOST, each.goal) * _SCALE
        color = "#2a7f4f" if each.met else "#b3261e"
        parts += [
            f'<text x="{_LEFT - 6}" y="{y + 13}" text-anchor="end">{escape(each.measure)}</text>',
            f'<rect x="{_LEFT}" y="{y + 4}" width="{shown * _SCALE:.1f}" height="{_LINE - 7}" fill="{color}"/>',
            f'<path d="M{goal:.1f} {y + 2}v{_LINE - 3}" stroke="#111" stroke-width="1.5"/>',
            f'<text x="{_LEFT + shown * _SCALE + 4:.1f}" y="{y + 13}">{each.ratio:.2f}</text>',
        ]
    return "\n".join([*parts, "</g></svg>\n"])
