"""The doctor looks at the unit's own screen: a real X server, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.doctor.display import check_display
from appliance.doctor.person import Nobody
from hw.sdl_display import SdlDisplay
from tests.appliance.doctor.people import Somebody
from tests.hw.x_server import HEIGHT, WIDTH, x_server


@pytest.mark.parametrize(("answer", "status"), [(True, "ok"), (False, "failed"), (None, "ok")])
def test_a_screen_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bool | None, status: str
) -> None:
    with x_server(tmp_path) as server:
        monkeypatch.setenv("DISPLAY", server.display)
        person = Nobody() if answer is None else Somebody(answer)
        finding = check_display(SdlDisplay(fullscreen=True), person, is_required=True)
    assert (finding.check, finding.status) == ("display", status)
    assert finding.facts == {"width": WIDTH, "height": HEIGHT, "seen": answer}


@pytest.mark.parametrize(("is_required", "status"), [(True, "failed"), (False, "skipped")])
def test_none_is_there(monkeypatch: pytest.MonkeyPatch, is_required: bool, status: str) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    finding = check_display(SdlDisplay(), Nobody(), is_required=is_required)
    assert finding.status == status
    assert bool(finding.remedy) is is_required
