from __future__ import annotations

import subprocess
import sys


def test_nothing_is_in_the_way_of_the_imports() -> None:
    """The program as it is when the command line begins to be imported, and what NumPy does then."""
    program = """
import gc, os, sys
class Look:
    def find_spec(self, name, path, target=None):
        if name == "appliance.cli":
            ours = [each for each in sys.modules if each.startswith("appliance")]
            import numpy
            print(gc.isenabled(), len(os.listdir("/proc/self/task")), *sorted(ours), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Look())
from appliance.__main__ import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=False, text=True)
    assert (ended.stderr, ended.stdout) == ("", "False 1 appliance appliance.__main__ appliance.starting\n")
