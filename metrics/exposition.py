"""What Prometheus reads: made in short steps, and for several readers at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from metrics.shared import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST
STEP_S = 0.001
"""Of work, after which others have their turn."""
REST = 10
"""So many times as long as the figures took to make, no new ones are made: who asks
meanwhile waits for them, with all others who do."""


class Exposition:
    """Owns the one greenlet that makes the figures, while there is somebody who waits.

    give_way: lets others have their turn.
    """

    def __init__(self, give_way: Callable[[], object]) -> None:
        self._give_way = give_way
        self._next: gevent.Greenlet[[], bytes] | None = None
        self._not_before = 0.0

    def text(self) -> bytes:
        """Return the figures as they stand after this was asked."""
        if self._next is None:
            self._next = gevent.spawn(self._make)
        return self._next.get()

    def _make(self) -> bytes:
        gevent.sleep(max(0.0, self._not_before - time.monotonic()))
        self._next = None  # who asks from now on wants newer figures
        pieces, took_s = [], 0.0
        began = time.monotonic()
        for family in shown().collect():
            pieces.append(generate_latest(_One(family)))
            step_s = time.monotonic() - began
            if step_s > STEP_S:
                took_s += step_s
                self._give_way()
                began = time.monotonic()
        took_s += time.monotonic() - began
        self._not_before = time.monotonic() + REST * took_s
        return b"".join(pieces)


class _One(Collector):
    """A family by itself, as a registry has it."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        """Yield it."""
        yield self._family
