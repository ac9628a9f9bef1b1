from __future__ import annotations

import subprocess
import sys

import pytest

from hw import alsa

OPEN = """
import sys
from hw import HardwareError, alsa
if "silent" not in sys.argv:
    alsa.silence = lambda: None
try:
    alsa.Pcm("capture", "hw:CARD=Nobody")
except HardwareError as exc:
    print(exc)
"""


@pytest.mark.skipif(not alsa.is_installed(), reason="pyalsaaudio is not installed")
def test_alsa_lib_does_not_write_into_the_log() -> None:
    loud, silent = (
        subprocess.run([sys.executable, "-c", OPEN, *how], capture_output=True, text=True, timeout=20, check=True)
        for how in ([], ["silent"])
    )
    assert "ALSA lib" in loud.stderr
    assert silent.stderr == ""
    assert silent.stdout == loud.stdout != ""
