"""The service with a count of its greenlets and its garbage, printed at SIGUSR1.

Run as `python tests/fuzz/census.py run.py serve ...`.
"""

from __future__ import annotations

import gc
import os
import runpy
import signal
import sys
from pathlib import Path

from greenlet import greenlet

HEAD = "census: greenlets "


def tell(*_: object) -> None:
    """Print how many objects nobody but each other held, and the living greenlets."""
    in_cycles = gc.collect()
    alive = sum(
        issubclass(type(one), greenlet) and not one.dead for one in gc.get_objects()
    )
    os.write(2, f"{HEAD}{alive}, objects in cycles {in_cycles}\n".encode())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    del sys.argv[0]
    sys.path[0] = str(Path.cwd())
    runpy.run_path(sys.argv[0], run_name="__main__")
