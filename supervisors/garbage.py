"""Garbage is collected while nobody waits for it.

Python counts references; what it collects besides are cycles. A job leaves none, nor
does a request that is refused: `tests/service/test_cycles.py` counts them. But Python
would look for cycles whenever so many new objects are there, which is when thousands of
jobs come: a look at what those hold takes up to 0.2 s in which nobody is answered. So
the look is at rest, or soon after something was restarted: a dead actor is in a cycle
with all that it held. What else may be left is bounded, in objects and in memory.
"""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass
from pathlib import Path

import gevent

from metrics.live import LIVE

OBJECTS_MAX = 2_000_000
"""New objects that are looked at in any case; a thousand jobs and their connections
made 110,000."""
GROWTH_MAX = 512 * 2**20
"""Bytes of memory, likewise; ten thousand jobs take some 200 MiB."""
OBJECTS_WORTH_IT = 20_000
AT_REST = 0.1
"""The share of a core below which the process is at rest."""
EVERY_S = 1.0
SHARE_MAX = 0.05
"""How much of the time looks after restarts may take, however many there are."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def keep_collecting() -> None:
    """Collect once, never look again at what is there by now, and go on at rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_MAX)
    gevent.spawn(_watch)


@dataclass(frozen=True, slots=True)
class Since:
    """What has come since the last look."""

    seconds: float
    objects: int
    memory: int
    """By how many bytes the process has grown."""
    restarts: int


def is_due(since: Since, busy: float, took_s: float) -> bool:
    """Tell whether to look now.

    busy: the share of a core that the process has just taken. took_s: how long the last
    look took.
    """
    return (
        (busy < AT_REST and since.objects > OBJECTS_WORTH_IT)
        or since.memory > GROWTH_MAX
        or (since.restarts > 0 and took_s < SHARE_MAX * since.seconds)
    )


def _watch() -> None:
    looked_at, memory, restarts, took_s = time.monotonic(), _memory(), _restarts(), 0.0
    while True:
        used, slept_at = time.process_time(), time.monotonic()
        gevent.sleep(EVERY_S)
        now = time.monotonic()
        busy = (time.process_time() - used) / (now - slept_at)
        since = Since(
            now - looked_at,
            gc.get_count()[0],
            _memory() - memory,
            _restarts() - restarts,
        )
        if is_due(since, busy, took_s):
            gc.collect()
            looked_at, memory, restarts = time.monotonic(), _memory(), _restarts()
            took_s = looked_at - now


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _restarts() -> int:
    return sum(LIVE.restarts.values())
