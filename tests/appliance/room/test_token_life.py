"""U73 to U75: the end of a token and its renewal, through real WebSockets."""

from __future__ import annotations

import pytest

from appliance.errors import InvalidArgumentError, NotLoggedInError, TokenExpiredError, TokenInvalidError
from appliance.room.events import Kicked, LoginStateChanged, PeerLeft, TokenExpired, TokenWillExpire
from tests.appliance.room.house import house
from tests.appliance.room.media import until


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.hub.token_life.LEAD_S", 1.5)


@pytest.mark.row("U73", "U75")
async def test_told_before_the_end_and_renewed_in_time() -> None:
    async with house(secure=True) as home:
        a = home.guest()
        await a.client.join("lobby", "a", home.token("a", ttl_s=2))
        event = await a.heard(TokenWillExpire)
        assert 0 < event.seconds_left <= 1.5
        expires_at = await a.client.renew_token(home.token("a", ttl_s=600))
        assert expires_at > event.expires_at + 500
        assert a.of(TokenExpired) == []
        await home.proxy.cut()
        await home.proxy.restore()
        await a.heard(LoginStateChanged, 4)
        assert a.client.login_state == "CONNECTED"


@pytest.mark.row("U15", "U74", "TR14", "TR15", "RS07")
async def test_past_its_grace_the_login_ends_and_the_room_hears_why() -> None:
    async with house(secure=True, token_grace_s=0.5) as home:
        b = home.guest()
        await b.client.join("lobby", "b", home.token("b"))
        a = home.guest()
        await a.client.join("lobby", "a", home.token("a", ttl_s=1))
        assert (await a.heard(TokenExpired)).grace_s <= 0.5
        assert (await b.heard(PeerLeft)).reason == 6
        await a.state("DISCONNECTED")
        assert a.of(Kicked)[0].reason == "token_expired"
        last = a.of(LoginStateChanged)[-1]
        assert (last.cur_state, last.reason) == ("ABORTED", "TOKEN_EXPIRED")


async def test_a_token_that_comes_from_a_function_is_renewed_by_itself() -> None:
    async with house(secure=True) as home:
        a = home.guest()
        given: list[float] = []

        def provide() -> str:
            given.append(2.0 if not given else 600.0)
            return home.token("a", ttl_s=given[-1])

        await a.client.join("lobby", "a", provide)
        await a.heard(TokenWillExpire)
        first = home.hub.rooms.seats["a"].token_exp or 0.0
        await until(lambda: (home.hub.rooms.seats["a"].token_exp or 0.0) > first + 500, 2)
        assert given == [2.0, 600.0]


@pytest.mark.row("U75", "IL21")
async def test_what_is_refused_leaves_the_old_one() -> None:
    async with house(secure=True) as home:
        a = home.guest()
        with pytest.raises(NotLoggedInError):
            await a.client.renew_token(home.token("a"))
        await a.client.login("a", home.token("a"))
        for token, error in (
            (home.token("b"), TokenInvalidError),
            (home.token("a", "attic"), TokenInvalidError),
            ("nonsense", TokenInvalidError),
            (home.token("a", ttl_s=-100), TokenExpiredError),
            ("", InvalidArgumentError),
        ):
            with pytest.raises(error):
                await a.client.renew_token(token)
        await a.client.join("lobby")
