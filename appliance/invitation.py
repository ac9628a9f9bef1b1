"""The way into this unit's own room for somebody's phone: a link with a room token, and its QR code.

POST /api/invitation    answers {"url", "qr", "expires_at"}; 409 when the room is another unit's
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
import segno
from aiohttp import web

from appliance.api import NoFields
from appliance.config import Config
from appliance.hub.tokens import TokenSigner
from provisioning.http_json import answer, error_response, read_body
from provisioning.http_routes import ApiRoute


class InvitationAnswer(msgspec.Struct, kw_only=True):
    """`qr` is an SVG of `url`; `expires_at` ISO 8601 in UTC."""

    url: str
    qr: str
    expires_at: str


class Invitations:
    def __init__(self, config: Callable[[], Config], signer: TokenSigner) -> None:
        self._config = config
        self._signer = signer

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "POST",
                "/api/invitation",
                self._invite,
                scope="control",
                summary="A link into the unit's own room, QR code and room key: whoever has it may enter.",
                body=NoFields,
                body_optional=True,
                answer=InvitationAnswer,
                errors={409: "the unit's room is on another hub, which invites"},
            )
        ]

    async def _invite(self, request: web.Request) -> web.Response:
        await read_body(request, NoFields, "nothing or {}", may_be_empty=True)
        config, now_s = self._config(), time.time()
        if not config.room.is_own:
            return error_response(409, "other-hub", f"room {config.room.room} is on {config.room.url}, which invites")
        ttl_s = config.hub.token_ttl
        token = self._signer.sign("", config.room.room, "host", "", ttl_s, now_s)  # any number of guests
        url = f"{request.scheme}://{request.host}/join/{quote(config.room.room)}#token={token}"
        if config.room.encryption == "aes-128-gcm":  # what browsers can
            url += f"&key={quote(config.room.encryption_secret, safe='')}"
        expires_at = datetime.fromtimestamp(now_s + ttl_s, UTC).isoformat(timespec="seconds")
        qr = await asyncio.to_thread(qr_svg, url)
        return answer(InvitationAnswer(url=url, qr=qr, expires_at=expires_at))


def qr_svg(text: str) -> str:
    """A QR code that fills what it is put into. Takes tens of milliseconds for a long text: call it in a thread."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", border=0, xmldecl=False, svgns=True, omitsize=True)
    return out.getvalue().decode()
