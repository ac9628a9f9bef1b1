"""The unit as a process: one composition after the other, and what outlives them."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from appliance import logs
from appliance.composing import Restart, keep_composed
from appliance.composition import Composition, Lasting
from appliance.config import Config
from appliance.config_store import ConfigStore
from appliance.drivers import hardware
from appliance.errors import ConfigError
from appliance.factory_reset import FactoryReset
from appliance.log_ring import LogRing
from appliance.media import aiortc_hooks
from appliance.own_network import OwnNetwork
from appliance.sdnotify import Notifier, passed_sockets
from appliance.server import DemoOwner
from appliance.serving import Listener


async def run(store: ConfigStore, *, state_dir: Path, is_demo: bool = False) -> None:
    """Be the unit until cancelled; then the room is left and everything freed within 2 s.

    Settings that keep it from running are taken back (`composing`). Raises `ConfigError` for what cannot be set up and
    `RestartsExceededError` when something fails again and again, where no better settings are known.
    """
    restart, notifier, log, listener = Restart(), Notifier(), LogRing(), None
    own_network = OwnNetwork(passed_sockets(), is_demo=is_demo)
    demo_owner = DemoOwner(state_dir) if is_demo else None
    reset = FactoryReset(state_dir, store, restart, own_network, log, demo_owner)
    lasting = Lasting(store, restart, reset, own_network, log, demo_owner)

    async def compose(config: Config) -> None:
        nonlocal listener
        devices = hardware(config)
        listener = _listener(config, listener)
        try:
            await Composition(config, devices, listener, state_dir, lasting).run(notifier)
        finally:
            listener.close()

    aiortc_hooks.install((), loopback=is_demo)  # the self-test runs the installed hooks
    await aiortc_hooks.self_test()
    store.check = hardware
    logs.add_handler(log)
    try:
        await reset.resume()
        await keep_composed(store, compose, restart)
    finally:
        logging.getLogger().removeHandler(log)
        notifier.stopping()
        await own_network.close()
        notifier.close()


def _listener(config: Config, last: Listener | None) -> Listener:
    """Where any free port will do, it stays the one of the last composition: pages come back to it."""
    host, port = config.web.host, config.web.port
    if port == 0 and last is not None and last.host == host:
        with suppress(ConfigError):
            return Listener(host, last.port)
    return Listener(host, port)
