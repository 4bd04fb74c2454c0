"""The service with a count of its greenlets, which it prints at SIGUSR1.

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
    """Print how many greenlets are alive."""
    alive = sum(
        issubclass(type(one), greenlet) and not one.dead for one in gc.get_objects()
    )
    os.write(2, f"{HEAD}{alive}\n".encode())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    del sys.argv[0]
    sys.path[0] = str(Path.cwd())
    runpy.run_path(sys.argv[0], run_name="__main__")
