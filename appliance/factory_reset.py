"""Factory reset: the unit forgets its owner, its settings and its secrets, and waits to be claimed again.

The claim code stays: it stands on the unit's label. A mark in the state directory makes the reset whole: a power cut in
its midst ends with the rest of it at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from appliance import tls
from appliance.atomic_file import write_atomically
from appliance.composing import Restart
from appliance.config_files import SaveError
from appliance.config_store import ConfigStore
from appliance.hub.log_store import DIRECTORY as HUB_LOGS
from appliance.hub.recordings import DIRECTORY as RECORDINGS
from appliance.hub.relay_layout import IMAGES
from appliance.log_ring import LogRing
from appliance.own_network import OwnNetwork
from appliance.server import DemoOwner
from appliance.setup_page import FINISHED_FILE
from appliance.state_dir import HUB_STORE_FILE, TOKEN_SECRET_FILE
from provisioning import api_tokens, claim, password, sessions
from provisioning.network import NetworkError

logger = logging.getLogger(__name__)

FORGET_S = 5.0  # for the network service to forget all networks
MARK = "factory-reset"
FORGOTTEN = (
    password.FILE_NAME,
    sessions.FILE_NAME,
    api_tokens.FILE_NAME,
    TOKEN_SECRET_FILE,
    tls.FILE_NAME,
    FINISHED_FILE,
    *(f"{HUB_STORE_FILE}{ending}" for ending in ("", "-wal", "-shm", "-journal")),
)


def begin(state_dir: Path) -> None:
    """From now on the reset will happen, whatever happens. Raises OSError."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(state_dir / MARK, b"")


def is_begun(state_dir: Path) -> bool:
    return (state_dir / MARK).exists()


def finish(state_dir: Path, settings: Path, beside: Iterable[Path]) -> None:
    """Do it, or the rest of it. `settings` are emptied, files `beside` them removed. Raises OSError."""
    for path in (*beside, *(state_dir / name for name in FORGOTTEN)):
        for one in (path, *path.parent.glob(f".{path.name}.*")):  # a write cut short leaves one of these
            with suppress(FileNotFoundError):
                one.unlink()
    for directory in (HUB_LOGS, RECORDINGS, IMAGES):
        if (state_dir / directory).exists():
            shutil.rmtree(state_dir / directory)
    write_atomically(settings, b"")
    (state_dir / MARK).unlink()


class FactoryReset:
    """Asked of a running unit; done between two compositions, while nothing of it runs. `demo_owner`: of a demo, whose
    owner is in memory."""

    def __init__(
        self,
        state_dir: Path,
        store: ConfigStore,
        restart: Restart,
        own_network: OwnNetwork,
        log: LogRing,
        demo_owner: DemoOwner | None,
    ) -> None:
        self._state_dir = state_dir
        self._store = store
        self._restart = restart
        self._own_network = own_network
        self._log = log
        self._demo_owner = demo_owner

    async def ask(self) -> None:
        """Raises `SaveError` when nothing can be written."""
        try:
            await asyncio.to_thread(begin, self._state_dir)
        except OSError as exc:
            raise SaveError(f"{self._state_dir / MARK}: no reset: {exc.strerror}") from exc
        logger.warning("factory reset")
        self._restart.before = self._do
        self._restart.ask()

    async def resume(self) -> None:
        """At start: the rest of a reset that was cut short. Raises `ClaimError`."""
        if await asyncio.to_thread(is_begun, self._state_dir):
            if self._demo_owner is None:
                self._own_network.network((await asyncio.to_thread(claim.load_or_create, self._state_dir)).key)
            await self._do()

    async def _do(self) -> None:
        self._log.forget()
        await self._forget_networks()
        settings, *beside = self._store.files
        try:
            await asyncio.to_thread(finish, self._state_dir, settings, beside)
        except OSError as exc:
            logger.error("%s: the factory reset goes on at the next start: %s", exc.filename, exc.strerror)
        if self._demo_owner is not None:
            await asyncio.to_thread(self._demo_owner.forget)

    async def _forget_networks(self) -> None:
        network = self._own_network.current
        if network is None:
            return
        try:
            async with asyncio.timeout(FORGET_S):
                for ssid in await network.known():
                    await network.forget(ssid)
        except (NetworkError, TimeoutError) as exc:
            logger.warning("known networks stay known: %s", exc or "no answer")
