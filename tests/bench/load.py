"""Many clients of one way for some seconds, in a process of their own.

Run here as `python -m load`, or as `python -m gevent.monkey --module load` where the
clients are only sockets, so that each is a greenlet; else it is a thread. Reads what to
do from standard input and prints what came of it, both JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ways import PATCHED, WAYS, Site
from workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ways import Run


@dataclass(frozen=True, slots=True)
class Load:
    """What to do."""

    site: dict[str, Any]
    way: str
    workloads: list[str]
    """Each client runs them in turns, and begins with another one."""
    clients: int
    seconds: float
    """How long a client starts new jobs."""

    @property
    def argv(self) -> list[str]:
        """The command for a process that does this, run in this folder."""
        patch = ["-m", "gevent.monkey", "--module"] if self.way in PATCHED else ["-m"]
        return [sys.executable, *patch, "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of it."""

    jobs: int
    seconds: float
    """From the first start to the last end."""
    own_cpu_seconds: float
    """What the clients themselves used: it bounds what they can ask for."""
    children_cpu_seconds: float
    """What the processes used that they started; zero but for bare processes."""
    failures: list[str]
    """The first few."""


class Clients:
    """All clients, and what they have in common."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._done = itertools.count()
        self._failures: list[str] = []

    def run(self) -> Loaded:
        """Connect all, let them run, and count."""
        clients = [
            threading.Thread(target=self._client, args=(self._prepare(number),))
            for number in range(self._load.clients)
        ]
        started, cpu = time.monotonic(), time.process_time()
        self._deadline = started + self._load.seconds
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return Loaded(
            next(self._done),
            time.monotonic() - started,
            time.process_time() - cpu,
            children_cpu_seconds(),
            self._failures[:3],
        )

    def _prepare(self, number: int) -> list[Run]:
        load = self._load
        make, site = WAYS[load.way], Site(**load.site)
        turn = number % len(load.workloads)
        names = load.workloads[turn:] + load.workloads[:turn]
        return [make(site, WORKLOADS[name]) for name in names]

    def _client(self, runs: list[Run]) -> None:
        for run in itertools.cycle(runs):
            if time.monotonic() > self._deadline or self._failures:
                return
            try:
                run()
            except Exception as error:  # noqa: BLE001 - it ends the measurement
                self._failures.append(f"{type(error).__name__}: {error}")
                return
            next(self._done)


def rate(loads: Sequence[Loaded]) -> float:
    """Return the jobs a second of one load, in however many parts."""
    return sum(load.jobs for load in loads) / sum(load.seconds for load in loads)


def children_cpu_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def main() -> None:
    load = Load(**json.load(sys.stdin))
    print(json.dumps(asdict(Clients(load).run())))


if __name__ == "__main__":
    main()
