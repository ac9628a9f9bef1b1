"""The settings over HTTP: read, changed, exported, imported; the restart that some of them need, and the factory reset.

Secrets go in and never come out: where one is set, its value reads "set".
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.config import MAX_FILE_BYTES, Config
from appliance.config_edit import SECRETS, Value
from appliance.config_files import SaveError
from appliance.config_schema import ValueType, keys
from appliance.config_store import ConfigStore, with_values
from appliance.config_trial import Visitor
from appliance.errors import ConfigError
from appliance.live import Plan, part_of
from appliance.online import is_online
from provisioning.http_json import ApiError, BodyError, answer, read_body
from provisioning.http_routes import ApiRoute
from provisioning.session_cookie import give_session, session_id_of

SET = "set"  # stands for the value of a secret
MAX_KEYS = 200

Changes = Annotated[dict[str, Value | None], Meta(max_length=MAX_KEYS)]


class NoticeInfo(msgspec.Struct, kw_only=True):
    """Settings that were taken back: which `keys`, why, and when (seconds since 1970)."""

    reason: str
    keys: list[str]
    at: float


class ConfigAnswer(msgspec.Struct, kw_only=True):
    """`config`: every key of every section as it is wanted. `pending`: keys that wait for a restart. `on_trial`: the
    unit is still looking whether these settings may stay."""

    config: dict[str, dict[str, Value | None]]
    pending: list[str]
    on_trial: bool
    notice: NoticeInfo | None = None


class ChangeAnswer(msgspec.Struct, kw_only=True):
    """`applied`: keys in effect now. `restart`: keys that wait for POST /api/restart."""

    applied: list[str]
    restart: list[str]


class KeyInfo(msgspec.Struct, kw_only=True):
    """One key. `minimum` and `maximum` are of a number or of a text's length; of a list they are each item's, and it
    has at most `max_items`. `live`: a change takes effect at once. `fixed`: this program decides it. `later`: no effect
    in this version, pages leave it out."""

    section: str
    key: str
    type: ValueType
    default: Value | None
    help: str
    allowed: str
    unit: str
    minimum: int | None
    maximum: int | None
    step: int | None
    choices: list[str]
    max_items: int | None
    secret: bool
    live: bool
    fixed: bool
    later: bool


class SchemaAnswer(msgspec.Struct):
    keys: list[KeyInfo]


class ImportRequest(msgspec.Struct, forbid_unknown_fields=True):
    toml: str


class ResetRequest(msgspec.Struct, forbid_unknown_fields=True):
    confirm: Literal["factory-reset"]


class RestartAnswer(msgspec.Struct, kw_only=True):
    """Where the page will be: `port` 0 and `scheme` "" are those of now. A page stays signed in on another port."""

    scheme: str
    port: int


class NoFields(msgspec.Struct, forbid_unknown_fields=True):
    pass


class SettingsError(ApiError):
    """Settings that are refused; each key that is to blame with what is wrong about it."""

    def __init__(self, error: ConfigError) -> None:
        first = error.problems[0][0] if error.problems else ""
        super().__init__(503 if isinstance(error, SaveError) else 422, "settings", str(error), first)
        self.problems = error.problems

    def response(self) -> web.Response:
        problems = [{"field": name, "message": what} for name, what in self.problems]
        error = {"code": self.code, "message": str(self), "field": self.field, "problems": problems}
        return answer({"error": error}, self.status)


_REFUSED = {422: "a value that is not allowed: `problems` names each key", 503: "it could not be saved"}


class ConfigApi:
    """`restart` and `reset` return before the unit ends."""

    def __init__(self, store: ConfigStore, restart: Callable[[], None], reset: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._restart = restart
        self._reset = reset

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "GET", "/api/config", self._get, scope="read", summary="Every setting; no secrets.", answer=ConfigAnswer
            ),
            ApiRoute(
                "PUT",
                "/api/config",
                self._put,
                scope="admin",
                summary='Change settings: {"section.key": value}; null gives a key its default.',
                body=Changes,
                answer=ChangeAnswer,
                errors=_REFUSED,
            ),
            ApiRoute(
                "GET",
                "/api/config/schema",
                self._schema,
                scope="read",
                summary="What each setting may be.",
                answer=SchemaAnswer,
            ),
            ApiRoute(
                "GET",
                "/api/config/export",
                self._export,
                scope="admin",
                summary="The configuration file without its secrets.",
                answer=str,
                content_type="application/toml",
            ),
            ApiRoute(
                "POST",
                "/api/config/import",
                self._import,
                scope="admin",
                summary="Replace the configuration file; secrets that it says nothing about stay.",
                body=ImportRequest,
                max_body_bytes=2 * MAX_FILE_BYTES,  # JSON escapes what it has to
                answer=ChangeAnswer,
                errors=_REFUSED,
            ),
            ApiRoute(
                "DELETE",
                "/api/config/notice",
                self._forget_notice,
                scope="admin",
                summary="Somebody has read which settings were taken back.",
                status=204,
            ),
            ApiRoute(
                "POST",
                "/api/restart",
                self._post_restart,
                scope="admin",
                summary="Compose the unit anew, with the settings that wait for it.",
                body=NoFields,
                body_optional=True,
                answer=RestartAnswer,
                status=202,
            ),
            ApiRoute(
                "POST",
                "/api/reset",
                self._post_reset,
                scope="admin",
                summary="Factory reset: settings, password, tokens and certificate are gone after it.",
                body=ResetRequest,
                answer=RestartAnswer,
                status=202,
                errors={503: "nothing can be written"},
            ),
        ]

    async def _get(self, _request: web.Request) -> web.Response:
        store = self._store
        notice = store.notice
        info = None if notice is None else NoticeInfo(reason=notice.reason, keys=list(notice.keys), at=notice.at)
        return answer(
            ConfigAnswer(
                config=public(store.config), pending=list(store.pending), on_trial=store.is_on_trial, notice=info
            )
        )

    async def _put(self, request: web.Request) -> web.Response:
        allowed = '{"section.key": value}, null for the default'
        changes = await read_body(request, dict[str, Value | None], allowed)
        if not changes or len(changes) > MAX_KEYS:
            raise BodyError(f"1 to {MAX_KEYS} settings at a time; allowed is {allowed}")
        for name in changes:
            if not all(name.partition(".")):
                raise BodyError(f"{name[:60]!r} is no setting; allowed is {allowed}", name[:60])
        return await self._changed(self._store.change(changes, visitor=where(request), was_online=is_online()))

    async def _import(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, ImportRequest, '{"toml": the text of a configuration file}')
        return await self._changed(self._store.replace(wanted.toml, visitor=where(request), was_online=is_online()))

    async def _changed(self, changing: Any) -> web.Response:
        try:
            plan: Plan = await changing
        except ConfigError as exc:
            raise SettingsError(exc) from exc
        return answer(ChangeAnswer(applied=list(plan.live), restart=list(plan.restart)))

    async def _schema(self, _request: web.Request) -> web.Response:
        return answer(SchemaAnswer(describe(self._store.fixed)))

    async def _export(self, _request: web.Request) -> web.Response:
        headers = {"Content-Disposition": 'attachment; filename="room-appliance.toml"'}
        text = await asyncio.to_thread(self._store.export)
        return web.Response(text=text, content_type="application/toml", headers=headers)

    async def _forget_notice(self, _request: web.Request) -> web.Response:
        await self._store.forget_notice()
        return web.Response(status=204)

    async def _post_restart(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        self._restart()
        place = moved(self._store.running, self._store.config)
        response = answer(place, 202)
        session_id = session_id_of(request)
        if place.port and not place.scheme and session_id:
            give_session(request, response, session_id, port=place.port)
        return response

    async def _post_reset(self, request: web.Request) -> web.Response:
        await read_body(request, ResetRequest, '{"confirm": "factory-reset"}')
        try:
            await self._reset()
        except ConfigError as exc:
            raise SettingsError(exc) from exc
        return answer(moved(self._store.running, with_values(Config(), self._store.fixed)), 202)


def public(config: Config) -> dict[str, dict[str, Value | None]]:
    """Every value but the secrets."""
    values: dict[str, dict[str, Value | None]] = msgspec.to_builtins(config)
    for name in SECRETS:
        section, _, key = name.partition(".")
        values[section][key] = SET if values[section][key] else None
    return values


def describe(fixed: dict[str, Value]) -> list[KeyInfo]:
    """Every key for a settings page."""
    return [
        KeyInfo(
            section=key.section,
            key=key.name,
            type=key.shape.type,
            default=None if key.secret else msgspec.to_builtins(key.default),
            help=key.help,
            allowed=key.allowed,
            unit=key.unit,
            minimum=key.shape.minimum,
            maximum=key.shape.maximum,
            step=key.shape.step,
            choices=list(key.shape.choices),
            max_items=key.shape.max_items,
            secret=key.secret,
            later=key.later,
            live=part_of(key.section, key.name) is not None,
            fixed=f"{key.section}.{key.name}" in fixed,
        )
        for key in keys(Config)
    ]


def moved(old: Config, new: Config) -> RestartAnswer:
    """Where the page of a unit goes with other settings."""
    was_tls, is_tls = old.web.tls != "off", new.web.tls != "off"
    return RestartAnswer(
        scheme="" if was_tls == is_tls else "https" if is_tls else "http",
        port=0 if new.web.port == old.web.port else new.web.port,
    )


def where(request: web.Request) -> Visitor:
    """From this machine or from another one."""
    try:
        is_local = ipaddress.ip_address((request.remote or "").partition("%")[0]).is_loopback
    except ValueError:
        is_local = False
    return "local" if is_local else "remote"
