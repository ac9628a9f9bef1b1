"""Factory reset: the unit forgets its owner, its settings and its secrets, and waits to be claimed again.

The claim code stays: it stands on the unit's label. A mark in the state directory makes the reset whole: a power cut in
its midst ends with the rest of it at the next start.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from appliance import tls
from appliance.atomic_file import write_atomically
from appliance.state_dir import TOKEN_SECRET_FILE
from provisioning import api_tokens, password, sessions

MARK = "factory-reset"
FORGOTTEN = (password.FILE_NAME, sessions.FILE_NAME, api_tokens.FILE_NAME, TOKEN_SECRET_FILE, tls.FILE_NAME)


def begin(state_dir: Path) -> None:
    """From now on the reset will happen, whatever happens. Raises OSError."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(state_dir / MARK, b"")


def is_begun(state_dir: Path) -> bool:
    return (state_dir / MARK).exists()


def finish(state_dir: Path, settings: Path, beside: Iterable[Path]) -> None:
    """Do it, or the rest of it. `settings` are emptied, files `beside` them removed. Raises OSError."""
    for path in (*beside, *(state_dir / name for name in FORGOTTEN)):
        with suppress(FileNotFoundError):
            path.unlink()
    write_atomically(settings, b"")
    (state_dir / MARK).unlink()
