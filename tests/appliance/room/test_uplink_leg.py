"""What the sending leg offers and sends, and what it learns of its receiver."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from itertools import pairwise

import pytest

from appliance.media import aiortc_hooks
from appliance.media.feedback import BitrateEstimate, Feedback, PacketFate, TransportReport
from appliance.media.opus_decoder import OpusDecoder
from appliance.room.leg import SdpError
from hw.level import dbov
from tests.appliance.room.leg_pair import TONE_HZ, Call, audio_of, codes, is_rtcp, pitch_hz, until


@pytest.fixture(autouse=True)
def _hooks() -> None:
    aiortc_hooks.install(["127.0.0.1"])


async def captured(call: Call, pictures: int) -> None:
    """So many more from the camera, muted or not."""
    made = call.uplink.captured("main")
    await until(lambda: call.uplink.captured("main") >= made + pictures)


async def test_four_legs_are_fed_by_one_encoder() -> None:
    async with Call() as call:
        downs = [(await call.connect())[1] for _ in range(4)]
        before = [len(audio_of(down).payloads) for down in downs]
        encoded, started_s = call.uplink.encoded["opus"], time.monotonic()
        numbers = await asyncio.gather(*(codes(down, 10) for down in downs))
        assert len({max(each) for each in numbers}) <= 2
        received = [len(audio_of(down).payloads) - was for down, was in zip(downs, before, strict=True)]
        made = call.uplink.encoded["opus"] - encoded
        assert 20 < made < 100 * (time.monotonic() - started_s) + 20  # 100 packets a second, not 400
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
        up, down = await call.connect(("video",))
        await codes(down, 3)
        call.uplink.set_muted("video", True)
        await captured(call, 2)
        await until(lambda: down.stats().packets == up.stats().packets, 2.0)  # what was on its way has come
        packets = down.stats().packets
        await captured(call, 6)
        assert down.stats().packets == up.stats().packets == packets
        call.uplink.set_muted("video", False)
        started_s = time.monotonic()
        await codes(down, 2)
        assert time.monotonic() - started_s < 1.0


async def test_requests_of_all_legs_make_at_most_one_key_frame_each_half_second() -> None:
    async with Call(fps=30) as call:
        downs = [(await call.connect(("video",)))[1] for _ in range(3)]
        tap = call.uplink.tap("video", "h264")
        keyframes = []
        ended_s = time.monotonic() + 1.6
        while time.monotonic() < ended_s:
            for down in downs:
                assert down.video is not None
                with down.video.watch():
                    pass  # who begins to look asks for one
            frame = await asyncio.wait_for(tap.next(), 5)
            if frame.keyframe:
                keyframes.append(frame.captured_s)
        tap.close()
        assert 2 <= len(keyframes) <= 4
        assert all(after - before > 0.4 for before, after in pairwise(keyframes))


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


async def test_reported_loss_and_bit_rate_reach_the_encoders() -> None:
    async with Call(fps=30) as call:
        await call.connect()
        call.wire.loss = 0.3
        start_bps = call.uplink.settings.video.start_bitrate_bps
        await until(lambda: (call.uplink.target_bitrate_bps("h264") or start_bps) != start_bps, 15)


async def test_pictures_on_a_lossy_link_are_protected_and_what_is_lost_comes_back_by_itself() -> None:
    async with Call(fps=30) as call:
        up, down = await call.connect()
        assert down.video is not None
        with down.video.watch():
            call.wire.loss = 0.05
            await until(lambda: down.video is not None and down.video.stats().recovered > 3, 20)
        (pictures,) = (track for track in up.tracks() if track.kind == "video")
        assert pictures.repeated_packets > 3
        assert down.video.stats().malformed == 0


async def test_an_answer_without_a_codec_that_was_offered_is_refused() -> None:
    async with Call("vp8") as call:
        up, down, _ = call.new_pair()
        answer = await down.answer(await up.offer())
        alone = re.sub(r"(m=video \d+ \S+) [\d ]+", r"\1 111", answer)
        alone = re.sub(r"a=(rtpmap|fmtp|rtcp-fb):(9[7-9]|10\d) .*\r\n", "", alone)
        with pytest.raises(SdpError, match="no codec of the offer"):
            await up.accept(alone)


async def test_the_offer_holds_what_is_needed_and_nothing_else() -> None:
    async with Call("vp8") as call:
        up, down, _ = call.new_pair()
        offer = await up.offer()
        assert re.findall(r"a=rtpmap:\d+ (\S+)", offer) == [
            "opus/48000/2", "VP8/90000", "rtx/90000", "H264/90000", "rtx/90000", "H264/90000", "rtx/90000",
            "x-parity/90000",
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


async def test_a_leg_hears_the_fate_of_each_packet_of_both_kinds() -> None:
    async with Call(fps=30) as call:
        up, _ = await call.connect()
        video = next(sender for sender in up._senders if sender.kind == "video")
        await until(lambda: video.tap is not None)
        assert video.tap is not None
        fates: list[PacketFate] = []
        estimates: list[BitrateEstimate] = []
        report = video.tap.report

        def hear(feedback: Feedback) -> None:
            if isinstance(feedback, TransportReport):
                fates.extend(feedback.packets)
            elif isinstance(feedback, BitrateEstimate):
                estimates.append(feedback)
            report(feedback)

        video.tap.report = hear  # type: ignore[method-assign]
        call.wire.delay_s = 0.03
        await until(lambda: len(fates) > 100)
        assert all(fate.arrived_s is not None for fate in fates)
        delays_s = [fate.arrived_s - fate.sent_s for fate in fates[50:] if fate.arrived_s is not None]
        assert 0.029 < min(delays_s) < 0.06
        call.wire.loss = 0.2
        await until(lambda: len(fates) > 500)
        assert 0.1 < sum(fate.arrived_s is None for fate in fates[150:500]) / 350 < 0.3
        assert len([fate for fate in fates if fate.size_bytes < 150]) > 100  # sound is among them
        assert estimates == []  # a sender that gets this estimates for itself


async def test_sound_alone_asks_for_no_feedback_on_each_packet() -> None:
    async with Call() as call:
        _, down = await call.connect(("audio",))
        feedback = []

        def seen(data: bytes) -> bool:
            if is_rtcp(data):
                feedback.append(data[1])
            return False

        call.wire.drop = seen
        await until(lambda: len(audio_of(down).payloads) > 50)
        assert 205 not in feedback
