"""What is set before the program imports itself; this file must not import any of it."""

from __future__ import annotations

import gc
import os


def prepare() -> None:
    """Makes imports quick. `process.run` enables the garbage collector again."""
    gc.disable()  # imports leave nothing to collect, and looking for it is an eighth of the start
    # NumPy's BLAS starts a thread for each further core, which spins for 50 ms: a core that others need at a start.
    # Nothing here multiplies matrices so large that a second thread would help.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
