"""Who waits for a login, who is told of its end, and what may be asked of the hub when."""

from __future__ import annotations

import asyncio

import pytest

from appliance.errors import InvalidStateError, NotLoggedInError, ReconnectingError
from appliance.room.events import LoginReason, LoginState, LoginStateChanged
from appliance.room.hub_line import HubLine
from appliance.room.link import LinkLostError
from appliance.room.login_status import LoginStatus
from appliance.room.signaling_login import Logout, Ok


def status(*states: LoginState) -> LoginStatus:
    made = LoginStatus(lambda event: None)
    for state in states:
        made.change(state, LoginReason.LOGIN)
    return made


async def test_who_waits_gets_on_when_it_is_connected_and_hears_when_it_never_will_be() -> None:
    login = status(LoginState.CONNECTING)
    waiting = asyncio.create_task(login.wait_connected())
    await asyncio.sleep(0)
    login.change(LoginState.RECONNECTING, LoginReason.INTERRUPTED)
    await asyncio.sleep(0)
    assert not waiting.done()
    login.change(LoginState.CONNECTED, LoginReason.LOGIN_SUCCESS)
    await waiting
    with pytest.raises(NotLoggedInError):
        await status(LoginState.CONNECTING, LoginState.DISCONNECTED).wait_connected()


@pytest.mark.parametrize("end", [LoginState.DISCONNECTED, LoginState.ABORTED])
def test_what_lives_in_the_login_ends_before_others_hear_of_its_end(end: LoginState) -> None:
    heard: list[str] = []

    def hear(event: LoginStateChanged) -> None:
        heard.append(event.cur_state)

    login = LoginStatus(hear)
    login.on_logout(lambda: heard.append("over"))
    login.change(LoginState.CONNECTED, LoginReason.LOGIN_SUCCESS)
    login.change(end, LoginReason.LOGOUT)
    assert heard == ["CONNECTED", "over", end]


def test_one_may_log_in_only_when_one_is_out() -> None:
    status().check_free("login")
    with pytest.raises(InvalidStateError, match="log out first"):
        status(LoginState.ABORTED).check_free("login")


async def test_nothing_can_be_asked_of_a_hub_that_is_not_there() -> None:
    out = HubLine(status(), 1.0, lambda message: None)
    with pytest.raises(NotLoggedInError):
        await out.request("logout", lambda request_id: Logout(id=request_id), Ok)
    with pytest.raises(LinkLostError):
        out.send(Logout(id=1))
    lost = HubLine(status(LoginState.RECONNECTING), 1.0, lambda message: None)
    with pytest.raises(ReconnectingError):
        await lost.request("logout", lambda request_id: Logout(id=request_id), Ok)
