"""Where a unit keeps what it must remember: secrets, API tokens, the configuration in use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CONFIG_FILE = "config.toml"
DEMO_CONFIG_FILE = "demo.toml"
TOKEN_SECRET_FILE = "token-secret"
HUB_STORE_FILE = "hub.sqlite3"  # SQLite keeps files beside it


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """systemd's $STATE_DIRECTORY, else the XDG place of this user. Not created here."""
    if given := environ.get("STATE_DIRECTORY", "").partition(":")[0]:  # systemd joins several with ":"
        return Path(given)
    if base := environ.get("XDG_STATE_HOME", ""):
        return Path(base) / "room-appliance"
    return Path(environ.get("HOME") or "/root") / ".local" / "state" / "room-appliance"
