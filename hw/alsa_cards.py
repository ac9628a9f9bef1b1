"""Which sound card: what /proc/asound lists, and names chosen from it. Reads files, needs no library."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hw import HardwareError

USB = "usb"  # in a configuration: the first USB card that can do it
AUTO = "auto"  # the same, and "default" without one
ASOUND = Path("/proc/asound")

_OF_A_CARD = ("hw", "plughw", "sysdefault", "front", "dmix", "dsnoop")  # prefixes of names that name a card
_CONTROLS = {
    "playback": ("Master", "PCM", "Speaker", "Headphone", "Headset", "Digital", "Line Out"),
    "capture": ("Capture", "Mic", "Headset", "Digital", "Input"),
}


@dataclass(frozen=True, slots=True)
class SoundCard:
    """`id` as in `hw:CARD=id`; `capture` and `playback` are the numbers of its PCM devices of that kind; `name` is for
    people, "USB PnP Sound Device"."""

    index: int
    id: str
    is_usb: bool
    capture: tuple[int, ...]
    playback: tuple[int, ...]
    name: str = ""


def sound_cards(root: Path = ASOUND) -> tuple[SoundCard, ...]:
    """Every card of the kernel, in its order; none where there is no ALSA."""
    cards = []
    names = _names(root)
    for directory in root.glob("card[0-9]*"):
        try:
            name = (directory / "id").read_text().strip()
            parts = [entry.name for entry in directory.iterdir()]
        except OSError:  # unplugged while we look
            continue
        index = int(directory.name.removeprefix("card"))
        ends = _devices(parts, "c"), _devices(parts, "p")
        cards.append(SoundCard(index, name, "usbid" in parts, *ends, names.get(index, "")))
    return tuple(sorted(cards, key=lambda card: card.index))


def _devices(parts: Sequence[str], kind: str) -> tuple[int, ...]:
    return tuple(sorted(int(found[1]) for part in parts if (found := re.fullmatch(rf"pcm(\d+){kind}", part))))


def _names(root: Path) -> dict[int, str]:
    """From lines such as ` 1 [Device         ]: USB-Audio - USB PnP Sound Device`."""
    try:
        text = (root / "cards").read_text(errors="replace")
    except OSError:
        return {}
    return {int(found[1]): found[2].strip() for found in re.finditer(r"^ *(\d+) \[.*\]: .*? - (.*)$", text, re.M)}


def pcm_name(wanted: str, direction: Literal["capture", "playback"], cards: Sequence[SoundCard]) -> str:
    """The ALSA name to open for what the configuration names: itself, or the first USB card for "usb" and "auto".

    HardwareError for "usb" when there is no USB card that can do it.
    """
    if wanted not in (USB, AUTO):
        return wanted or "default"
    name = first_usb(direction, cards)
    if name is None and wanted == AUTO:
        return "default"
    if name is None:
        there = ", ".join(card.id for card in cards) or "no card"
        noun = "microphone" if direction == "capture" else "speaker"
        raise HardwareError(f"there is no USB sound card with a {noun}; plug one in (there is {there})")
    return name


def first_usb(direction: Literal["capture", "playback"], cards: Sequence[SoundCard]) -> str | None:
    """ALSA name of the first USB card's first device of this kind; one that can do both is preferred."""
    able = [card for card in cards if card.is_usb and getattr(card, direction)]
    able.sort(key=lambda card: not (card.capture and card.playback))
    return f"plughw:CARD={able[0].id},DEV={getattr(able[0], direction)[0]}" if able else None


def identity(name: str, direction: Literal["capture", "playback"], cards: Sequence[SoundCard]) -> tuple[str, str]:
    """Id and label of the device behind an ALSA name: `plughw:CARD=Device,DEV=0`, as udev's events have it, and the
    card's name; of one that names no card, or none that is there, twice its own name."""
    prefix, _, arguments = name.partition(":")
    words = arguments.split(",")
    if prefix not in _OF_A_CARD or not words[0]:
        return name, name
    wanted, device = words[0].removeprefix("CARD="), words[1].removeprefix("DEV=") if len(words) > 1 else "0"
    card = next((card for card in cards if wanted in (card.id, str(card.index))), None)
    if card is None or not device.isdecimal():
        return name, name
    return f"plughw:CARD={card.id},DEV={int(device)}", card.name or card.id


def others(
    direction: Literal["capture", "playback"], but: Collection[str], cards: Sequence[SoundCard]
) -> tuple[str, ...]:
    """ALSA names of every device of this kind but those of these ids, USB cards first."""
    usb_first = sorted(cards, key=lambda card: not card.is_usb)
    names = [f"plughw:CARD={card.id},DEV={number}" for card in usb_first for number in getattr(card, direction)]
    return tuple(name for name in names if name not in but)


def control_device(name: str) -> str:
    """The mixer's name beside a PCM's: `hw:CARD=x` for a card by name; one from asound.conf has its own."""
    prefix, _, arguments = name.partition(":")
    if prefix not in _OF_A_CARD or not arguments:
        return name
    card = arguments.partition(",")[0].removeprefix("CARD=")
    return f"hw:{card}"


def pick_control(direction: Literal["capture", "playback"], names: Sequence[str]) -> str | None:
    """The control to turn, of those that can be turned: the usual one by name, else the first."""
    return next((name for name in _CONTROLS[direction] if name in names), names[0] if names else None)
