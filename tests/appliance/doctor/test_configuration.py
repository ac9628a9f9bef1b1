"""What the doctor says about settings: good, broken, broken with a last good one beside, and taken back."""

from __future__ import annotations

from pathlib import Path

from appliance.config_store import ConfigStore
from appliance.doctor.program import check_config


async def test_settings_good_broken_and_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[video]\nfps = 0\n")
    config, finding = check_config(file)
    assert (config.video.fps, finding.status, finding.remedy) == (30, "failed", "correct these lines")
    file.write_text("[video]\nfps = 10\n")
    assert check_config(file)[1].status == "ok"
    store = ConfigStore(file)
    await store.begin()
    await store.keep()
    file.write_text("[video]\nfps = 0\n")
    assert "config.good.toml" in check_config(file)[1].remedy
    await ConfigStore(file).begin()
    config, finding = check_config(file)
    assert (config.video.fps, finding.status) == (10, "warning")
    assert "video.fps = 0" in finding.message
    assert "config.rejected.toml" in finding.remedy
