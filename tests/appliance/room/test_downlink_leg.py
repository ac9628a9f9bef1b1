"""What the receiving leg plays, shows and counts, and the offers that it refuses."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.media import aiortc_hooks
from appliance.media.frames import VideoCodec
from appliance.media.playout import Playout
from appliance.room.downlink_leg import DownlinkLeg
from appliance.room.leg import LegStats, SdpError
from tests.appliance.room.leg_pair import TONE_HZ, Call, audio_of, codes, pitch_hz, until


@pytest.fixture(autouse=True)
def _hooks() -> None:
    aiortc_hooks.install(["127.0.0.1"])


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_the_tone_and_the_moving_picture_arrive(codec: VideoCodec) -> None:
    async with Call(codec) as call:
        _, down = await call.connect()
        numbers = await codes(down, 12)
        assert all(before < after for before, after in pairwise(numbers))
        await until(lambda: len(audio_of(down).payloads) > 60)
        assert abs(pitch_hz(audio_of(down).payloads[10:60]) - TONE_HZ) < 5
        await until(lambda: call.speaker.level > 30)
        assert set(call.uplink.encoded) == {"opus", codec}


async def test_one_kind_alone() -> None:
    async with Call() as call:
        _, down = await call.connect(("video",))
        assert down.audio is None
        assert len(await codes(down, 3)) == 3
        _, down = await call.connect(("audio",))
        assert down.video is None
        await until(lambda: len(audio_of(down).payloads) > 5)


async def test_a_stalled_camera_comes_back_at_its_right_time() -> None:
    async with Call(fps=30) as call:
        up, down = await call.connect(("video",))
        assert down.video is not None
        with down.video.watch():
            await asyncio.wait_for(down.video.wait_frame(), 5)
            call.camera.stalled = True
            await until(lambda: down.stats().packets == up.stats().packets, 2.0)  # what was on its way has come
            before, stalled_s = down.video.latest, time.monotonic()
            await asyncio.sleep(0.6)
            call.camera.stalled = False
            after = await asyncio.wait_for(down.video.wait_frame(), 5)
            assert before is not None
            assert before.pts is not None
            assert after.pts is not None
            stall_s = (after.pts - before.pts) / 90_000
            assert abs(stall_s - (time.monotonic() - stalled_s)) < 0.25


async def test_round_trip_time_and_loss_are_measured() -> None:
    async with Call() as call:
        up, down = await call.connect()
        call.wire.delay_s = 0.03
        await until(lambda: min(up.stats().rtt_s or 0.0, down.stats().rtt_s or 0.0) > 0.055)
        assert max(up.stats().rtt_s or 9, down.stats().rtt_s or 9) < 0.12
        assert down.stats().packets_lost == 0
        call.wire.loss = 0.2
        await until(lambda: up.stats().packets_lost > 5 and down.stats().packets_lost > 5)
        check_stats(up.stats())
        check_stats(down.stats())


def check_stats(stats: LegStats) -> None:
    assert stats.packets > 20
    assert stats.bytes > 20 * stats.packets
    assert 0.02 < stats.packets_lost / stats.packets_expected < 0.6
    assert stats.jitter_s is not None
    assert 0 < stats.jitter_s < 0.1
    assert stats.last_packet_s is not None
    assert time.monotonic() - stats.last_packet_s < 3.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda sdp: "", "no fingerprint"),
        (lambda sdp: sdp.replace("BUNDLE 0 1", "BUNDLE 7 0 1"), "not bundled"),
        (lambda sdp: re.sub(r"a=mid:1\r\n", "", sdp), "mid of its own"),
        (lambda sdp: sdp.replace("a=sendonly", "a=recvonly"), "sends nothing"),
        (lambda sdp: sdp.replace("opus", "G729"), "cannot be used"),
        (lambda sdp: re.sub(r"a=ice-ufrag.*\r\n", "", sdp), "cannot be used"),
        (lambda sdp: re.sub(r"a=fingerprint.*\r\n", "", sdp), "cannot be used"),
        (lambda sdp: sdp.replace("m=video", "m=audio"), "two media"),
        (lambda sdp: re.sub(r"m=audio \d+", "m=audio nine", sdp), "cannot be used"),
    ],
)
async def test_an_offer_that_cannot_be_used_is_refused_with_the_reason(
    change: Callable[[str], str], words: str
) -> None:
    async with Call() as call:
        up, down, _ = call.new_pair()
        with pytest.raises(SdpError, match=words):
            await down.answer(change(await up.offer()))


@pytest.fixture(scope="module")
def offer() -> str:
    async def make() -> str:
        async with Call() as call:
            up, _, _ = call.new_pair()
            return await up.offer()

    aiortc_hooks.install(["127.0.0.1"])
    return asyncio.run(make())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_an_offer_says_it_is_answered_or_refused(offer: str, data: st.DataObject) -> None:
    lines = offer.split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        action = data.draw(st.sampled_from(["drop", "cut", "double", "junk"]))
        line = lines[index]
        lines[index : index + 1] = {
            "drop": [],
            "cut": [line[: data.draw(st.integers(0, len(line)))]],
            "double": [line, line],
            "junk": [line[:2] + data.draw(st.text(st.characters(blacklist_categories=["Cs"]), max_size=30))],
        }[action]

    async def answer() -> None:
        playout = Playout()
        leg = DownlinkLeg(
            "leg", "sender", playout, ice_servers=(), on_media=lambda kind: None, on_closed=lambda reason: None
        )
        try:
            await leg.answer("\r\n".join(lines))
        except SdpError:
            pass
        finally:
            await leg.close()
            await playout.close()

    asyncio.run(answer())
