"""Back-off as a pure value: attempts in, seconds out."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential from `first_s` to `max_s`, with jitter against herds.

    jitter: returns a factor for each delay; a constant in tests.
    """

    first_s: float = 0.2
    max_s: float = 30.0
    factor: float = 2.0
    jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2)  # noqa: S311

    def delay_s(self, attempts: int) -> float:
        """Return how long to wait after this many failures in a row (from 1)."""
        exponent = min(attempts - 1, 60)  # beyond that the power overflows
        grown = self.first_s * self.factor**exponent
        return min(grown, self.max_s) * self.jitter()
