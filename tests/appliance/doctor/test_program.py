from __future__ import annotations

import importlib.metadata
import os
import socket
from pathlib import Path

from appliance import tls
from appliance.config_sections import Web
from appliance.doctor import program
from provisioning.claim import FILE_NAME as CLAIM_FILE
from provisioning.claim import load_or_create
from provisioning.password import FILE_NAME as OWNER_FILE
from provisioning.password import OwnerPassword


def test_certificate(tmp_path: Path) -> None:
    assert program.check_certificate(tmp_path).message.startswith("none yet")
    tls.of_unit(tmp_path, Web())
    assert program.check_certificate(tmp_path).message == f"SHA-256 {tls.fingerprint(tmp_path)}"
    (tmp_path / tls.FILE_NAME).write_text("damaged")
    assert program.check_certificate(tmp_path).status == "failed"


def test_python_version() -> None:
    assert program.check_python((3, 11, 0)).status == "ok"
    assert program.check_python((3, 13, 9)).status == "ok"
    assert program.check_python((3, 10, 12)).status == "failed"
    assert program.check_python((3, 14, 0)).status == "failed"


def test_versions_that_the_hooks_do_not_know() -> None:
    def version_of(name: str) -> str:
        if name == "aioice":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.17.0"

    assert [(finding.check, finding.message) for finding in program.check_packages(version_of)] == [
        ("aiortc", "1.17.0 is not 1.16.x"),
        ("aioice", "not installed"),
        ("pylibsrtp", "1.17.0 is not 1.0.x"),
    ]


def test_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = program.check_state_dir(tmp_path / "file" / "state")
    assert finding.status == "failed"
    assert "STATE_DIRECTORY" in finding.remedy
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        assert program.check_state_dir(tmp_path / "locked").status == "failed"


def test_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        finding = program.check_port("127.0.0.1", port)
        assert finding.status == "failed"
        assert f"port {port}" in finding.message
    assert program.check_port("127.0.0.1", port).status == "ok"


def test_host_that_is_not_ours() -> None:
    assert program.check_port("192.0.2.1", 0).status == "failed"


async def test_claim_code_is_for_people_without_an_owner(tmp_path: Path) -> None:
    assert program.check_claim(tmp_path, show_code=True).facts == {"claimed": False}
    known = load_or_create(tmp_path)
    assert known.shown in program.check_claim(tmp_path, show_code=True).message
    assert known.shown not in str(program.check_claim(tmp_path, show_code=False))
    await OwnerPassword(tmp_path / OWNER_FILE).set("correct horse battery")
    finding = program.check_claim(tmp_path, show_code=True)
    assert finding.facts == {"claimed": True}
    assert known.shown not in finding.message


def test_damaged_claim_code(tmp_path: Path) -> None:
    (tmp_path / CLAIM_FILE).write_text("damaged")
    assert program.check_claim(tmp_path, show_code=True).status == "failed"
