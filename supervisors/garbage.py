"""Garbage is collected while nobody waits for it.

Python counts references; what it collects besides are cycles. A job leaves none, nor
does a request that is refused: `tests/service/test_garbage.py` counts them. But Python
would look for cycles whenever so many new objects are there, which is when thousands of
jobs come: a look at what those hold takes up to 0.2 s in which nobody is answered. So
the look is at rest. What failures leave, tracebacks and dead actors, can wait for it.
"""

from __future__ import annotations

import gc
import time

import gevent

OBJECTS_MAX = 2_000_000
"""New objects that are looked at in any case; ten thousand jobs make a million."""
OBJECTS_WORTH_IT = 20_000
AT_REST = 0.1
"""The share of a core below which the process is at rest."""
EVERY_S = 1.0


def keep_collecting() -> None:
    """Collect once, never look again at what is there by now, and go on at rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_MAX)
    gevent.spawn(_watch)


def _watch() -> None:
    while True:
        used, since = time.process_time(), time.monotonic()
        gevent.sleep(EVERY_S)
        share = (time.process_time() - used) / (time.monotonic() - since)
        if share < AT_REST and gc.get_count()[0] > OBJECTS_WORTH_IT:
            gc.collect()
