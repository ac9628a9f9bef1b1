"""Which devices a configuration makes; none is opened."""

from __future__ import annotations

import pytest

from appliance import drivers
from appliance.config import parse
from hw.alsa_duplex import AlsaMicrophone, AlsaSpeaker

REST = '[video]\ndriver = "none"\n[gpio]\ndriver = "none"\n'


def sound(text: str) -> tuple[object, object]:
    made = drivers.hardware(parse(f"[audio]\n{text}\n{REST}", "t")).drivers
    return made.microphone and made.microphone(), made.speaker and made.speaker()


def names(text: str) -> tuple[str, str]:
    microphone, speaker = sound(text)
    assert isinstance(microphone, AlsaMicrophone)
    assert isinstance(speaker, AlsaSpeaker)
    return microphone.device_id, speaker.device_id


def test_alsa() -> None:
    assert names('driver = "alsa"') == ("default", "default")
    assert names('driver = "alsa"\ndevice = "usb"') == ("usb", "usb")
    assert names('driver = "alsa"\ndevice = "usb"\nspeaker = "plughw:0"') == ("usb", "plughw:0")


def test_auto_where_alsa_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "alsa_is_installed", lambda: True)
    assert names('driver = "auto"') == ("auto", "auto")
    assert names('driver = "auto"\ndevice = "plughw:1"') == ("plughw:1", "plughw:1")


def test_auto_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "alsa_is_installed", lambda: False)
    assert sound('driver = "auto"') == (None, None)
