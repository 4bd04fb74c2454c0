"""Jobs of the last minute: how many in each second, and how long they had waited.

Waiting times are counted in bins that grow by a fixed factor, so that a busy minute
costs no more memory than a quiet one, and a percentile is right within that factor.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 60
FACTOR = 1.2
FIRST_MS = 0.05
"""The first bin holds whatever waited no longer."""
BINS_MAX = 100
"""The last one begins at an hour."""


@dataclass(slots=True)
class Second:
    """One second's jobs. `number` is its place in the clock's count."""

    number: int
    jobs: int = 0
    ours: int = 0
    """How many of them ended as internal errors."""
    waits: Counter[int] = field(default_factory=Counter)
    """How many had waited how long, by bin."""


class LastMinute:
    """One language's last minute. Its clock is who counts."""

    def __init__(self) -> None:
        self._seconds: deque[Second] = deque(maxlen=SECONDS)

    def add(self, now: float, wait_ms: float | None, *, ours: bool) -> None:
        """Count a job that has ended; `wait_ms` is None when it never got its turn."""
        number = int(now)
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(Second(number))
        second = self._seconds[-1]
        second.jobs += 1
        second.ours += ours
        if wait_ms is not None:
            second.waits[bin_of(wait_ms)] += 1

    def seconds(self, now: float) -> list[Second]:
        """Return the last 60 whole seconds, the oldest first.

        The one that has just begun is left out: it would look like a fall.
        """
        by_number = {second.number: second for second in self._seconds}
        last = int(now)
        return [by_number.get(n) or Second(n) for n in range(last - SECONDS, last)]


def bin_of(milliseconds: float) -> int:
    """Return the bin of a time."""
    if milliseconds <= FIRST_MS:
        return 0
    return min(BINS_MAX, math.ceil(math.log(milliseconds / FIRST_MS, FACTOR)))


def percentile(waits: Counter[int], share: float) -> float | None:
    """Return the milliseconds that this share of the jobs did not exceed."""
    left = waits.total() * share
    if not left:
        return None
    for number in sorted(waits):
        left -= waits[number]
        if left <= 0:
            break
    return round(FIRST_MS * FACTOR**number, 2)


def together(minutes: Iterable[list[Second]]) -> list[Second]:
    """Return the sum of several, second by second."""
    total: dict[int, Second] = {}
    for second in (one for minute in minutes for one in minute):
        known = total.setdefault(second.number, Second(second.number))
        known.jobs += second.jobs
        known.ours += second.ours
        known.waits.update(second.waits)
    return [total[number] for number in sorted(total)]
