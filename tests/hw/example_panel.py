"""The panel of examples/panel.py, on the far end of the wires in these tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

FILE = Path(__file__).parents[2] / "examples" / "panel.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_panel", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
