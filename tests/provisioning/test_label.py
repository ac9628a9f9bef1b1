from __future__ import annotations

from pathlib import Path

import pytest

from provisioning import label
from provisioning.claim import ClaimSecrets

KNOWN = ClaimSecrets("4F7K2M9XG", "0KPM4EJTF0SYVMQ5")
ADDRESS = "https://door.local:8080"


def test_the_label_says_how_to_get_in() -> None:
    text = label.as_text(KNOWN, ADDRESS)
    assert "4F7-K2M-9XG" in text
    assert "https://door.local:8080/setup#code=4F7-K2M-9XG" in text
    assert "0KPM4EJTF0SYVMQ5" in text
    assert "Room appliance " in text


def test_its_qr_codes_are_the_page_and_the_network(tmp_path: Path) -> None:
    page, wifi = label.page_qr(KNOWN, ADDRESS), label.wifi_qr(KNOWN)
    assert page != wifi
    for name, start in (("page.svg", b"<?xml"), ("page.PNG", b"\x89PNG")):
        label.save(page, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    assert len(label.draw(wifi).splitlines()) > 10


@pytest.mark.parametrize("name", ["code.gif", "code", "code.svg.exe"])
def test_other_pictures_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"\.svg and \.png"):
        label.save(label.page_qr(KNOWN, ADDRESS), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
