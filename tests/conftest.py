"""For all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says more about what else runs here than about the code; a hang meets pytest-timeout.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
