from __future__ import annotations

from typing import Literal

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from appliance.openapi import OpenApi, document
from provisioning.auth_routes import AuthRoutes
from provisioning.http_json import answer
from provisioning.http_routes import ApiRoute, add_routes, routes_of
from tests.provisioning.owner import new_auth


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    mood: Literal["good", "bad"]


class Look(msgspec.Struct):
    user: str = ""


class Told(msgspec.Struct):
    words: str


async def tell(_request: web.Request) -> web.Response:
    return answer(Told("yes"))


PICTURE = ApiRoute(
    "GET",
    "/picture/{name:a|b}",
    tell,
    scope="read",
    summary="A picture.",
    query=Look,
    content_type="image/jpeg",
    more={204: None},
    errors={404: "no such picture"},
)
WISH = ApiRoute("POST", "/wish", tell, scope="open", summary="A wish.", body=Wish, answer=Told, status=202)


def test_a_row_becomes_an_operation() -> None:
    written = document([PICTURE, WISH], "1.2")
    assert written["info"]["version"] == "1.2"
    picture = written["paths"]["/picture/{name}"]["get"]
    path, user = picture["parameters"]
    assert (path["name"], path["in"], path["schema"]["pattern"]) == ("name", "path", "^(?:a|b)$")
    assert (user["name"], user["in"], user["required"]) == ("user", "query", False)
    assert picture["security"] != []
    assert {"200", "204", "401", "403", "404"} <= picture["responses"].keys()
    assert picture["responses"]["200"]["content"].keys() == {"image/jpeg"}
    assert "content" not in picture["responses"]["204"]
    wish = written["paths"]["/wish"]["post"]
    assert wish["security"] == []
    assert "401" not in wish["responses"]
    assert wish["requestBody"]["required"]
    reference = wish["responses"]["202"]["content"]["application/json"]["schema"]["$ref"]
    assert written["components"]["schemas"][reference.rpartition("/")[2]]["properties"].keys() == {"words"}


def test_every_reference_leads_somewhere() -> None:
    routes = AuthRoutes(new_auth()).routes()
    written = document(routes, "1")
    text = msgspec.json.encode(written).decode()
    for part in text.split('"$ref":"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in written["components"]["schemas"]
    assert len(written["paths"]) == len({route.path for route in routes})


async def test_the_table_is_what_is_registered() -> None:
    application = web.Application()
    openapi = OpenApi("1")
    add_routes(application, [PICTURE, WISH])
    add_routes(application, openapi.routes())
    assert [route.path for route in routes_of(application)] == ["/picture/{name:a|b}", "/wish", "/api/openapi.json"]
    registered = {(route.method, route.resource.canonical) for route in application.router.routes() if route.resource}
    assert registered == {("GET", "/picture/{name}"), ("POST", "/wish"), ("GET", "/api/openapi.json")}


async def test_what_is_served_has_every_row_of_the_table() -> None:
    application = web.Application()
    add_routes(application, OpenApi("1").routes())
    add_routes(application, [PICTURE, WISH])  # later than its own
    async with TestClient(TestServer(application)) as client, client.get("/api/openapi.json") as got:
        assert (await got.json())["paths"].keys() == {"/api/openapi.json", "/picture/{name}", "/wish"}


def test_two_rows_for_one_place_are_refused() -> None:
    with pytest.raises(RuntimeError, match="already registered"):
        add_routes(web.Application(), [WISH, WISH])
