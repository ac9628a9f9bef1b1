"""The end of a login's token, told and renewed (U73 to U75, IL21)."""

from __future__ import annotations

from collections.abc import Callable

from appliance.errors import InvalidArgumentError, TokenInvalidError
from appliance.events import Event
from appliance.room.entry import TokenUnavailableError, fetch
from appliance.room.events import TokenExpired, TokenWillExpire
from appliance.room.login import Login
from appliance.room.signaling_login import RenewToken, TokenRenewed
from appliance.room.signaling_login import TokenExpired as ExpiredMessage
from appliance.room.signaling_login import TokenWillExpire as WillExpireMessage


class TokenLife:
    """Where the login's token came from a function, that is asked for a new one by itself."""

    def __init__(self, login: Login, emit: Callable[[Event], None]) -> None:
        self._login = login
        self._emit = emit
        login.line.on_push(WillExpireMessage, self._will_expire)
        login.line.on_push(ExpiredMessage, self._expired)

    async def renew(self, token: str) -> float:
        self._login.line.check_in("renew_token")
        if not token:
            raise InvalidArgumentError("an empty token", operation="renew_token")
        renewed = await self._login.line.request(
            "renew_token", lambda request_id: RenewToken(id=request_id, token=token), TokenRenewed
        )
        self._login.keep_token(token)
        return renewed.expires_at

    async def _renew_by_itself(self) -> None:
        provider = self._login.token
        try:
            fresh = await fetch(provider)
        except TokenUnavailableError as exc:
            raise TokenInvalidError(str(exc)) from exc
        await self._login.line.request(
            "renew_token", lambda request_id: RenewToken(id=request_id, token=fresh), TokenRenewed
        )

    def _will_expire(self, message: WillExpireMessage) -> None:
        self._emit(TokenWillExpire(expires_at=message.expires_at, seconds_left=message.token_left_s))
        self._ask_provider()

    def _expired(self, message: ExpiredMessage) -> None:
        self._emit(TokenExpired(code=message.code, message=message.message, grace_s=message.grace_s))
        self._ask_provider()

    def _ask_provider(self) -> None:
        if callable(self._login.token):
            self._login.spawn(self._renew_by_itself(), "room-renew-token")
