from __future__ import annotations

import importlib.metadata
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from appliance import __version__, cli
from appliance.errors import TokenInvalidError
from appliance.hub.token_secret import load_or_create_keys, load_or_create_secret
from appliance.hub.tokens import TokenSigner
from appliance.state_dir import TOKEN_SECRET_FILE
from provisioning.api_tokens import ApiTokens
from provisioning.claim import load_or_create
from tests.hw.test_files import write_sound

MOCK = '[audio]\ndriver = "mock"\n[video]\ndriver = "mock"\n[gpio]\ndriver = "mock"\n'


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "state"
    monkeypatch.setenv("STATE_DIRECTORY", str(directory))
    monkeypatch.setattr("appliance.logs.set_up", lambda verbose: None)  # pytest's own handlers stay
    return directory


def write(directory: Path, text: str, name: str = "unit.toml") -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(text)
    return file


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


# --- usage


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "COMMAND"),
        (["fly"], "fly"),
        (["demo", "--port", "99999"], "invalid port value: '99999'"),
        (["demo", "--port", "http"], "invalid port value: 'http'"),
        (["demo", "--mic", "x"], "--mic"),
        (["token"], "--room"),
        (["token", "--room", "lobby", "--role", "king"], "king"),
        (["token", "--room", "lobby", "--ttl", "0"], "invalid number of seconds value: '0'"),
        (["check"], "FILE"),
    ],
)
def test_wrong_usage(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert word in errors(capsys)[-1]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"room-appliance {__version__}\n"
    assert importlib.metadata.version("room-appliance") == __version__


# --- check


def test_check_of_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, MOCK)
    assert cli.main(["check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: good\n"


def test_check_tells_every_problem_on_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "[web]\nport = 99999\nprot = 1\n")
    assert cli.main(["check", str(file)]) == 2
    assert errors(capsys) == [
        f"room-appliance: {file}:2: web.port = 99999; allowed is an integer from 0 to 65535",
        f"room-appliance: {file}:3: web.prot is unknown; did you mean port?",
    ]


def test_check_refuses_a_film_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, '[video]\ndriver = "file"\ncamera_file = "/no/film"\n')
    assert cli.main(["check", str(file)]) == 2
    [line] = errors(capsys)
    assert line.startswith(f"room-appliance: {file}: video.camera_file")


def test_check_of_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(tmp_path / "none.toml")]) == 2
    assert len(errors(capsys)) == 1


# --- token


def token(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert cli.main(["token", *arguments]) == 0
    printed, link = capsys.readouterr().out.splitlines()
    return printed, link


def test_token_is_good_at_the_hub_of_this_unit(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed, _ = token(
        capsys, *("--room", "lobby", "--user", "anna", "--name", "Anna", "--role", "audience", "--ttl", "600")
    )
    secret = state / TOKEN_SECRET_FILE
    claims = TokenSigner(load_or_create_secret(secret)).verify(printed, time.time())
    assert (claims.sub, claims.room, claims.role, claims.name) == ("anna", "lobby", "audience", "Anna")
    assert claims.exp - claims.iat == 600
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_moderator_is_one_by_its_token(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signer = TokenSigner(load_or_create_secret(state / TOKEN_SECRET_FILE))
    assert not signer.verify(token(capsys, "--room", "lobby")[0], time.time()).moderator
    assert signer.verify(token(capsys, "--room", "lobby", "--moderator")[0], time.time()).moderator


def secret_says(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["token-secret", *arguments]) == 0
    return capsys.readouterr().out.strip()


def test_the_token_secret_is_rotated_and_what_was_given_out_stays_good_for_a_while(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given_out, _ = token(capsys, "--room", "lobby")
    assert secret_says(capsys) == "only tokens of the present secret are good"
    assert "good until" in secret_says(capsys, "--rotate")
    keys, now_s = load_or_create_keys(state / TOKEN_SECRET_FILE), time.time()
    assert now_s + 86_000 < keys.previous_until <= now_s + 86_401
    assert "good until" in secret_says(capsys)
    for printed in (given_out, token(capsys, "--room", "lobby")[0]):
        assert TokenSigner(keys).verify(printed, now_s).room == "lobby"
    assert secret_says(capsys, "--forget-previous") == "only tokens of the present secret are good"
    with pytest.raises(TokenInvalidError):
        TokenSigner(load_or_create_keys(state / TOKEN_SECRET_FILE)).verify(given_out, now_s)


@pytest.mark.parametrize(("keep", "previous"), [("0", False), ("60", True)])
def test_how_long_the_old_token_secret_is_kept(
    state: Path, capsys: pytest.CaptureFixture[str], keep: str, previous: bool
) -> None:
    secret_says(capsys, "--rotate", "--keep", keep)
    assert (load_or_create_keys(state / TOKEN_SECRET_FILE).previous is not None) == previous


def test_ttl_of_the_configuration_in_the_state_directory(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(state, "[hub]\ntoken_ttl = 120\n", "config.toml")
    printed, _ = token(capsys, "--room", "lobby")
    claims = TokenSigner(load_or_create_secret(state / TOKEN_SECRET_FILE)).verify(printed, time.time())
    assert (claims.exp - claims.iat, claims.sub) == (120, "")


@pytest.mark.parametrize(
    ("config", "arguments", "address"),
    [
        ("", [], f"https://{socket.gethostname()}:8080"),
        ('[web]\nhost = "127.0.0.1"\nport = 81\ntls = "off"\n', [], "http://127.0.0.1:81"),
        ('[web]\nhost = "::1"\n', [], "https://[::1]:8080"),
        ("", ["--url", "https://kiosk.example/"], "https://kiosk.example"),
    ],
)
def test_link(
    config: str, arguments: list[str], address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, config)
    printed, link = token(capsys, "--room", "front-door", "--config", str(file), *arguments)
    assert link == f"{address}/join/front-door#token={printed}"


def test_token_for_a_room_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token", "--room", "a b"]) == 2
    [line] = errors(capsys)
    assert "room" in line


def test_claim_code_prints_the_label_that_stays(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["claim-code"]) == 0
    first = capsys.readouterr().out
    picture = state / "label.png"
    assert cli.main(["claim-code", "--qr", str(picture), "--terminal"]) == 0
    assert capsys.readouterr().out.startswith(first)
    assert picture.read_bytes().startswith(b"\x89PNG")
    code = load_or_create(state).shown
    assert f"claim code     {code}\n" in first
    assert f".local:8080/setup#code={code}\n" in first
    assert cli.main(["claim-code", "--qr", str(state / "label.gif")]) == 2
    assert "--qr" in capsys.readouterr().err


def test_api_token_is_good_for_the_api(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["api-token", "--label", "panel"]) == 0
    token = ApiTokens(state).find(capsys.readouterr().out.strip())
    assert token is not None
    assert token.scope == "admin"
    assert cli.main(["api-token", "--label", "dash board", "--scope", "read"]) == 0
    capsys.readouterr()
    assert cli.main(["api-token", "--list"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{token.id}  admin")
    assert second.endswith("never used                 dash board")
    assert cli.main(["api-token", "--revoke", token.id]) == 0
    assert cli.main(["api-token", "--revoke", token.id]) == 1
    assert "--list shows them" in capsys.readouterr().err
    assert [one.scope for one in ApiTokens(state).stored()] == ["read"]


def test_ctrl_c_while_modules_load_ends_without_a_traceback() -> None:
    program = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "appliance.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from appliance.__main__ import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


# --- run, demo, hub: what they say when they cannot


@pytest.mark.parametrize("command", ["run", "hub", "token", "doctor"])
def test_missing_configuration(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [command, "--config", str(tmp_path / "none.toml"), *(["--room", "r"] if command == "token" else [])]
    status = cli.main(arguments)
    captured = capsys.readouterr()
    assert "none.toml" in captured.err + captured.out
    assert status == (1 if command == "doctor" else 2)


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("--camera", "none.mkv", "video file {path}: no such file; give a media file with video in it"),
        ("--microphone", "none.wav", "audio file {path}: no such file; give a media file with audio in it"),
        ("--camera", "sound.wav", "video file {path}: has no video; give a media file with video in it"),
        ("--camera", ".", "video file {path}: is no file; give a media file with video in it"),
        ("--camera", "text.mkv", "video file {path}: Invalid data found when processing input; give"),
        ("--camera", "/dev/video987", "{path}: there is no such device"),
    ],
)
def test_demo_of_a_file_that_cannot_be_played(
    option: str, name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sound(tmp_path / "sound.wav", np.zeros(4800, np.int16), 48_000)
    write(tmp_path, "no film at all\n" * 100, "text.mkv")
    path = tmp_path / name
    assert cli.main(["demo", "--port", "0", option, str(path)]) == 2
    [line] = errors(capsys)
    assert line.startswith(f"room-appliance: {option}")
    assert words.format(path=path) in line


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert cli.main(["demo", "--port", str(port)]) == 2
    [line] = errors(capsys)
    assert str(port) in line


def test_state_directory_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "file" / "state"))
    assert cli.main(["demo", "--port", "0"]) == 2
    [line] = errors(capsys)
    assert str(tmp_path / "file") in line
