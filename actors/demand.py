"""How many containers one language has use for, and where that is going.

Two questions, asked before a container is started, since a start costs as much as a
hundred short jobs. Will those that wait still wait when it is ready? And: is the
demand rising, so that it will be wanted by then though nothing waits yet?
"""

from __future__ import annotations

import math
from collections import deque
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_S = 0.1
"""How often the demand is looked at while there is any."""
START_S = 1.0
"""What a start takes, as long as none has been seen."""
JOB_S = 0.05
"""And what a job takes."""
_SAMPLES = 30
_THIRD = _SAMPLES // 3
"""Of the three seconds that are remembered."""
_SMOOTHING = 0.3
_STARVED = 3


class Demand:
    """One language's."""

    def __init__(self) -> None:
        self._samples = deque([0] * _SAMPLES, maxlen=_SAMPLES)
        self._starved = 0
        """For how many samples now, one after the other, something has waited."""
        self._start_s = START_S
        self._job_s = JOB_S

    def start_took(self, seconds: float) -> None:
        """Note how long a container took to be ready."""
        self._start_s += (seconds - self._start_s) * _SMOOTHING

    def job_took(self, seconds: float) -> None:
        """Note how long a job held its slot."""
        self._job_s += (seconds - self._job_s) * _SMOOTHING

    def missing(self, waiting: int, ages: Sequence[float], present: int) -> int:
        """Return how many more containers would run what waits in the time of a start.

        With those it needs no other. ages: for how long the jobs that run have run, in
        seconds; what takes longer than was usual becomes usual. present: how many
        containers run them, or are cleaned after one.

        What has only begun to wait does not count yet. Where something has waited for
        as long as a start takes, all that waits counts: a broker hands out more
        whenever some has run.
        """
        if present and self._starved < _STARVED:
            return 0
        if self._starved * SAMPLE_S > self._start_s:
            return waiting
        job_s = max(self._job_s, fmean(ages) if ages else 0.0)
        return max(0, math.ceil(waiting * job_s / self._start_s) - present)

    def sample(self, containers: int, *, is_starved: bool) -> None:
        """Note how many have use now; to be called each `SAMPLE_S`.

        is_starved: whether a job waits for want of a container.
        """
        self._samples.append(containers)
        self._starved = self._starved + 1 if is_starved else 0

    @property
    def is_over(self) -> bool:
        """Whether there has been none for so long that nothing of it counts."""
        return not any(self._samples)

    def expected(self) -> int:
        """Return how many will have use when a container that starts now is ready.

        A trend is a rise that goes on: from the first to the second third of what has
        been seen, and again to the last. A step is none, nor is one that is over.
        """
        seen = list(self._samples)
        first, second, last = (
            sum(seen[at : at + _THIRD]) / _THIRD for at in range(0, _SAMPLES, _THIRD)
        )
        rise = max(0.0, min(second - first, last - second)) / (_THIRD * SAMPLE_S)
        if rise == 0:
            return seen[-1]
        ahead_s = self._start_s + _THIRD * SAMPLE_S / 2  # `last` is half a third old
        return max(seen[-1], math.ceil(last + rise * ahead_s))
