"""axe-core on a page: what a screen reader, a keyboard or a weak eye would stumble over (WCAG 2.2 A and AA)."""

from __future__ import annotations

import functools
from importlib import resources

from playwright.async_api import Page

_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@functools.cache
def _source() -> str:
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


async def violations(page: Page) -> list[str]:
    """One line for each element that breaks a rule; empty is what it should be. The page's policy is not in the way:
    the script is evaluated, not loaded."""
    await page.evaluate(_source())
    found = await page.evaluate(
        "async (tags) => (await axe.run(document, {runOnly: tags, resultTypes: ['violations']})).violations", _TAGS
    )
    return [f"{rule['id']}: {node['html'][:160]}: {node['failureSummary']}" for rule in found for node in rule["nodes"]]
