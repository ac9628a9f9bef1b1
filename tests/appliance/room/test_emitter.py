import asyncio
import logging

import pytest

from appliance.errors import UnknownEventError
from appliance.events import Event
from appliance.room.emitter import EVENTS, MAX_UNFINISHED, Emitter
from appliance.room.events import ActiveSpeaker, PeerJoined, PeerLeft


def joined(user_id: str) -> PeerJoined:
    return PeerJoined(user_id=user_id)


def test_every_event_of_the_contract_has_its_hyphenated_name() -> None:
    assert set(EVENTS) == {
        "connection-state-changed",
        "peer-joined",
        "peer-left",
        "stream-added",
        "stream-removed",
        "stream-updated",
        "stream-subscribed",
        "audio-muted",
        "audio-unmuted",
        "video-muted",
        "video-unmuted",
        "network-quality",
        "audio-volume",
        "active-speaker",
        "kicked",
        "room-closed",
        "login-state-changed",
        "peer-name-changed",
        "role-changed",
        "mute-forced",
        "room-network-quality",
        "volume-indicator",
        "token-will-expire",
        "token-expired",
        "invitation-received",
        "invitation-received-by-peer",
        "invitation-accepted",
        "invitation-refused",
        "invitation-canceled",
        "invitation-failed",
        "peer-message",
        "peers-online-changed",
        "log-upload-result",
        "error",
        "audio-track-ended",
        "camera-changed",
        "crypt-error",
        "exception",
        "media-priority-changed",
        "playback-device-changed",
        "recording-device-changed",
        "rtc-stats",
        "rtmp-state",
        "screen-muted",
        "screen-share-stopped",
        "screen-unmuted",
        "sei-message",
        "stream-connection-state-changed",
        "stream-error",
        "stream-interrupted",
        "stream-recovered",
        "video-track-ended",
        "warning",
    }


def test_by_class_and_by_name_is_the_same() -> None:
    emitter, seen = Emitter(), []
    emitter.on(PeerJoined, lambda event: seen.append(("class", event.user_id)))
    emitter.on("peer-joined", lambda event: seen.append(("name", event.user_id)))
    emitter.emit(joined("b"))
    emitter.emit(PeerLeft(user_id="b"))
    assert seen == [("class", "b"), ("name", "b")]


@pytest.mark.parametrize("name", ["peer_joined", "PeerJoined", "", Event, int])
def test_an_unknown_event_is_refused_by_name(name: type[Event] | str) -> None:
    with pytest.raises(UnknownEventError, match="peer-joined"):
        Emitter().on(name, lambda event: None)


@pytest.mark.row("U02")
def test_off_and_once_and_remove_all() -> None:
    emitter = Emitter()
    seen: list[str] = []

    def listener(event: PeerJoined) -> None:
        seen.append(event.user_id)

    emitter.on(PeerJoined, listener)
    emitter.once(PeerJoined, listener)
    emitter.emit(joined("b"))
    emitter.emit(joined("c"))
    assert seen == ["b", "b", "c"]
    emitter.off(PeerJoined, listener)
    emitter.off(PeerJoined, listener)
    assert emitter.listener_count(PeerJoined) == 0
    emitter.on("error", print)
    emitter.on("peer-left", print)
    emitter.remove_all_listeners("error")
    assert (emitter.listener_count("error"), emitter.listener_count("peer-left")) == (0, 1)
    emitter.remove_all_listeners()
    assert emitter.listener_count("peer-left") == 0


@pytest.mark.row("OR01")
def test_an_event_raised_inside_a_listener_waits_its_turn() -> None:  # OR01
    emitter = Emitter()
    seen: list[str] = []

    def first(event: PeerJoined) -> None:
        seen.append(f"first {event.user_id}")
        if event.user_id == "b":
            emitter.emit(joined("c"))
        seen.append(f"first {event.user_id} done")

    emitter.on(PeerJoined, first)
    emitter.on(PeerJoined, lambda event: seen.append(f"second {event.user_id}"))
    emitter.emit(joined("b"))
    assert seen == ["first b", "first b done", "second b", "first c", "first c done", "second c"]


def test_a_listener_that_raises_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter()
    seen: list[str] = []

    def broken(event: PeerJoined) -> None:
        raise ValueError("broken listener")

    emitter.on(PeerJoined, broken)
    emitter.on(PeerJoined, lambda event: seen.append(event.user_id))
    emitter.emit(joined("b"))
    emitter.emit(joined("c"))
    assert seen == ["b", "c"]
    assert "broken listener" in caplog.text


def test_off_inside_a_listener_holds_at_once() -> None:
    emitter = Emitter()
    seen: list[str] = []

    def second(event: PeerJoined) -> None:
        seen.append("second")

    emitter.on(PeerJoined, lambda event: emitter.off(PeerJoined, second))
    emitter.on(PeerJoined, second)
    emitter.emit(joined("b"))
    assert seen == []


async def test_coroutine_listeners_start_in_order_and_may_wait_for_later_events() -> None:
    emitter = Emitter()
    seen: list[str] = []
    later = asyncio.Event()
    done = asyncio.Event()

    async def waits(event: PeerJoined) -> None:
        seen.append(event.user_id)
        await later.wait()
        seen.append(f"{event.user_id} done")
        if event.user_id == "c":
            done.set()

    emitter.on(PeerJoined, waits)
    emitter.on(ActiveSpeaker, lambda event: later.set())
    emitter.emit(joined("b"))
    emitter.emit(joined("c"))
    await asyncio.sleep(0)
    assert seen == ["b", "c"]
    emitter.emit(ActiveSpeaker(user_id="b"))
    async with asyncio.timeout(1):
        await done.wait()
    assert seen == ["b", "c", "b done", "c done"]
    await emitter.close()


async def test_a_coroutine_listener_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter()

    async def broken(event: PeerJoined) -> None:
        raise ValueError("broken coroutine")

    emitter.on(PeerJoined, broken)
    emitter.emit(joined("b"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "broken coroutine" in caplog.text


async def test_close_ends_unfinished_calls_and_their_number_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter()
    started: list[str] = []

    async def never_ends(event: PeerJoined) -> None:
        started.append(event.user_id)
        await asyncio.Event().wait()

    emitter.on(PeerJoined, never_ends)
    before = asyncio.all_tasks()
    with caplog.at_level(logging.WARNING):
        for number in range(MAX_UNFINISHED + 3):
            emitter.emit(joined(str(number)))
    await asyncio.sleep(0)
    assert len(started) == MAX_UNFINISHED
    assert caplog.text.count("was not delivered") == 3
    await emitter.close()
    assert asyncio.all_tasks() == before


async def test_close_inside_a_listener_does_not_end_that_listener() -> None:
    emitter = Emitter()
    ended = asyncio.Event()

    async def closes(event: PeerJoined) -> None:
        await emitter.close()
        ended.set()

    emitter.on(PeerJoined, closes)
    emitter.emit(joined("b"))
    async with asyncio.timeout(1):
        await ended.wait()
