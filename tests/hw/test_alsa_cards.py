from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import HardwareError
from hw.alsa_cards import SoundCard, control_device, identity, others, pcm_name, pick_control, sound_cards

HDMI = SoundCard(0, "vc4hdmi", False, (), (0,))
CAMERA = SoundCard(1, "C920", True, (0,), ())
PHONE = SoundCard(2, "Jabra", True, (0,), (0, 1))
STICK = SoundCard(3, "Stick", True, (), (1,))


def card(root: Path, index: int, name: str, *parts: str) -> None:
    directory = root / f"card{index}"
    directory.mkdir()
    (directory / "id").write_text(f"{name}\n")
    for part in parts:
        (directory / part).mkdir()


def test_what_the_kernel_lists(tmp_path: Path) -> None:
    card(tmp_path, 10, "Late", "pcm0c")
    card(tmp_path, 2, "Jabra", "usbid", "pcm0c", "pcm1p", "pcm0p", "midi0")
    card(tmp_path, 0, "vc4hdmi", "pcm0p")
    (tmp_path / "card7").mkdir()  # unplugged while we look
    (tmp_path / "cards").write_text(
        " 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi-0\n                      vc4-hdmi-0\n"
        " 2 [Jabra          ]: USB-Audio - Jabra SPEAK [410] - USB\n"
        "                      GN Netcom A/S Jabra SPEAK at usb-0000:01:00.0-1.2, full speed\n"
    )
    hdmi, phone = replace(HDMI, name="vc4-hdmi-0"), replace(PHONE, name="Jabra SPEAK [410] - USB")
    assert sound_cards(tmp_path) == (hdmi, phone, SoundCard(10, "Late", False, (0,), ()))
    assert sound_cards(tmp_path / "nothing") == ()


def test_the_first_usb_card_that_can() -> None:
    assert pcm_name("usb", "capture", (HDMI, CAMERA)) == "plughw:CARD=C920,DEV=0"
    assert pcm_name("usb", "playback", (HDMI, CAMERA, STICK)) == "plughw:CARD=Stick,DEV=1"


def test_one_usb_card_for_both_ends_comes_first() -> None:
    cards = (HDMI, CAMERA, PHONE, STICK)
    assert pcm_name("usb", "capture", cards) == "plughw:CARD=Jabra,DEV=0"
    assert pcm_name("usb", "playback", cards) == "plughw:CARD=Jabra,DEV=0"


def test_no_usb_card() -> None:
    with pytest.raises(HardwareError, match=r"no USB sound card with a microphone; plug one in \(there is vc4hdmi\)"):
        pcm_name("usb", "capture", (HDMI,))
    with pytest.raises(HardwareError, match=r"with a speaker.*there is no card"):
        pcm_name("usb", "playback", ())


def test_other_names_are_alsas_own() -> None:
    assert pcm_name("plughw:1", "capture", (PHONE,)) == "plughw:1"
    assert pcm_name("", "capture", (PHONE,)) == "default"
    assert pcm_name("auto", "capture", (PHONE,)) == "plughw:CARD=Jabra,DEV=0"
    assert pcm_name("auto", "capture", (HDMI,)) == "default"


@pytest.mark.parametrize(
    ("name", "device_id", "label"),
    [
        ("plughw:CARD=Jabra,DEV=1", "plughw:CARD=Jabra,DEV=1", "Jabra SPEAK"),
        ("hw:2,1", "plughw:CARD=Jabra,DEV=1", "Jabra SPEAK"),
        ("hw:Jabra", "plughw:CARD=Jabra,DEV=0", "Jabra SPEAK"),
        ("sysdefault:CARD=vc4hdmi", "plughw:CARD=vc4hdmi,DEV=0", "vc4hdmi"),
        ("hw:9", "hw:9", "hw:9"),
        ("hw:Jabra,x", "hw:Jabra,x", "hw:Jabra,x"),
        ("plughw:", "plughw:", "plughw:"),
        ("default", "default", "default"),
    ],
)
def test_a_device_has_one_id_whatever_it_is_called(name: str, device_id: str, label: str) -> None:
    cards = (HDMI, replace(PHONE, name="Jabra SPEAK"))
    assert identity(name, "playback", cards) == (device_id, label)


@given(st.text())
def test_any_name_has_an_id(name: str) -> None:
    assert len(identity(name, "capture", (HDMI, PHONE))) == 2


def test_others_that_may_stand_in() -> None:
    cards = (HDMI, CAMERA, PHONE, STICK)
    assert others("capture", ("plughw:CARD=C920,DEV=0",), cards) == ("plughw:CARD=Jabra,DEV=0",)
    assert others("playback", (), cards) == (
        "plughw:CARD=Jabra,DEV=0",
        "plughw:CARD=Jabra,DEV=1",
        "plughw:CARD=Stick,DEV=1",
        "plughw:CARD=vc4hdmi,DEV=0",
    )


@pytest.mark.parametrize(
    ("pcm", "mixer"),
    [
        ("default", "default"),
        ("my_card", "my_card"),
        ("hw:1", "hw:1"),
        ("plughw:2,0", "hw:2"),
        ("plughw:CARD=Jabra,DEV=0", "hw:Jabra"),
        ("sysdefault:CARD=vc4hdmi", "hw:vc4hdmi"),
        ("tee:default,file", "tee:default,file"),
    ],
)
def test_the_mixer_beside_a_pcm(pcm: str, mixer: str) -> None:
    assert control_device(pcm) == mixer


def test_the_control_to_turn() -> None:
    assert pick_control("playback", ["Bass", "PCM", "Speaker"]) == "PCM"
    assert pick_control("capture", ["Boost", "Mic"]) == "Mic"
    assert pick_control("capture", ["Boost", "Odd"]) == "Boost"
    assert pick_control("capture", []) is None
