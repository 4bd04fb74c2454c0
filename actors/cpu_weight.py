"""A container's CPU weight: its share of the processors while others want them too.

Docker gives all containers the same. A scrub is a few milliseconds of work that many
programs would keep waiting for ten times as long, and the next job waits for it. So the
kernel is told, by the container's control group, to let it go before programs.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PLACES = (
    "docker/{}/cpu.weight",
    "system.slice/docker-{}.scope/cpu.weight",
    "cpu/docker/{}/cpu.shares",
    "cpu/system.slice/docker-{}.scope/cpu.shares",
)
"""Where Docker keeps it: in version 2 of control groups and in 1, without and with
systemd."""
PREFERRED = 10
"""So many times the usual weight; the gateway's own is of this order."""


class CpuWeight:
    """The weight of one container, where it is within our reach.

    It isn't with an engine on another host, or where we aren't root: then nothing
    changes, and scrubs wait for their turn like everybody.
    """

    def __init__(self, container_id: str, root: Path = CGROUPS) -> None:
        places = (root / place.format(container_id) for place in PLACES)
        self._file = next(filter(Path.exists, places), None)
        self._usual = 0
        self._is_preferred = False
        if self._file is not None:
            with suppress(OSError, ValueError):
                self._usual = int(self._file.read_text())

    def prefer(self) -> None:
        """Let it go before those of usual weight."""
        self._is_preferred = True
        self._set(self._usual * PREFERRED)

    def reset(self) -> None:
        """Give it the usual weight again, if it has another."""
        if self._is_preferred:
            self._is_preferred = False
            self._set(self._usual)

    def _set(self, weight: int) -> None:
        if self._file is None or not weight:
            return
        with suppress(OSError):  # not ours to write, or gone with its container
            # Twice a job: a file object would take three times as long.
            fd = os.open(self._file, os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(fd, b"%d" % weight)
            finally:
                os.close(fd)
