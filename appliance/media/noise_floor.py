"""The level of a room when nobody talks. Pure; one `feed` each 10 ms."""

from __future__ import annotations

LOWEST_DBOV, HIGHEST_DBOV = -75.0, -40.0
_FALL = 0.1  # of the way down in each block
_RISE_DB = 0.02  # a block, which is 2 dB a second: talk is never so long without a pause


class NoiseFloor:
    """Falls with the pauses of talk, and rises slowly; -60 dBov before anything was heard."""

    def __init__(self) -> None:
        self.dbov = -60.0

    def feed(self, level_dbov: float) -> float:
        """Takes the level of a block, and gives the floor."""
        below_db = level_dbov - self.dbov
        step_db = _FALL * below_db if below_db < 0 else min(_RISE_DB, below_db)
        self.dbov = min(HIGHEST_DBOV, max(LOWEST_DBOV, self.dbov + step_db))
        return self.dbov
