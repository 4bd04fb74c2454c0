"""A figure without a lock: all that is ours is one thread's work.

prometheus-client guards each figure with a lock, which gevent makes one of its own: to
take that and let go of it takes longer than to add, and a job changes some twenty.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import values


class PlainValue(values.MutexValue):
    """What prometheus-client keeps a figure in, where one process keeps its own.

    Nothing here yields to another greenlet between reading and writing.
    """

    def inc(self, amount: float) -> None:
        """Add to it."""
        self._value += amount

    def set(self, value: float, _timestamp: float | None = None) -> None:
        """Change it; who sets a time keeps figures in files."""
        self._value = value


def use() -> None:
    """Have every figure that is made from now on be such a one.

    Processes that share a port keep theirs in files, which have one lock in all.
    """
    made: Any = values
    if made.ValueClass is values.MutexValue:
        made.ValueClass = PlainValue
