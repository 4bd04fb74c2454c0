"""The service under attack: what it holds of its machine, and what it logs."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import NamedTuple

from census import HEAD
from service_process import ServiceProcess, wait_until

LANGUAGES = ("python", "bash", "c")
WARM = 2
SETTINGS = {
    "languages": ",".join(LANGUAGES),
    "pool__warm": WARM,
    "pool__max": WARM,
    "running_max": 4,
    "result_ttl_s": 5,
    "caps__wall_time_s": 5,
    "caps__cpu_time_s": 5,
    "http__body_timeout_s": 4,
}
COUNT_S = 30
_COUNT = re.compile(re.escape(HEAD) + r"(\d+)")
_TROUBLE = re.compile(r"Traceback|Error\b|\bERROR\b|\bCRITICAL\b|Invalid request")


class Holdings(NamedTuple):
    """What the service holds."""

    memory_mb: int
    descriptors: int
    containers: int
    children: int
    greenlets: int


def change(before: Holdings, after: Holdings) -> str:
    """Return both, in words."""
    figures = [
        f"{name} {one} -> {other}"
        for name, one, other in zip(before._fields, before, after, strict=True)
    ]
    return "; ".join(figures).replace("memory_mb", "memory in MB")


class Victim(ServiceProcess):
    """A service whose greenlets can be counted, and whose log is read to its end."""

    program = ("tests/fuzz/census.py", "run.py")

    def __init__(self) -> None:
        self._log_read = 0
        self._counts: list[int] = []
        self.troubles: list[str] = []
        """Lines of the log that tell of a bug, or that a client may write at will."""
        super().__init__(**SETTINGS)

    def holdings(self) -> Holdings:
        """Look from outside, and ask for what can't be seen from there."""
        pid = self.process.pid
        root = Path(f"/proc/{pid}")
        pages = int((root / "statm").read_text().split()[1])
        children = (root / f"task/{pid}/children").read_text().split()
        return Holdings(
            pages * os.sysconf("SC_PAGE_SIZE") >> 20,
            len(list((root / "fd").iterdir())),
            len(self.containers()),
            len(children),
            self._greenlets(),
        )

    def _greenlets(self) -> int:
        self.read_log()
        before = len(self._counts)
        self.process.send_signal(signal.SIGUSR1)

        def counted() -> bool:
            self.read_log()
            return len(self._counts) > before

        wait_until(counted, COUNT_S, "the greenlets are counted")
        return self._counts[-1]

    def read_log(self) -> None:
        """Take in what the service has printed since the last time."""
        new = self.log_from(self._log_read)
        lines, end, _ = new.rpartition(b"\n")
        self._log_read += len(lines) + len(end)
        for line in lines.decode(errors="replace").splitlines():
            found = _COUNT.match(line)
            if found:
                self._counts.append(int(found[1]))
            elif _TROUBLE.search(line):
                self.troubles.append(line)
