"""The mute gate."""

from appliance.media.gate import Gate


def test_nothing_captured_while_shut_passes() -> None:
    gate = Gate()
    assert gate.passes(1.0)
    shut = gate.set(True, 2.0)
    assert not shut.passes(1.0)
    assert not shut.passes(3.0)
    again = shut.set(False, 4.0)
    assert not again.passes(3.999)  # captured before, delivered after
    assert again.passes(4.0)


def test_each_change_is_a_new_epoch_and_no_change_is_none() -> None:
    gate = Gate()
    assert gate.set(False, 1.0) is gate
    shut = gate.set(True, 1.0)
    assert shut.epoch != gate.epoch
    assert shut.set(True, 2.0) is shut
    assert shut.set(False, 3.0).epoch not in (gate.epoch, shut.epoch)
