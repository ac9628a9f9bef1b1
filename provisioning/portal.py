"""The pages of the unit: jinja2 templates in the language of their reader, with the frame that all of them share.

    portal = await asyncio.to_thread(Portal, unit_name=..., is_signed_in=...)
    application.add_routes(portal.routes())                # /static/NAME
    return portal.render(request, "settings.html", keys=...)

A template extends `base.html`; `_("key", place=value)` gives words in it. Its scripts get the words whose keys begin
with `common.` or with the template's own name, by `words.js`. `?lang=zh` switches the language, and is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined

from provisioning.assets import STATIC, Assets, page_headers
from provisioning.languages import Languages, fill
from provisioning.reader import language_of, mark

TEMPLATES = Path(__file__).parent / "templates"


class Portal:
    """Reads files: make it in a thread. After that nothing is read or compiled any more.

    `unit_name` is what the unit is called now; `is_signed_in` says whether a request comes from the owner, who is shown
    the ways to every page; `has_panel`: there is a virtual front panel.
    """

    def __init__(
        self,
        *,
        unit_name: Callable[[], str],
        is_signed_in: Callable[[web.Request], bool],
        version: str,
        has_panel: bool = False,
    ) -> None:
        self.languages = Languages()
        self._unit_name = unit_name
        self._is_signed_in = is_signed_in
        self._assets = Assets(STATIC)
        sources = {path.name: path.read_text("utf-8") for path in sorted(TEMPLATES.glob("*.html"))}
        self._environment = Environment(
            loader=DictLoader(sources),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=len(sources),
        )
        self._environment.globals |= {"version": version, "has_panel": has_panel}
        for name in sources:
            self._environment.get_template(name)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/static/{name}", self._assets.file)]

    def language(self, request: web.Request) -> str:
        """The code of the language that the reader of this page wants."""
        return language_of(request, self.languages)

    def render(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """The page `template` with these values."""
        language, page = self.language(request), template.removesuffix(".html")
        words = self.languages.words(language)

        def translate(key: str, /, **places: object) -> str:
            return fill(words[key], places)

        text = self._environment.get_template(template).render(
            _=translate,
            language=language,
            languages=self.languages.names,
            page=page,
            script_words={key: text for key, text in words.items() if key.startswith(("common.", f"{page}."))},
            signed_in=self._is_signed_in(request),
            unit_name=self._unit_name(),
            **values,
        )
        response = web.Response(text=text, status=status, content_type="text/html", headers=page_headers(request.host))
        response.headers["Cache-Control"] = "no-store"
        mark(request, response, language)
        return response
