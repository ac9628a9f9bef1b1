"""Factory reset: nothing of the owner is left, whenever the power goes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from appliance.composing import Restart
from appliance.config_files import ConfigFiles
from appliance.config_store import ConfigStore
from appliance.factory_reset import FORGOTTEN, MARK, FactoryReset, begin, finish, is_begun
from appliance.hub.log_store import DIRECTORY, LogStore
from appliance.hub.recordings import DIRECTORY as RECORDINGS
from appliance.hub.relay_layout import IMAGES
from appliance.log_ring import LogQuery, LogRing
from appliance.own_network import OwnNetwork
from provisioning.mock_network import MockNetwork, MockWifi
from provisioning.network import Network

KEPT = "claim.json"


def fill(state_dir: Path) -> ConfigFiles:
    files = ConfigFiles(state_dir / "config.toml")
    LogStore(state_dir / DIRECTORY).add("anna", "secret")
    for directory in (RECORDINGS, IMAGES):
        (state_dir / directory).mkdir()
        (state_dir / directory / "secret.mp4").write_text("secret")
    for path in (*files.all, *(state_dir / name for name in (*FORGOTTEN, KEPT))):
        path.write_text("secret")
    return files


def test_what_a_cut_write_left_behind_goes_too(tmp_path: Path) -> None:
    files = fill(tmp_path)
    for name in (".config.good.toml.new", ".owner.json.k2m9x", ".sessions.json.abc"):
        (tmp_path / name).write_text("secret")
    begin(tmp_path)
    settings, *beside = files.all
    finish(tmp_path, settings, beside)
    assert left(tmp_path) == {KEPT: "secret", "config.toml": ""}


async def test_a_reset_that_was_cut_short_forgets_the_networks_too(tmp_path: Path) -> None:
    """And what the log knew. A unit's networks are kept by the system, not in its state directory."""
    fill(tmp_path)
    (tmp_path / KEPT).unlink()
    network, log = MockNetwork([MockWifi("Living room", 88, known=True)]), LogRing()

    class Own(OwnNetwork):
        def network(self, key: str) -> Network:
            self._network = network
            return network

    own_network = Own({}, is_demo=True)
    log.handle(logging.makeLogRecord({"msg": "of the owner", "levelno": logging.INFO}))
    reset = FactoryReset(tmp_path, ConfigStore(tmp_path / "config.toml"), Restart(), own_network, log, None)
    begin(tmp_path)
    await reset.resume()
    assert await network.known() == ()
    assert log.find(LogQuery()).records == []
    assert not is_begun(tmp_path)
    await own_network.close()


def left(state_dir: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in state_dir.iterdir()}


def test_only_the_claim_code_is_left(tmp_path: Path) -> None:
    files = fill(tmp_path)
    begin(tmp_path)
    assert is_begun(tmp_path)
    settings, *beside = files.all
    finish(tmp_path, settings, beside)
    assert left(tmp_path) == {KEPT: "secret", "config.toml": ""}
    assert not is_begun(tmp_path)


@pytest.mark.parametrize("step", range(3))
def test_one_that_was_cut_short_is_finished_at_the_next_start(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = fill(tmp_path)
    begin(tmp_path)
    settings, *beside = files.all
    real, calls = Path.unlink, 0

    def cut(path: Path, missing_ok: bool = False) -> None:
        nonlocal calls
        calls += 1
        if calls > step * 3:
            raise OSError(5, "power cut", str(path))
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", cut)
    with pytest.raises(OSError, match="power cut"):
        finish(tmp_path, settings, beside)
    monkeypatch.setattr(Path, "unlink", real)
    assert is_begun(tmp_path)
    finish(tmp_path, settings, beside)
    assert left(tmp_path) == {KEPT: "secret", "config.toml": ""}


def test_the_mark_is_no_secret_and_the_directory_is_made(tmp_path: Path) -> None:
    begin(tmp_path / "new")
    assert (tmp_path / "new" / MARK).read_bytes() == b""
