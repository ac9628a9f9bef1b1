"""The command `room-appliance`.

Exit status: 0 done, 1 failed, 2 wrong usage or configuration. What went wrong stands on stderr and says what to do: one
line, and with a configuration one line for each key.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from appliance import __version__, logs, process
from appliance.addresses import EVERYWHERE
from appliance.config import Config, load
from appliance.config_store import ConfigStore
from appliance.demo import DemoOptions, demo_keys
from appliance.errors import ApplianceError, ConfigError, RtcError
from appliance.state_dir import CONFIG_FILE, DEMO_CONFIG_FILE, TOKEN_SECRET_FILE, state_dir
from hw import HardwareError
from provisioning.api_tokens import ApiTokenError, ApiTokens
from provisioning.claim import ClaimError

logger = logging.getLogger(__name__)

# The media libraries take a second to import: only the commands that need them do, inside their functions.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status. argparse itself exits with 2, or 0 after --help and --version."""
    options = _parser().parse_args(arguments)
    logs.set_up(options.verbose)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ConfigError as exc:
        return _failed(str(exc), 2)
    except ClaimError as exc:
        return _failed(str(exc), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except BaseExceptionGroup as group:
        logger.debug("failed", exc_info=group)
        return _failed("; ".join(_words(exc) for exc in _leaves(group)), 1)
    except Exception as exc:
        logger.debug("failed", exc_info=exc)
        return _failed(_words(exc), 1)


def _run(options: argparse.Namespace) -> int:
    from appliance import app

    store = ConfigStore(_config_file(options) or state_dir() / CONFIG_FILE, must_exist=options.config is not None)
    process.run(lambda: app.run(store, state_dir=state_dir()))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from appliance import app

    if options.camera and options.camera.startswith("/dev/"):
        if not Path(options.camera).exists():
            raise ConfigError(f"--camera {options.camera}: there is no such device")
    elif options.camera:
        _look_into(options.camera, "--camera", "video")
    if options.microphone:
        _look_into(options.microphone, "--microphone", "audio")
    demo = DemoOptions(port=options.port, camera=options.camera, microphone=options.microphone)
    store = ConfigStore(state_dir() / DEMO_CONFIG_FILE, fixed=demo_keys(demo))
    process.run(lambda: app.run(store, state_dir=state_dir(), is_demo=True))
    return 0


def _look_into(file: str, option: str, kind: Literal["video", "audio"]) -> None:
    """Whoever types a file that cannot be played wants to know now, not find a call without a camera."""
    from hw.films import Film

    try:
        film = Film(file, kind)
        film.next()
    except HardwareError as exc:
        raise ConfigError(f"{option}: {exc}; give a media file with {kind} in it") from exc
    film.close()


def _hub(options: argparse.Namespace) -> int:
    from appliance import lone_hub

    config = _config(options)
    process.run(lambda: lone_hub.run_hub(config, state_dir=state_dir()))
    return 0


def _token(options: argparse.Namespace) -> int:
    from appliance.hub.token_secret import load_or_create_secret
    from appliance.hub.tokens import TokenSigner

    config = _config(options)
    ttl_s = config.hub.token_ttl if options.ttl is None else options.ttl
    signer = TokenSigner(load_or_create_secret(state_dir() / TOKEN_SECRET_FILE))
    try:
        token = signer.sign(
            options.user, options.room, options.role, options.name, ttl_s, time.time(), moderator=options.moderator
        )
    except RtcError as exc:
        raise ConfigError(f"token: {exc}") from exc
    print(token)
    print(f"{(options.url or _web_address(config)).rstrip('/')}/join/{options.room}#token={token}")
    return 0


def _token_secret(options: argparse.Namespace) -> int:
    from appliance.hub import token_secret

    file, now_s = state_dir() / TOKEN_SECRET_FILE, time.time()
    if options.rotate:
        keep_s = _config(options).hub.token_ttl if options.keep is None else options.keep
        keys = token_secret.rotate(file, keep_s, now_s)
    elif options.forget_previous:
        keys = token_secret.forget_previous(file)
    else:
        keys = token_secret.load_or_create_keys(file)
    if len(keys.good(now_s)) > 1:
        until = datetime.fromtimestamp(keys.previous_until, UTC).isoformat(timespec="seconds")
        print(f"tokens of the secret before this one are good until {until} at most")
    else:
        print("only tokens of the present secret are good")
    return 0


def _api_token(options: argparse.Namespace) -> int:
    tokens = ApiTokens(state_dir())
    try:
        if options.list:
            for one in tokens.stored():
                print(f"{one.id}  {one.scope:7}  {one.last_used or 'never used':25}  {one.name}")
        elif options.revoke:
            if not tokens.revoke(options.revoke):
                return _failed(f"there is no API token {options.revoke!r}; --list shows them", 1)
        else:
            print(tokens.create(options.label, options.scope)[1])
    except ApiTokenError as exc:
        return _failed(str(exc), 1)
    return 0


def _claim_code(options: argparse.Namespace) -> int:
    from provisioning import claim, label

    address = _web_address(_config(options), local=True)
    known = claim.load_or_create(state_dir())
    page, wifi = label.page_qr(known, address), label.wifi_qr(known)
    for option, file, code in (("--qr", options.qr, page), ("--wifi-qr", options.wifi_qr, wifi)):
        if file is None:
            continue
        try:
            label.save(code, file)
        except ValueError as exc:
            return _failed(f"{option} {exc}", 2)
    print(label.as_text(known, address), end="")
    if options.terminal:
        print(f"\nset-up page\n{label.draw(page)}\nset-up Wi-Fi\n{label.draw(wifi)}", end="")
    return 0


def _check(options: argparse.Namespace) -> int:
    from appliance.drivers import hardware

    config = load(options.file)
    try:
        hardware(config)  # refuses what is well written and cannot be had
    except ConfigError as exc:
        raise ConfigError(f"{options.file}: {exc}") from exc
    print(f"{options.file}: good")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from appliance import doctor

    return doctor.run(_config_file(options), state_dir(), as_json=options.json, interaction=not options.no_interaction)


def _config_file(options: argparse.Namespace) -> Path | None:
    """The file of --config, else the one in the state directory, if it is there."""
    if options.config is not None:
        return Path(options.config)
    file = state_dir() / CONFIG_FILE
    return file if file.exists() else None


def _config(options: argparse.Namespace) -> Config:
    file = _config_file(options)
    return Config() if file is None else load(file)


def _web_address(config: Config, *, local: bool = False) -> str:
    """Where a browser finds this unit: by its name, or its mDNS name, when it listens on every address."""
    everywhere = config.web.host in EVERYWHERE
    name = socket.gethostname()
    host = (f"{name.partition('.')[0]}.local" if local else name) if everywhere else config.web.host
    host = f"[{host}]" if ":" in host else host
    return f"{'http' if config.web.tls == 'off' else 'https'}://{host}:{config.web.port}"


def _failed(message: str, status: int) -> int:
    for line in message.splitlines():
        print(f"room-appliance: {line}", file=sys.stderr)
    return status


def _words(error: BaseException) -> str:
    """One line; an error that nobody meant to show names its class and how to see more."""
    text = " ".join(str(error).split())
    if isinstance(error, (ApplianceError, HardwareError)):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else text
    return f"{type(error).__name__}: {text}; run it with --verbose to see where"


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError
    return port


def _seconds(text: str) -> int:
    seconds = int(text)
    if not 1 <= seconds <= 10 * 366 * 86_400:
        raise ValueError
    return seconds


def _seconds_or_none(text: str) -> int:
    return 0 if text == "0" else _seconds(text)


_port.__name__ = "port"  # argparse shows it: invalid port value: '99999'
_seconds.__name__ = _seconds_or_none.__name__ = "number of seconds"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("room-appliance", description="A room kiosk or an intercom.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--verbose", action="store_true", help="log everything this program does")
    configured = argparse.ArgumentParser(add_help=False, parents=[common])
    configured.add_argument("--config", metavar="FILE", help="TOML file; default: config.toml in the state directory")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], int], help: str, base: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help, parents=[base], allow_abbrev=False)
        command.set_defaults(command=run)
        return command

    add("run", _run, "Run the unit as its configuration says.", configured)

    demo = add("demo", _demo, "Run on mock hardware with a hub of its own, for this computer only.", common)
    demo.add_argument("--port", type=_port, default=8080, metavar="N", help="port on 127.0.0.1 (default 8080; 0: any)")
    demo.add_argument("--camera", metavar="FILE|/dev/videoN", help="media file or video device to show")
    demo.add_argument("--microphone", metavar="FILE", help="media file to play")

    add("hub", _hub, "Run the hub alone.", configured)

    token = add("token", _token, "Print a room token and the link that carries it.", configured)
    token.add_argument("--room", required=True, metavar="R", help="the room it opens")
    token.add_argument("--user", default="", metavar="U", help="the user it is for; without: any number of guests")
    token.add_argument("--name", default="", metavar="NAME", help="the name that others see")
    token.add_argument("--role", choices=("host", "audience"), default="host", help="default host")
    token.add_argument("--moderator", action="store_true", help="a host with it may mute, put out and ban others")
    token.add_argument("--ttl", type=_seconds, metavar="S", help="how long it is good (default: [hub] token_ttl)")
    token.add_argument("--url", metavar="URL", help="address of the hub's page, when browsers use another one")

    secret = add("token-secret", _token_secret, "Change the secret that signs room tokens.", configured)
    change = secret.add_mutually_exclusive_group()
    change.add_argument("--rotate", action="store_true", help="make a new one; the old one is good a while longer")
    change.add_argument("--forget-previous", action="store_true", help="let no token of the old one in any more")
    secret.add_argument(
        "--keep", type=_seconds_or_none, metavar="S", help="with --rotate: how long (default: [hub] token_ttl; 0: not)"
    )

    api_token = add("api-token", _api_token, "Make a token for the HTTP API and print it, once.", common)
    api_token.add_argument("--label", default="", help="what it is for")
    api_token.add_argument("--scope", choices=("read", "control", "admin"), default="admin", help="default admin")
    api_token.add_argument("--list", action="store_true", help="show the tokens there are, without their secrets")
    api_token.add_argument("--revoke", metavar="ID", help="end a token; a running unit refuses it from now on")

    claim_code = add("claim-code", _claim_code, "Print what stands on this unit's label: its claim code.", configured)
    claim_code.add_argument("--qr", type=Path, metavar="FILE", help="write the set-up page's QR code: .svg or .png")
    claim_code.add_argument("--wifi-qr", type=Path, metavar="FILE", help="write the set-up network's QR code")
    claim_code.add_argument("--terminal", action="store_true", help="draw both QR codes here")

    check = add("check", _check, "Say what is wrong in a configuration file.", common)
    check.add_argument("file", type=Path, metavar="FILE")

    doctor_ = add("doctor", _doctor, "Look for what would keep this unit from working.", configured)
    doctor_.add_argument("--json", action="store_true", help="print JSON (docs/doctor.md), ask nothing")
    doctor_.add_argument("--no-interaction", action="store_true", help="ask nobody to look, listen or press")
    return parser
