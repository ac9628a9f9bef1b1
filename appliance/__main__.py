"""`room-appliance`, and `python -m appliance`."""

from __future__ import annotations

import gc
import signal
import sys


def main() -> int:
    """The command line; gives the exit status."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # Ctrl-C while modules load ends at once, without a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # imports leave nothing to collect, looking for it is an eighth of the start; `process.run` enables it
    from appliance.cli import main as command

    signal.signal(signal.SIGINT, handler)
    return command()


if __name__ == "__main__":
    sys.exit(main())
