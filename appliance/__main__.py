"""`room-appliance`, and `python -m appliance`."""

from __future__ import annotations

import signal
import sys

from appliance import starting


def main() -> int:
    """The command line; gives the exit status."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # Ctrl-C while modules load ends at once, without a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    starting.prepare()
    from appliance.cli import main as command

    signal.signal(signal.SIGINT, handler)
    return command()


if __name__ == "__main__":
    sys.exit(main())
