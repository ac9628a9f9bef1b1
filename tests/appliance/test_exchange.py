"""What other settings exchange of the hardware."""

from __future__ import annotations

import pytest

from appliance.config import Config, parse
from appliance.device_roll import KINDS, DeviceKind
from appliance.drivers import hardware
from appliance.errors import ConfigError
from appliance.exchange import exchange
from appliance.live import Part


def config(gpio: str = "none", video: str = "mock", audio: str = "mock") -> Config:
    return parse(f'[audio]\ndriver = "{audio}"\n[video]\ndriver = "{video}"\n[gpio]\ndriver = "{gpio}"\n', "t")


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        ({"name", "room", "near-end", "country", "call"}, set()),
        ({"video"}, {"camera"}),
        ({"audio"}, {"microphone"}),  # the virtual panel goes on playing what the speaker gets
        ({"panel", "video", "audio"}, {"camera", "microphone"}),
    ],
)
async def test_only_what_is_asked_for_is_another_one(parts: set[Part], kinds: set[DeviceKind]) -> None:
    now = hardware(config())
    after = await exchange(now, config(), parts)
    assert after.kinds == kinds
    assert {kind for kind in KINDS if getattr(after.hardware.drivers, kind) is not getattr(now.drivers, kind)} == kinds
    assert after.hardware.speaker is now.speaker


async def test_a_speaker_that_becomes_a_real_one_or_none_is_exchanged() -> None:
    now = hardware(config())
    after = await exchange(now, config(audio="none"), {"audio"})
    assert after.kinds == {"microphone", "speaker"}
    assert (after.hardware.drivers.speaker, after.hardware.speaker) == (None, None)


async def test_the_virtual_panel_stays_and_so_does_one_that_has_no_next() -> None:
    mock = hardware(config("mock"))
    after = await exchange(mock, config("mock"), {"panel"})
    assert (after.panel, after.hardware.panel) == (False, mock.panel)
    after = await exchange(mock, config("none"), {"panel"})
    assert (after.panel, after.hardware.panel) == (False, mock.panel)


async def test_a_panel_with_other_pins_is_another_one() -> None:
    text = '[audio]\ndriver = "none"\n[video]\ndriver = "none"\n[panel]\nport = "/dev/ttyS7"\n'
    now, other = hardware(parse(text, "t")), parse(text.replace("S7", "S8"), "t")
    after = await exchange(now, other, {"panel"})
    assert after.panel
    assert after.hardware.panel not in (None, now.panel)


async def test_a_film_that_is_missing_changes_nothing() -> None:
    missing = parse('[audio]\ndriver = "none"\n[video]\ndriver = "file"\ncamera_file = "/no/film"\n', "t")
    with pytest.raises(ConfigError, match="/no/film"):
        await exchange(hardware(config()), missing, {"video"})
