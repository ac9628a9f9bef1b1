"""The routes of the unit's own network: what is, what is in reach, joining and forgetting."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from appliance.joining import BusyError
from appliance.network_info import Attempt, NetworkInfo
from appliance.onboarding import Onboarding
from provisioning.http_json import ApiError, answer, read_body
from provisioning.http_routes import ApiRoute
from provisioning.network import NetworkError, StaticAddress, WifiJoin, WifiNetwork

_STATUS = {"invalid": 400, "not-found": 404}
_BUSY = {409: "another attempt is under way"}
_ABSENT = {503: "network set-up is not available here"}


class ScanAnswer(msgspec.Struct):
    """Strongest first. While the unit is an access point: what was in reach before."""

    networks: list[WifiNetwork]


class EthernetRequest(msgspec.Struct, forbid_unknown_fields=True):
    """null: by DHCP."""

    static: StaticAddress | None


class ForgetRequest(msgspec.Struct, forbid_unknown_fields=True):
    ssid: str


class ForgetAnswer(msgspec.Struct):
    known: tuple[str, ...]


class AttemptAnswer(msgspec.Struct):
    attempt: Attempt


class NetworkApi:
    def __init__(self, onboarding: Onboarding) -> None:
        self._onboarding = onboarding

    def routes(self) -> list[ApiRoute]:
        begun = "Answered at once; how it went stands in last_attempt of GET /api/network."
        return [
            ApiRoute(
                "GET",
                "/api/network",
                self._get,
                scope="read",
                summary="Interfaces, addresses, set-up mode, and how the last attempt to join went.",
                answer=NetworkInfo,
            ),
            ApiRoute(
                "GET",
                "/api/network/scan",
                self._scan,
                scope="read",
                summary="Wi-Fi networks in reach; takes some seconds.",
                answer=ScanAnswer,
                errors=_BUSY | _ABSENT,
            ),
            ApiRoute(
                "POST",
                "/api/network/connect",
                self._connect,
                scope="admin",
                summary=f"Join a Wi-Fi network; it is kept if that works, else all is as before. {begun}",
                body=WifiJoin,
                answer=AttemptAnswer,
                status=202,
                errors=_BUSY | _ABSENT,
            ),
            ApiRoute(
                "POST",
                "/api/network/ethernet",
                self._ethernet,
                scope="admin",
                summary=f"Give the wired network a static address, or DHCP again. {begun}",
                body=EthernetRequest,
                answer=AttemptAnswer,
                status=202,
                errors=_BUSY | _ABSENT,
            ),
            ApiRoute(
                "POST",
                "/api/network/forget",
                self._forget,
                scope="admin",
                summary="Never join a Wi-Fi network again.",
                body=ForgetRequest,
                answer=ForgetAnswer,
                errors={404: "no such network is known", **_ABSENT},
            ),
        ]

    async def _get(self, _request: web.Request) -> web.Response:
        return answer(await self._onboarding.info())

    async def _scan(self, _request: web.Request) -> web.Response:
        try:
            return answer(ScanAnswer(await self._onboarding.scan()))
        except NetworkError as exc:
            raise _error(exc) from exc
        except BusyError as exc:
            raise _busy(exc) from exc

    async def _connect(self, request: web.Request) -> web.Response:
        join = await read_body(request, WifiJoin, '{"ssid", "password", "hidden", "country", "static"}')
        return await self._begun(lambda: self._onboarding.joining.start_join(join))

    async def _ethernet(self, request: web.Request) -> web.Response:
        wish = await read_body(request, EthernetRequest, '{"static": {"address", "gateway", "dns"} or null}')
        return await self._begun(lambda: self._onboarding.joining.start_ethernet(wish.static))

    async def _begun(self, start: Callable[[], None]) -> web.Response:
        status = await self._onboarding.network.status()
        if not status.available:
            raise ApiError(503, "unavailable", status.message)
        try:
            start()
        except NetworkError as exc:
            raise _error(exc) from exc
        except BusyError as exc:
            raise _busy(exc) from exc
        attempt = self._onboarding.joining.last
        assert attempt is not None
        return answer(AttemptAnswer(attempt), 202)

    async def _forget(self, request: web.Request) -> web.Response:
        wish = await read_body(request, ForgetRequest, '{"ssid": a known network}')
        try:
            await self._onboarding.forget(wish.ssid)
            return answer(ForgetAnswer(await self._onboarding.network.known()))
        except NetworkError as exc:
            raise _error(exc) from exc


def _error(exc: NetworkError) -> ApiError:
    return ApiError(_STATUS.get(exc.code, 503), exc.code, str(exc), exc.field)


def _busy(exc: BusyError) -> ApiError:
    return ApiError(409, "busy", str(exc), retry_after_s=5.0)
