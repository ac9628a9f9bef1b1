"""The ICE servers that a member is given: STUN addresses, and TURN with credentials that expire (coturn's REST API)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from appliance.room.signaling_room import IceServer


def ice_servers(
    stun_urls: Sequence[str], turn_urls: Sequence[str], turn_secret: str, user_id: str, ttl_s: float, now_s: float
) -> tuple[IceServer, ...]:
    """For `user_id`, good for `ttl_s` from `now_s` (wall clock). Nothing on a LAN: no URLs, no servers.

    The user name is "expiry:user", the password its HMAC-SHA1 with coturn's `static-auth-secret`, in base64
    (draft-uberti-behave-turn-rest-00).
    """
    stun = (IceServer(urls=tuple(stun_urls)),) if stun_urls else ()
    if not turn_urls or not turn_secret:
        return stun
    username = f"{int(now_s + ttl_s)}:{user_id}"
    digest = hmac.digest(turn_secret.encode(), username.encode(), hashlib.sha1)
    return (*stun, IceServer(urls=tuple(turn_urls), username=username, credential=base64.b64encode(digest).decode()))
