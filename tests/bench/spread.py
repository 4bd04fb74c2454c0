"""Medians over rounds, with how far the rounds lie apart."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure of several rounds."""

    median: float
    low: float
    high: float


def spread(rounds: Sequence[float]) -> Spread:
    """Return the median of at least one round, the lowest and the highest."""
    return Spread(statistics.median(rounds), min(rounds), max(rounds))


def percentile(values: Sequence[float], share: float) -> float:
    """Return what this share of the values does not exceed; NaN without any."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return each whole round's ratio: the machine's mood is the same in both."""
    return [mine / other for mine, other in zip(ours, theirs, strict=False)]
