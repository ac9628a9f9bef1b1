from __future__ import annotations

from pathlib import Path

import pytest

from appliance.state_dir import state_dir


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"STATE_DIRECTORY": "/var/lib/unit", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/var/lib/unit"),
        ({"STATE_DIRECTORY": "/var/lib/unit:/var/lib/other"}, "/var/lib/unit"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/room-appliance"),
        ({"HOME": "/home/anna"}, "/home/anna/.local/state/room-appliance"),
    ],
)
def test_where_the_state_is(environ: dict[str, str], path: str) -> None:
    assert state_dir(environ) == Path(path)
