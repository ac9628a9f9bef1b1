"""The room page, in the language of its reader, and its files.

Words are `locales/CODE.json`; a file more there is a language more. A page's script finds all of them in `#words`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, StrictUndefined, Template

from provisioning.assets import SHARED, Asset, Assets, make_asset, page_headers
from provisioning.languages import Languages, fill
from provisioning.reader import language_of, mark

HERE = Path(__file__).parent
STATIC = HERE / "static"
LOCALES = HERE / "locales"
PAGE = HERE / "templates" / "room.html"


class Pages(Assets):
    """The files below /hub/static, and the page. Reads them: make it in a thread."""

    def __init__(self) -> None:
        super().__init__(STATIC, *SHARED)
        self.languages = Languages(LOCALES)
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        template = environment.from_string(PAGE.read_text("utf-8"))
        self._pages = {code: self._render(template, code) for code in self.languages.names}

    async def room(self, request: web.Request) -> web.Response:
        """`GET /join/{room}`: the same page for every room; it reads the name from its address itself."""
        language = language_of(request, self.languages)
        response = self._pages[language].response(request, page_headers(request.host))
        mark(request, response, language)
        return response

    def _render(self, template: Template, language: str) -> Asset:
        words = self.languages.words(language)

        def translate(key: str, /, **places: Any) -> str:
            return fill(words[key], places)

        text = template.render(_=translate, language=language, languages=self.languages.names, words=dict(words))
        return make_asset(text.encode(), "text/html")
