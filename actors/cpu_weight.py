"""A container's CPU weight: its share of the processors while others want them too.

Docker gives all containers the same, whatever they are at. A scrub is a few
milliseconds of work that many programs would keep waiting for ten times as long, and
the next job waits for it. What wakes up in an idle container (an interpreter, a
compiler) is work for a job that has not come, and keeps those waiting that have. So the
kernel is told, by the container's control group: scrubs go before programs, and
programs before what only waits.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from actors.control_group import CGROUPS, places

PLACES = (*places("", "cpu.weight"), *places("cpu", "cpu.shares"))
"""In version 2 of control groups, and in 1."""
PREFERRED = 10
"""So many times the usual weight; the gateway's own is of this order."""
YIELDING = 0.1
"""So much of the usual weight."""
LEAST = 2
"""The kernel takes no less, in version 1."""


class CpuWeight:
    """The weight of one container, where it is within our reach.

    It isn't with an engine on another host, or where we aren't root: then nothing
    changes, and everybody waits for their turn.
    """

    def __init__(self, container_id: str, root: Path = CGROUPS) -> None:
        places = (root / place.format(container_id) for place in PLACES)
        file = next(filter(Path.exists, places), None)
        self._usual = 0
        self._times: float = 1
        """How many times the usual weight it has now."""
        self._fd = -1
        if file is not None:
            with suppress(OSError, ValueError):  # not ours, or no number
                self._usual = int(file.read_text())
                # Kept open: the way there takes most of the time of a write.
                self._fd = os.open(file, os.O_WRONLY)

    def prefer(self) -> None:
        """Let it go before those of usual weight."""
        self._set(PREFERRED)

    def give_way(self) -> None:
        """Let those of usual weight go before it."""
        self._set(YIELDING)

    def reset(self) -> None:
        """Give it the usual weight again, if it has another."""
        self._set(1)

    def close(self) -> None:
        """Leave it as it is from now on."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _set(self, times: float) -> None:
        if times == self._times or self._fd < 0:
            return
        with suppress(OSError):  # not ours to write, or gone with its container
            os.pwrite(self._fd, b"%d\n" % max(LEAST, self._usual * times), 0)
            self._times = times
