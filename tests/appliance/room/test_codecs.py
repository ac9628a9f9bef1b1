"""Rooms and members without a video codec in common: warned of, and the sound goes on (U11, RS20)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.room import LocalStream
from appliance.room.events import StreamAdded, StreamSubscribed, WarningRaised
from tests.appliance.room.house import BRISK, house, settled
from tests.appliance.room.media import playout, until, uplink


@pytest.mark.row("U11", "RS20")
async def test_a_client_without_the_codec_of_the_room_is_warned_and_stays() -> None:
    async with house(video_codecs=("h264",)) as home:
        a = home.guest(replace(BRISK, video_codecs=("vp8",)))
        b = await home.joined("b")
        await a.client.join("lobby", "a")
        warning = await a.heard(WarningRaised)
        assert (warning.code, warning.reason) == (406, "video in this room is h264, of which you have none")
        assert a.client.connection_state == "CONNECTED"
        assert b.of(WarningRaised) == []
        assert a.names()[0:2] == ["CONNECTING", "CONNECTED"]


@pytest.mark.row("U11", "RS20")
async def test_a_picture_in_no_codec_of_ours_is_left_out_with_one_warning_and_the_sound_is_heard() -> None:
    async with uplink(camera=True) as sender, playout() as player, house() as home:
        a = await home.joined("a", uplink=sender, options=replace(BRISK, video_codecs=("h264",)))
        b = await home.joined("b", playout=player, options=replace(BRISK, video_codecs=("vp8",)))
        await a.client.publish(LocalStream(width=160, height=160))
        stream = (await b.heard(StreamAdded)).stream
        await b.client.subscribe(stream)
        assert [event.kind for event in b.of(StreamSubscribed)] == ["audio"]
        assert (await b.heard(WarningRaised)).code == 406
        await until(lambda: stream.audio is not None and stream.audio.level > 20, what="the tone is heard")
        await a.client.mute("video")
        await a.client.unmute("video")
        await settled()
        assert len(b.of(WarningRaised)) == 1
        assert stream.video is None


async def test_a_room_of_one_codec_is_served_in_it_whatever_the_sender_prefers() -> None:
    async with uplink(camera=True) as sender, playout() as player, house(video_codecs=("h264",)) as home:
        a, b = await home.joined("a", uplink=sender), await home.joined("b", playout=player, auto_subscribe=True)
        await a.client.publish(LocalStream(audio=False, width=160, height=160))
        await b.heard(StreamSubscribed)
        assert set(sender.encoded) == {"h264"}
