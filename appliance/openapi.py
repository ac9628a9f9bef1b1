"""The OpenAPI document (3.1) of the routes that a unit has: made out of the very table that registers them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from provisioning.http_json import answer
from provisioning.http_routes import ApiRoute, routes_of

PATH = "/api/openapi.json"
_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"page": [], "csrf": []}]


class ErrorBody(msgspec.Struct):
    """`code` is for programs, `message` for people; `field`: what in the request is to blame."""

    code: str
    message: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class Error(msgspec.Struct):
    error: ErrorBody


class OpenApi:
    """Serves the document of all routes in the table of its application. Made when first asked for, in a thread: it
    takes tens of milliseconds, and few ever ask.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._document: dict[str, Any] = {}

    def routes(self) -> list[ApiRoute]:
        summary = "This document."
        return [ApiRoute("GET", PATH, self._get, scope="open", summary=summary, answer=dict[str, Any])]

    async def _get(self, request: web.Request) -> web.Response:
        if not self._document:
            self._document = await asyncio.to_thread(document, routes_of(request.app), self._version)
        return answer(self._document)


def document(routes: Sequence[ApiRoute], version: str) -> dict[str, Any]:
    types = [kind for route in routes for kind in _types(route)]
    schemas, components = msgspec.json.schema_components([Error, *types], ref_template=_REFERENCE)
    found = iter(schemas[1:])
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, found)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Room appliance",
            "version": version,
            "description": "Scopes: read, control (join, leave, mute, press a button), admin; each has those before.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
                "page": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "room_appliance",
                    "description": "Of a page; the port stands behind its name.",
                },
                "csrf": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRF-Token",
                    "description": "With the cookie, a change carries the value of the cookie room_appliance_csrf.",
                },
            },
        },
    }


def _types(route: ApiRoute) -> Iterator[Any]:
    """In the order in which `_operation` takes their schemas."""
    for kind in (route.body, route.query, route.answer, *route.more.values()):
        if kind is not None:
            yield kind


def _operation(route: ApiRoute, schemas: Iterator[dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": _operation_id(route), "summary": route.summary}
    operation["x-scope"] = route.scope
    operation["security"] = [] if route.scope in ("open", "setup") else _SECURITY
    parameters = [_path_parameter(name, pattern) for name, pattern in _PARAMETER.findall(route.path)]
    if route.body is not None:
        content = {"application/json": {"schema": next(schemas)}}
        operation["requestBody"] = {"required": not route.body_optional, "content": content}
    if route.query is not None:
        next(schemas)  # each field is a parameter instead
        parameters += _query_parameters(route.query)
    if parameters:
        operation["parameters"] = parameters
    operation["responses"] = dict(sorted(_responses(route, schemas).items()))
    return operation


def _responses(route: ApiRoute, schemas: Iterator[dict[str, Any]]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.answer is not None:
        success["content"] = {route.content_type: {"schema": next(schemas)}}
    elif route.status != HTTPStatus.NO_CONTENT and route.content_type != "application/json":
        success["content"] = {route.content_type: {"schema": {}}}
    responses = {str(route.status): success}
    for status, kind in route.more.items():
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
        if kind is not None:
            responses[str(status)]["content"] = {"application/json": {"schema": next(schemas)}}
    for status, words in {**_usual_errors(route), **route.errors}.items():
        schema = {"$ref": _REFERENCE.format(name="Error")}
        responses.setdefault(str(status), {"description": words, "content": {"application/json": {"schema": schema}}})
    return responses


def _usual_errors(route: ApiRoute) -> dict[int, str]:
    """What the door answers before the route is reached."""
    errors = {
        400: "the request is not well formed",
        403: "a name, origin, token or scope that may not do this",
        408: "the body came too slowly",
        413: "the body is too long",
    }
    if route.scope not in ("open", "setup"):
        errors[401] = "nobody known"
    return errors


def _operation_id(route: ApiRoute) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", _PARAMETER.sub(r"\1", route.path)).strip("_")
    return f"{route.method.lower()}_{words}"


def _path_parameter(name: str, pattern: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "pattern": f"^(?:{pattern})$"} if pattern else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    (_,), components = msgspec.json.schema_components([query], ref_template=_REFERENCE)
    schema = components[query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind}
        for name, kind in schema["properties"].items()
    ]
