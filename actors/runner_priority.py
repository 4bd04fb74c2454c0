"""The priority of a container's runner over the programs in it.

A job may keep as many processes at work as it is allowed to have, and the kernel shares
the container's time out among all of them. Whoever stops them must not wait for a turn:
so the runner and its launcher get a higher priority, which is for root on the engine's
host to give. What the launcher makes for a job goes back to the usual one by itself.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICE = -15
"""It changes who is next, within the container's share; nothing between containers."""
_PROC = Path("/proc")


def prefer_runner(pid: int, proc: Path = _PROC) -> None:
    """Give it to the runner with this pid, and to its only child, the launcher.

    Where that is refused everybody has the same, and waits for their turn.
    """
    children = proc / str(pid) / "task" / str(pid) / "children"
    with suppress(OSError):
        for process in (pid, *map(int, children.read_text().split())):
            os.setpriority(os.PRIO_PROCESS, process, NICE)
