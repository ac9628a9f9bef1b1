from __future__ import annotations

import pytest

from appliance.media.volumes import FULL_VOLUME, MAX_USERS, Volumes


def test_the_latest_are_kept_and_full_is_nothing_to_keep() -> None:
    volumes = Volumes()
    volumes.set("first", 10)
    for number in range(MAX_USERS):
        volumes.set(f"full-{number}", FULL_VOLUME)
    assert volumes.of("first") == 10
    for number in range(MAX_USERS - 1):
        volumes.set(f"guest-{number}", 50)
    volumes.set("first", 20)  # again: among the latest
    volumes.set("last", 30)
    assert (volumes.of("first"), volumes.of("last"), volumes.of("guest-1")) == (20, 30, 50)
    assert volumes.of("guest-0") == FULL_VOLUME


@pytest.mark.parametrize("volume", [-1, 101])
def test_what_is_no_volume(volume: int) -> None:
    volumes = Volumes()
    with pytest.raises(ValueError, match="0 to 100"):
        volumes.set("anna", volume)
    assert volumes.of("anna") == FULL_VOLUME
