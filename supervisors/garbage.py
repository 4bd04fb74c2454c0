"""Garbage is collected while nobody waits for it.

Python counts references; what it collects besides are cycles. A job leaves none, nor
does a request that is refused: `tests/service/test_cycles.py` counts them. But Python
would look for cycles whenever so many new objects are there, which is when thousands of
jobs come: a look at what those hold takes up to 0.2 s in which nobody is answered. So
the look is at rest. What failures leave, tracebacks and dead actors, can wait for it;
what somebody may find out to leave a lot of is bounded, in objects and in memory.
"""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import gevent

OBJECTS_MAX = 2_000_000
"""New objects that are looked at in any case; ten thousand jobs make a million."""
GROWTH_MAX = 512 * 2**20
"""Bytes of memory, likewise; ten thousand jobs take some 200 MiB."""
OBJECTS_WORTH_IT = 20_000
AT_REST = 0.1
"""The share of a core below which the process is at rest."""
EVERY_S = 1.0

_PAGE = os.sysconf("SC_PAGE_SIZE")


def keep_collecting() -> None:
    """Collect once, never look again at what is there by now, and go on at rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_MAX)
    gevent.spawn(_watch)


def is_due(objects: int, busy: float, growth: int) -> bool:
    """Tell whether to look now.

    objects: new ones since the last look. busy: the share of a core that the process
    has just taken. growth: of its memory since the last look, in bytes.
    """
    at_rest = busy < AT_REST and objects > OBJECTS_WORTH_IT
    return at_rest or growth > GROWTH_MAX


def _watch() -> None:
    looked_at = _memory()
    while True:
        used, since = time.process_time(), time.monotonic()
        gevent.sleep(EVERY_S)
        busy = (time.process_time() - used) / (time.monotonic() - since)
        if is_due(gc.get_count()[0], busy, _memory() - looked_at):
            gc.collect()
            looked_at = _memory()


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
