"""U78 to U80: invitations through real WebSockets, both sides."""

from __future__ import annotations

import pytest

from appliance.errors import InvalidArgumentError, InvitationEndedError, NotLoggedInError, RtcError
from appliance.room import invitations
from appliance.room.events import (
    InvitationAccepted,
    InvitationCanceled,
    InvitationFailed,
    InvitationReceived,
    InvitationReceivedByPeer,
    InvitationRefused,
    LoginStateChanged,
)
from appliance.room.invitations import LocalInvitation, RemoteInvitation
from appliance.room.options import RoomOptions
from tests.appliance.room.house import Guest, House, house


async def pair(home: House) -> tuple[Guest, Guest]:
    a, b = home.guest(port=home.port), home.guest()
    await a.client.login("a", user_name="Anna")
    await b.client.login("b")
    return a, b


async def ring(a: Guest, b: Guest, content: str = "") -> tuple[LocalInvitation, RemoteInvitation]:
    local = a.client.create_invitation("b", content)
    assert local.state == "IDLE"
    await local.send()
    remote = (await b.heard(InvitationReceived)).invitation
    await a.heard(InvitationReceivedByPeer)
    assert (local.state, remote.state) == ("RECEIVED_BY_REMOTE", "INVITATION_RECEIVED")
    return local, remote


@pytest.mark.row("U78", "U79", "U80", "IL26")
async def test_accepted() -> None:
    async with house() as home:
        a, b = await pair(home)
        local, remote = await ring(a, b, "the door")
        assert (remote.caller_id, remote.caller_name, remote.content) == ("a", "Anna", "the door")
        await remote.accept("coming")
        event = await a.heard(InvitationAccepted)
        assert (event.invitation, event.response) == (local, "coming")
        await b.heard(InvitationAccepted)
        assert (local.state, remote.state) == ("ACCEPTED_BY_REMOTE", "ACCEPTED")
        for late in (remote.accept(), remote.refuse(), local.cancel(), local.send()):
            with pytest.raises(InvitationEndedError):
                await late


@pytest.mark.row("U78", "U79", "U80")
async def test_refused() -> None:
    async with house() as home:
        a, b = await pair(home)
        local, remote = await ring(a, b)
        await remote.refuse("busy")
        assert (await a.heard(InvitationRefused)).response == "busy"
        await b.heard(InvitationRefused)
        assert (local.state, remote.state) == ("REFUSED_BY_REMOTE", "REFUSED")


@pytest.mark.row("U79", "U80", "IL26")
async def test_canceled() -> None:
    async with house() as home:
        a, b = await pair(home)
        local, remote = await ring(a, b)
        await local.cancel("never mind")
        assert (await b.heard(InvitationCanceled)).response == "never mind"
        assert (local.state, remote.state) == ("CANCELED", "CANCELED")
        with pytest.raises(InvitationEndedError):
            await remote.accept()


@pytest.mark.row("U80")
async def test_nobody_there_and_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.hub.invitations.ANSWER_S", 0.3)
    async with house() as home:
        a, b = await pair(home)
        missing = a.client.create_invitation("c")
        await missing.send()
        await a.heard(InvitationFailed)
        assert (missing.state, missing.failure_reason) == ("FAILURE", "peer-offline")
        local, remote = await ring(a, b)
        await a.heard(InvitationFailed, 2)
        await b.heard(InvitationFailed)
        assert (local.failure_reason, remote.failure_reason) == ("expired", "expired")


@pytest.mark.parametrize("way", ["logout", "lost"])
async def test_the_caller_goes(way: str) -> None:
    async with house(seat_grace_s=0.5) as home:
        b, a = await pair(home)  # a behind the proxy
        local = a.client.create_invitation("a")
        await local.send()
        remote = (await b.heard(InvitationReceived)).invitation
        if way == "logout":
            await a.client.logout()
            assert (local.state, local.failure_reason) == ("FAILURE", "not-logged-in")
        else:
            await home.proxy.cut()
        await b.heard(InvitationFailed)
        assert (remote.state, remote.failure_reason) == ("FAILURE", "peer-offline")


async def test_a_callee_comes_back_to_an_invitation_and_hears_it_once() -> None:
    async with house() as home:
        a, b = await pair(home)
        local, remote = await ring(a, b)
        await home.proxy.cut()
        await b.heard(LoginStateChanged, 3)
        second = a.client.create_invitation("b", "again")
        await second.send()
        await home.proxy.restore()
        await b.heard(InvitationReceived, 2)
        assert [event.invitation.content for event in b.of(InvitationReceived)] == ["", "again"]
        await remote.accept()
        await a.heard(InvitationAccepted)
        assert local.state == "ACCEPTED_BY_REMOTE"


@pytest.mark.row("U80")
async def test_an_answer_that_the_hub_does_not_confirm_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:  # X39
    assert invitations.ACCEPT_TIMEOUT_S == 5.0
    monkeypatch.setattr(invitations, "ACCEPT_TIMEOUT_S", 0.3)
    async with house() as home:
        a, b = home.guest(port=home.port), home.guest(RoomOptions(lost_after_s=30.0))
        await a.client.login("a")
        await b.client.login("b")
        _, remote = await ring(a, b)
        home.proxy.black_hole()
        with pytest.raises(RtcError, match="no answer of the hub"):
            await remote.accept()
        assert (await b.heard(InvitationFailed)).failure_reason == "accept-failure"
        assert (remote.state, remote.failure_reason) == ("FAILURE", "accept-failure")
        with pytest.raises(InvitationEndedError):
            await remote.accept()


async def test_what_is_refused_changes_nothing() -> None:
    async with house() as home:
        a = home.guest()
        invitation = a.client.create_invitation("b")
        with pytest.raises(NotLoggedInError):
            await invitation.send()
        assert invitation.state == "IDLE"
        with pytest.raises(InvalidArgumentError, match="8194 bytes"):
            a.client.create_invitation("b", "ü" * 4097)
        with pytest.raises(InvalidArgumentError, match="no text"):
            a.client.create_invitation("b", "\ud800")
        for nobody in ("", "ü" * 33):
            with pytest.raises(InvalidArgumentError, match="1 to 64 bytes"):
                a.client.create_invitation(nobody)
        assert a.client.create_invitation(42).callee_id == "42"
        with pytest.raises(InvitationEndedError):
            await invitation.cancel()
