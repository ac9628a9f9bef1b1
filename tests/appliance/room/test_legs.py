"""Media legs back to back over 127.0.0.1, through a wire that can be impaired."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from types import TracebackType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.media import aiortc_hooks
from appliance.media.frames import Kind, VideoCodec
from appliance.media.opus_decoder import OpusDecoder
from appliance.media.playout import Playout, RemoteAudio
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.room import legs
from appliance.room.legs import DownlinkLeg, LegStats, SdpError, UplinkLeg
from appliance.room.signaling_room import IceServer
from hw.level import dbov
from hw.mock import MockCamera, MockMicrophone, MockSpeaker
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from tests.appliance.media.pictures import code
from tests.wire import Wire

TONE_HZ = 440.0
SAMPLE_RATE_HZ = 48_000


@pytest.fixture(autouse=True)
def _hooks() -> None:
    aiortc_hooks.install(["127.0.0.1"])


class Taker(RemoteAudio):
    """Keeps the payloads beside playing them."""

    def __init__(self, audio: RemoteAudio) -> None:
        self.payloads: list[bytes] = []
        self._audio = audio

    def push(self, sequence_number: int, timestamp: int, payload: bytes, arrival_s: float) -> None:
        self.payloads.append(payload)
        self._audio.push(sequence_number, timestamp, payload, arrival_s)

    def close(self) -> None:
        self._audio.close()


class TakingPlayout(Playout):
    def add(self, user_id: str) -> RemoteAudio:
        return Taker(super().add(user_id))


class Call:
    """A sending unit, a receiving one, and any number of legs between them through one wire."""

    def __init__(self, codec: VideoCodec = "h264", fps: int = 15) -> None:
        self.camera = MockCamera(SyntheticCamera(320, 192, fps))
        self.uplink = Uplink(UplinkSettings(codec=codec))
        self.uplink.start(MockMicrophone(SyntheticMicrophone(tone_hz=TONE_HZ)), self.camera)
        self.speaker = MockSpeaker()
        self.playout = TakingPlayout()
        self.playout.start(self.speaker)
        self.wire = Wire()
        self.closed: dict[str, asyncio.Future[str]] = {}
        self.pairs: list[tuple[UplinkLeg, DownlinkLeg]] = []

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pair in self.pairs:
            for leg in pair:
                await leg.close()
        self.wire.close()
        await self.uplink.close()
        await self.playout.close()

    def _on_closed(self, name: str) -> Callable[[str], None]:
        self.closed[name] = asyncio.get_running_loop().create_future()
        return self.closed[name].set_result

    def new_pair(self, kinds: tuple[Kind, ...] = ("audio", "video")) -> tuple[UplinkLeg, DownlinkLeg, set[Kind]]:
        number = len(self.pairs)
        came: set[Kind] = set()
        up = UplinkLeg(f"leg{number}", self.uplink, kinds, ice_servers=(), on_closed=self._on_closed(f"up{number}"))
        down = DownlinkLeg(
            f"leg{number}",
            "sender",
            self.playout,
            ice_servers=(),
            on_media=came.add,
            on_closed=self._on_closed(f"down{number}"),
        )
        self.pairs.append((up, down))
        return up, down, came

    async def connect(self, kinds: tuple[Kind, ...] = ("audio", "video")) -> tuple[UplinkLeg, DownlinkLeg]:
        """A new pair of legs, with media of each kind flowing."""
        up, down, came = self.new_pair(kinds)
        answer = await down.answer(self.wire.route(await up.offer()))
        await up.accept(self.wire.route(answer))
        await until(lambda: came == set(kinds))
        return up, down


async def until(condition: Callable[[], bool], timeout_s: float = 8.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "timed out"
        await asyncio.sleep(0.01)


def audio_of(leg: DownlinkLeg) -> Taker:
    assert isinstance(leg.audio, Taker)
    return leg.audio


async def codes(leg: DownlinkLeg, count: int) -> list[int]:
    """The frame codes of the next pictures."""
    assert leg.video is not None
    found: list[int] = []
    with leg.video.watch():
        async with asyncio.timeout(8):
            while len(found) < count:
                frame = await leg.video.wait_frame()
                number = code(frame)
                if number is not None:
                    found.append(number)
    return found


def pitch_hz(payloads: list[bytes]) -> float:
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(payload) for payload in payloads])
    return float(np.argmax(np.abs(np.fft.rfft(sound * np.hanning(sound.size)))) * SAMPLE_RATE_HZ / sound.size)


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


async def test_four_legs_are_fed_by_one_encoder() -> None:
    async with Call() as call:
        downs = [(await call.connect())[1] for _ in range(4)]
        before = [len(audio_of(down).payloads) for down in downs]
        encoded, started_s = call.uplink.encoded["opus"], time.monotonic()
        numbers = await asyncio.gather(*(codes(down, 10) for down in downs))
        assert len({max(each) for each in numbers}) <= 2
        received = [len(audio_of(down).payloads) - was for down, was in zip(downs, before, strict=True)]
        made = call.uplink.encoded["opus"] - encoded
        assert 20 < made < 50 * (time.monotonic() - started_s) + 10  # 50 packets a second, not 200
        assert all(0.8 * made < each for each in received)
        assert len([thread for thread in threading.enumerate() if thread.name.startswith("encode-")]) == 1


async def test_a_late_leg_shows_a_picture_at_once_without_another_encoder() -> None:
    async with Call() as call:
        _, first = await call.connect()
        await codes(first, 12)
        _, late = await call.connect()
        started_s = time.monotonic()
        await codes(late, 1)
        assert time.monotonic() - started_s < 1.0


async def test_muted_audio_leaves_only_digital_silence_on_the_wire() -> None:
    async with Call() as call:
        legs_ = [(await call.connect(("audio",)))[1] for _ in range(2)]
        takers = [audio_of(leg) for leg in legs_]
        await until(lambda: all(len(taker.payloads) > 20 for taker in takers))
        assert abs(pitch_hz(takers[0].payloads) - TONE_HZ) < 20
        call.uplink.set_muted("audio", True)
        in_flight = 1  # sent before the mute, on its way
        marks = [len(taker.payloads) + in_flight for taker in takers]
        await until(lambda: all(len(taker.payloads) > mark + 30 for taker, mark in zip(takers, marks, strict=True)))
        for taker, mark in zip(takers, marks, strict=True):
            decoder = OpusDecoder()
            assert max(dbov(decoder.decode(payload)) for payload in taker.payloads[mark:]) < -90
        call.uplink.set_muted("audio", False)
        marks = [len(taker.payloads) for taker in takers]
        await until(lambda: all(len(taker.payloads) > mark + 30 for taker, mark in zip(takers, marks, strict=True)))
        assert abs(pitch_hz(takers[0].payloads[-25:]) - TONE_HZ) < 20


async def test_muted_video_sends_nothing_and_comes_back() -> None:
    async with Call() as call:
        _, down = await call.connect(("video",))
        await codes(down, 3)
        call.uplink.set_muted("video", True)
        await asyncio.sleep(0.05)  # what is on the way may arrive
        packets = down.stats().packets
        await asyncio.sleep(0.4)
        assert down.stats().packets == packets
        call.uplink.set_muted("video", False)
        started_s = time.monotonic()
        await codes(down, 2)
        assert time.monotonic() - started_s < 1.0


async def test_a_stalled_camera_comes_back_at_its_right_time() -> None:
    async with Call(fps=30) as call:
        _, down = await call.connect(("video",))
        assert down.video is not None
        with down.video.watch():
            await asyncio.wait_for(down.video.wait_frame(), 5)
            call.camera.stalled = True
            await asyncio.sleep(0.1)  # what is on the way may arrive
            before, stalled_s = down.video.latest, time.monotonic()
            await asyncio.sleep(0.6)
            call.camera.stalled = False
            after = await asyncio.wait_for(down.video.wait_frame(), 5)
            assert before is not None
            assert before.pts is not None
            assert after.pts is not None
            stall_s = (after.pts - before.pts) / 90_000
            assert abs(stall_s - (time.monotonic() - stalled_s)) < 0.25


async def test_requests_of_all_legs_make_at_most_one_key_frame_each_half_second() -> None:
    async with Call(fps=30) as call:
        downs = [(await call.connect(("video",)))[1] for _ in range(3)]
        tap = call.uplink.tap("video", "h264")
        keyframes = []
        ended_s = time.monotonic() + 1.6
        while time.monotonic() < ended_s:
            for down in downs:
                assert down.video is not None
                down.video.on_wanted()
            frame = await asyncio.wait_for(tap.next(), 5)
            if frame.keyframe:
                keyframes.append(frame.captured_s)
        tap.close()
        assert 2 <= len(keyframes) <= 4
        assert all(after - before > 0.4 for before, after in pairwise(keyframes))


async def test_a_cut_wire_is_found_on_both_sides_within_five_seconds_and_said_once() -> None:
    async with Call() as call:
        up, down = await call.connect()
        call.wire.cut = True
        cut_s = time.monotonic()
        reasons = await asyncio.wait_for(asyncio.gather(*call.closed.values()), 8)
        assert time.monotonic() - cut_s < 5.5
        assert set(reasons) == {"the peer does not answer any more"}
        await up.close()
        await down.close()


@pytest.mark.parametrize("ends", ["up", "down"])
async def test_a_peer_that_closes_is_noticed_at_once_and_our_own_close_says_nothing(ends: str) -> None:
    async with Call() as call:
        up, down = await call.connect()
        leg, other = (up, "down0") if ends == "up" else (down, "up0")
        await leg.close()
        assert await asyncio.wait_for(call.closed[other], 2) == "closed by the peer"
        assert not call.closed[f"{ends}0"].done()


async def test_a_leg_that_nobody_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs, "SETUP_S", 0.2)
    async with Call() as call:
        up, down, _ = call.new_pair()
        offer = await up.offer()
        assert "no connection" in await asyncio.wait_for(call.closed["up0"], 2)
        call.wire.cut = True
        await down.answer(call.wire.route(offer))
        assert "no connection" in await asyncio.wait_for(call.closed["down0"], 2)


@pytest.mark.parametrize("moment", range(6))
async def test_closing_in_the_middle_of_the_set_up_leaves_nothing(moment: int) -> None:
    async with Call() as call:
        before = await footprint()
        up, down, _ = call.new_pair()
        answer = await down.answer(call.wire.route(await up.offer()))
        await up.accept(call.wire.route(answer))
        await asyncio.sleep(moment * 0.012)
        await asyncio.gather(up.close(), down.close())
        call.wire.close()
        after = await footprint()
        assert after == before
        assert not any(future.done() for name, future in call.closed.items() if name == "up0" and moment == 0)


async def footprint() -> tuple[set[str], set[str], int]:
    """Names of the tasks and threads, and the number of open files and sockets, once what is ending has ended."""

    def names() -> tuple[set[str], set[str], int]:
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        threads = {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
        return tasks, threads, len(os.listdir("/proc/self/fd"))

    found = names()
    for _ in range(20):
        gc.collect()
        await asyncio.sleep(0.02)
        found, last = names(), found
        if found == last:
            break
    return found


async def test_twenty_legs_leave_no_task_thread_or_socket() -> None:
    async with Call() as call:
        await call.connect()
        for leg in call.pairs.pop():
            await leg.close()
        call.wire.close()
        before = await footprint()
        for _ in range(20):
            await call.connect()
            for leg in call.pairs.pop():
                await leg.close()
            call.wire.close()
        after = await footprint()
        assert after == before


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


async def test_a_receiver_that_reports_seldom_is_heard_by_its_answers_to_consent_checks() -> None:
    async with Call() as call:
        up, _ = await call.connect(("audio",))
        assert up.stats().last_packet_s is None  # nothing is known before the first report
        await until(lambda: up.stats().last_packet_s is not None)
        call.wire.drop = is_rtcp
        silent_s = time.monotonic()
        await until(lambda: (up.stats().last_packet_s or 0.0) > silent_s + 1.0)
        call.wire.cut = True
        cut_s = time.monotonic()
        await until(lambda: time.monotonic() > cut_s + 2.0)
        assert (up.stats().last_packet_s or 0.0) < cut_s + 0.5


def is_rtcp(data: bytes) -> bool:
    """RFC 5761 section 4: RTCP beside RTP on one port."""
    return len(data) > 1 and 128 <= data[0] < 192 and 192 <= data[1] <= 223


def check_stats(stats: LegStats) -> None:
    assert stats.packets > 20
    assert stats.bytes > 20 * stats.packets
    assert stats.packets_expected >= stats.packets
    assert 0.02 < stats.packets_lost / stats.packets_expected < 0.6
    assert stats.jitter_s is not None
    assert 0 < stats.jitter_s < 0.1
    assert stats.last_packet_s is not None
    assert time.monotonic() - stats.last_packet_s < 3.0


async def test_reported_loss_and_bit_rate_reach_the_encoders() -> None:
    async with Call(fps=30) as call:
        await call.connect()
        call.wire.loss = 0.3
        start_bps = call.uplink.settings.start_bitrate_bps
        await until(lambda: (call.uplink.target_bitrate_bps("h264") or start_bps) != start_bps, 15)


async def test_the_offer_holds_what_is_needed_and_nothing_else() -> None:
    async with Call("vp8") as call:
        up, down, _ = call.new_pair()
        offer = await up.offer()
        assert re.findall(r"a=rtpmap:\d+ (\S+)", offer) == [
            "opus/48000/2", "VP8/90000", "rtx/90000", "H264/90000", "rtx/90000", "H264/90000", "rtx/90000",
        ]  # fmt: skip
        assert re.findall(r"profile-level-id=(\w+)", offer) == ["42e01f", "42001f"]
        assert "useinbandfec=1" in offer
        assert "ssrc-audio-level" in offer
        assert offer.count("a=sendonly") == 2
        assert "a=group:BUNDLE 0 1" in offer
        assert set(re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+)", offer)) == {"127.0.0.1"}
        answer = await down.answer(offer)
        assert answer.count("a=recvonly") == 2
        assert "a=setup:passive" in answer


async def test_a_dead_stun_server_costs_two_seconds_at_most() -> None:
    uplink = Uplink()
    server = IceServer(urls=("stun:127.0.0.1:9",))
    leg = UplinkLeg("leg", uplink, ("audio",), ice_servers=(server,), on_closed=lambda reason: None)
    started_s = time.monotonic()
    await leg.offer()
    assert time.monotonic() - started_s < 3.0
    await leg.close()
    await uplink.close()


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
