"""Giving the program's log to the hub, or to any HTTP server (U92, U93, RS24).

While enabled, the last records are kept in memory, without their secrets; `upload` sends them as {"text": LOG}. The hub
is shown the login's token, another server nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable

import aiohttp
from yarl import URL

from appliance import logs
from appliance.errors import ApiOrderError, InvalidArgumentError
from appliance.events import Event
from appliance.log_ring import LogQuery, LogRing
from appliance.room.entry import TokenUnavailableError, fetch
from appliance.room.events import LogUploadResult
from appliance.room.login import Login
from appliance.room.options import RoomOptions

logger = logging.getLogger(__name__)

MAX_CHARS = 160_000  # the newest: at most 1 MB of JSON, whatever they are
TIMEOUT_S = 10.0
NO_RESPONSE = 0
HUB_PATH = "/hub/logs"


class LogUpload:
    def __init__(self, hub_url: str, login: Login, options: RoomOptions, emit: Callable[[Event], None]) -> None:
        self._hub_url = hub_url
        self._login = login
        self._options = options
        self._emit = emit
        self._ring: LogRing | None = None
        self._url = ""

    def enable(self, enable: bool, url: str) -> None:
        """`url` empty: the hub. Raises `InvalidArgumentError`."""
        if url and not re.match(r"https?://[^/]", url):
            raise InvalidArgumentError(f"{url!r}: an http:// or https:// address", operation="enable_log_upload")
        self._url = url
        if enable and self._ring is None:
            self._ring = LogRing()
            logs.add_handler(self._ring)
        elif not enable:
            self.close()

    def close(self) -> None:
        """Nothing is kept any more."""
        if self._ring is not None:
            logging.getLogger().removeHandler(self._ring)
            self._ring = None

    async def upload(self) -> int:
        """The status of the answer, 200 when it is kept there; 0: no answer. Raises `ApiOrderError`."""
        ring = self._ring
        if ring is None:
            raise ApiOrderError("enable_log_upload() comes first", operation="upload_logs")
        text = await asyncio.to_thread(lambda: "".join(ring.lines(LogQuery(limit=ring.length)))[-MAX_CHARS:])
        headers = {} if self._url else await self._authorization()
        status = NO_RESPONSE
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
                session.post(
                    self._url or self._hub_logs,
                    json={"text": text},
                    headers=headers,
                    allow_redirects=False,
                    ssl=self._options.ssl if self._options.ssl is not None and not self._url else True,
                ) as response,
            ):
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            logger.warning("the log was not uploaded: %s", exc or type(exc).__name__)
        self._emit(LogUploadResult(status=status))
        return status

    @property
    def _hub_logs(self) -> URL:
        url = URL(self._hub_url)
        secure = url.scheme in ("wss", "https")
        return url.with_scheme("https" if secure else "http").with_path(HUB_PATH).with_query(None)

    async def _authorization(self) -> dict[str, str]:
        try:
            token = await fetch(self._login.token)
        except TokenUnavailableError as exc:
            logger.warning("%s", exc)
            token = ""
        return {"Authorization": f"Bearer {token}"} if token else {}
