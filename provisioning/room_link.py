"""Where a person wants the unit to go, out of whatever they paste or scan. Pure.

    https://HOST:8080/join/ROOM#token=TOKEN    the link that a hub shows (and &fingerprint=AB:CD:...&key=SECRET)
    wss://HOST:8080, ws://HOST, HOST:8080      a hub's address; the room, and the token it asks for, stand beside it
    TOKEN                                      alone: it says the room, and the address stands beside it

The whole link is as good as its token where a token is asked for.

A token is read, never trusted: only its hub can tell whether it is good.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

MAX_TEXT = 8192
DEFAULT_PORT = 8080  # of a unit's hub

_ROOM = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}")
_KEY = re.compile(r"[ -~]{0,128}")
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class RoomLinkError(ValueError):
    """Nobody could go there. `code` is for the page's words, `field` the input to blame."""

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class RoomLink(msgspec.Struct, frozen=True, kw_only=True):
    """As the section [room] of the configuration wants it."""

    url: str
    room: str
    token: str = ""
    fingerprint: str = ""
    key: str = ""  # of a room that is encrypted from end to end


def parse_room_link(text: str, *, room: str = "", token: str = "") -> RoomLink:
    """`room` and `token` as typed beside `text`; what the link itself says wins. Raises `RoomLinkError`."""
    text, room, token = text.strip(), room.strip(), token.strip()
    if "#token=" in token:
        token = parse_qs(token.partition("#")[2], max_num_fields=16)["token"][0]
    if not text:
        raise RoomLinkError("no-address", "an address or an invitation link is needed", "address")
    if len(text) > MAX_TEXT:
        raise RoomLinkError("not-an-address", f"this is longer than {MAX_TEXT} characters", "address")
    if _TOKEN.fullmatch(text):
        raise RoomLinkError("only-a-token", "this is a token; the address of its hub is needed too", "address")
    url, path, fragment = _split(text)
    linked = re.fullmatch(r"/join/([^/]+)/?", path)
    if linked:
        room = unquote(linked[1])
    elif path not in ("", "/", "/hub/ws"):
        raise RoomLinkError("not-an-address", "this is no invitation link and no hub's address", "address")
    values = parse_qs(fragment, max_num_fields=16) if fragment else {}
    token = values.get("token", [token])[0]
    if token and not _TOKEN.fullmatch(token):
        raise RoomLinkError("bad-token", "this is no room token", "token")
    room = room or room_of(token)
    if not room:
        raise RoomLinkError("no-room", "the address names no room: say which one", "room")
    if not _ROOM.fullmatch(room):
        raise RoomLinkError("bad-room", "a room has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -", "room")
    fingerprint = values.get("fingerprint", [""])[0].upper()
    if fingerprint and not _FINGERPRINT.fullmatch(fingerprint):
        raise RoomLinkError("bad-fingerprint", "the fingerprint in this link is damaged", "address")
    key = values.get("key", [""])[0]
    if not _KEY.fullmatch(key):
        raise RoomLinkError("bad-key", "the key in this link is damaged", "address")
    return RoomLink(url=url, room=room, token=token, fingerprint=fingerprint, key=key)


def room_of(token: str) -> str:
    """The room that a token says it is for; empty when it says none that there could be."""
    try:
        body = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=dict)
    except (IndexError, ValueError, binascii.Error, msgspec.DecodeError, RecursionError):
        return ""
    room = claims.get("room")
    return room if isinstance(room, str) and _ROOM.fullmatch(room) else ""


def _split(text: str) -> tuple[str, str, str]:
    """(url of the hub, path, fragment)."""
    if "://" not in text:
        text = f"wss://{text}"
        has_port = re.match(r"wss://[^/?#]*:[0-9]+(?:[/?#]|$)", text)
        text = text if has_port else re.sub(r"^(wss://[^/?#]*)", rf"\1:{DEFAULT_PORT}", text)
    try:
        parts = urlsplit(text)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        port_is_good = False
    scheme = _SCHEMES.get(parts.scheme.lower()) if port_is_good else None
    if scheme is None or not _HOST.fullmatch(parts.netloc):
        raise RoomLinkError("not-an-address", "this is no invitation link and no hub's address", "address")
    return f"{scheme}://{parts.netloc}", parts.path, parts.fragment
