"""What one leg may send, on a virtual clock: links that narrow and widen, lose and jitter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media.feedback import BitrateEstimate, Feedback, PacketFate, ReceiverReport, TransportReport
from appliance.media.send_control import SILENCE_S, LegControl
from tests.appliance.media.link import Call, Link, Moment

MIN_BPS, START_BPS, MAX_BPS = 100_000, 1_500_000, 2_500_000
WIDE_BPS, NARROW_BPS = 2e6, 3e5


def control() -> LegControl:
    return LegControl(MIN_BPS, START_BPS, MAX_BPS)


def run(
    link: Link, seconds: float, *, transport: bool = True, remb: Callable[[float], float] | None = None, fps: int = 30
) -> list[Moment]:
    leg = control()
    return list(Call(link, leg.look, leg.report, transport=transport, remb=remb, fps=fps).run(seconds))


def narrow_for_a_while(at_s: float) -> float:
    return NARROW_BPS if 10 <= at_s < 30 else WIDE_BPS


def settled_s(moments: list[Moment], from_s: float, holds: Callable[[Moment], bool]) -> float:
    """How long after `from_s` it takes until `holds` for a whole second."""
    held = 0
    for moment in moments:
        if moment.at_s >= from_s:
            held = held + 1 if holds(moment) else 0
            if held == 10:
                return moment.at_s - from_s - 0.9
    raise AssertionError("never")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("delay_s", [0.005, 0.05])
@pytest.mark.parametrize("fps", [15, 30])
def test_a_link_that_narrows_and_widens_is_followed(seed: int, delay_s: float, fps: int) -> None:
    moments = run(Link(narrow_for_a_while, delay_s=delay_s, seed=seed), 50, fps=fps)
    assert settled_s(moments, 10, lambda moment: moment.target_bps <= NARROW_BPS) < 5
    assert settled_s(moments, 30, lambda moment: moment.target_bps >= 0.65 * WIDE_BPS) < 15
    narrow = [moment for moment in moments if 13 <= moment.at_s < 30]
    assert sum(moment.arriving_bps for moment in narrow) / len(narrow) > 0.6 * NARROW_BPS
    assert max(moment.waits_s for moment in narrow) < 0.3
    assert max(moment.gap_s for moment in moments) < 1.0


@pytest.mark.parametrize("remb", [None, lambda at_s: 0.9 * narrow_for_a_while(at_s)])
def test_it_is_followed_without_transport_wide_feedback(remb: Callable[[float], float] | None) -> None:
    moments = run(Link(narrow_for_a_while), 60, transport=False, remb=remb)
    assert settled_s(moments, 10, lambda moment: moment.target_bps <= 1.3 * NARROW_BPS) < 5
    assert settled_s(moments, 30, lambda moment: moment.target_bps >= 0.7 * WIDE_BPS) < 15


@pytest.mark.parametrize("transport", [True, False])
@pytest.mark.parametrize("remb", [None, lambda at_s: 400_000])  # aiortc's, on loopback
@pytest.mark.parametrize("jitter_s", [0.0, 0.01])
def test_a_good_lan_is_filled_to_the_maximum_and_stays_so(
    transport: bool, remb: Callable[[float], float] | None, jitter_s: float
) -> None:
    moments = run(Link(lambda at_s: 50e6, delay_s=0.001, jitter_s=jitter_s), 20, transport=transport, remb=remb)
    assert {moment.target_bps for moment in moments if moment.at_s > 4} == {MAX_BPS}


@pytest.mark.parametrize("rate_bps", [4e5, 1e6, 2e6])
def test_at_a_steady_link_it_does_not_swing(rate_bps: float) -> None:
    targets = [moment.target_bps for moment in run(Link(lambda at_s: rate_bps), 60) if moment.at_s > 10]
    assert min(targets) > 0.6 * rate_bps
    assert max(targets) < 1.2 * rate_bps
    falls = sum(later < 0.9 * earlier for earlier, later in pairwise(targets))
    assert falls < len(targets) / 10  # of 10 looks a second: less than one a second


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("share", "keyframes_s"), [(0.7, 0.7), (0.95, 1.5)])
def test_key_frames_do_not_pass_for_a_full_link(seed: int, share: float, keyframes_s: float) -> None:
    """Each is a burst that makes a queue for a moment, before a link that has room as well."""
    leg = LegControl(MIN_BPS, 400_000, MAX_BPS)
    call = Call(Link(lambda at_s: WIDE_BPS, seed=seed), leg.look, leg.report, share=share, keyframes_s=keyframes_s)
    moments = list(call.run(40))
    assert next(moment.at_s for moment in moments if moment.target_bps >= 0.8 * WIDE_BPS) < 9
    late = [moment.target_bps for moment in moments if moment.at_s > 15]
    assert sum(late) / len(late) > 0.78 * WIDE_BPS


@pytest.mark.parametrize("loss", [0.01, 0.05])
def test_random_loss_is_no_full_link(loss: float) -> None:
    moments = run(Link(lambda at_s: 4e6, loss=loss), 30)
    assert min(moment.target_bps for moment in moments) > 0.9 * START_BPS


def test_machines_that_stall_now_and_then_do_not_hold_it_down() -> None:
    leg = control()
    moments = list(Call(Link(lambda at_s: 20e6, stalls=True), leg.look, leg.report, share=0.4).run(40))
    late = [moment.target_bps for moment in moments if moment.at_s > 10]
    assert sum(late) / len(late) > 0.75 * MAX_BPS


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_machines_that_others_use_as_well_do_not_bring_it_down_for_long(seed: int, share: float) -> None:
    leg = control()
    moments = list(Call(Link(lambda at_s: 20e6, slow_s=0.02, seed=seed), leg.look, leg.report, share=share).run(60))
    late = [moment.target_bps for moment in moments if moment.at_s > 10]
    assert sum(late) / len(late) > 0.3 * MAX_BPS


def test_pictures_that_need_little_do_not_hold_it_down_for_good() -> None:
    """After a narrow time nearly nothing is sent, so nothing proves that there is room again."""
    leg = control()
    link = Link(narrow_for_a_while)
    moments = list(Call(link, leg.look, leg.report, share=0.4).run(90))
    assert moments[-1].target_bps > 0.65 * WIDE_BPS
    assert max(moment.gap_s for moment in moments) < 1.0


@pytest.mark.parametrize("delay_s", [0.005, 0.05])
def test_a_link_that_narrows_is_given_time_to_drain_and_one_that_jitters_is_not(delay_s: float) -> None:
    narrowed, jittering = control(), control()
    list(Call(Link(narrow_for_a_while, delay_s=delay_s), narrowed.look, narrowed.report).run(29))
    assert 10.2 < narrowed.drained_s < 11.2
    list(Call(Link(lambda at_s: WIDE_BPS, delay_s, jitter_s=0.03), jittering.look, jittering.report).run(29))
    assert jittering.drained_s < 0


def test_a_policer_that_drops_without_a_queue_is_found_by_its_loss() -> None:
    moments = run(Link(lambda at_s: 6e5, queue_s=0.005), 20)
    assert max(moment.target_bps for moment in moments if moment.at_s > 10) < 9e5


@given(st.floats(2e5, 4e6), st.floats(0.001, 0.15), st.floats(0.05, 1.0), st.floats(0.0, 0.1), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_on_any_link_it_stays_within_bounds_and_does_not_fill_it_for_long(
    rate_bps: float, delay_s: float, queue_s: float, loss: float, seed: int
) -> None:
    moments = run(Link(lambda at_s: rate_bps, delay_s=delay_s, queue_s=queue_s, loss=loss, seed=seed), 15)
    assert all(MIN_BPS <= moment.target_bps <= MAX_BPS for moment in moments)
    late = [moment.waits_s - delay_s for moment in moments if moment.at_s > 10]
    assert sum(late) / len(late) < 0.15


FATES = st.builds(PacketFate, st.floats(0, 100), st.none() | st.floats(-1e6, 1e6), st.integers(0, 1500))
FEEDBACK = st.one_of(
    st.builds(
        ReceiverReport,
        st.floats(0, 1),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.none() | st.floats(0, 60),
        st.floats(0, 100),
    ),
    st.builds(BitrateEstimate, st.integers(0, 1 << 62), st.floats(0, 100)),
    st.builds(
        TransportReport,
        st.lists(FATES, max_size=40).map(tuple),
        st.floats(0, 100),
    ),
)


@given(st.lists(FEEDBACK, max_size=50))
def test_no_report_however_odd_takes_it_out_of_its_bounds(reports: list[Feedback]) -> None:
    leg = control()
    for report in reports:
        leg.report(report)
        assert MIN_BPS <= leg.look(report.at_s) <= MAX_BPS


def test_a_receiver_that_is_silent_gets_less_until_it_speaks() -> None:
    leg = control()
    assert leg.look(1000.0) == START_BPS  # it never spoke: some never do
    leg.report(ReceiverReport(0.0, 0, 0, 0.02, 0.0))
    assert leg.look(SILENCE_S) == START_BPS
    looks = [leg.look(SILENCE_S + number / 4) for number in range(1, 41)]
    assert looks == sorted(looks, reverse=True)
    assert looks[-1] < START_BPS / 10
    leg.report(ReceiverReport(0.0, 0, 0, 0.02, 20.0))
    leg.report(ReceiverReport(0.0, 0, 0, 0.02, 21.0))
    assert leg.look(21.0) > looks[-1]


def test_it_can_be_tried_anew() -> None:
    leg = control()
    for second in range(5):
        leg.report(ReceiverReport(0.5, 0, 0, 0.02, float(second)))
    assert leg.target_bps < 300_000
    leg.restart(9_000_000)
    assert leg.target_bps == MAX_BPS
