"""How full a bound is that clients share, told where it makes a difference."""

from __future__ import annotations

from metrics import instruments

STEP = 0.001
"""What is shown is true within so much. Each job makes a change that is smaller, and to
set a gauge takes longer than to reckon it."""


class Fill:
    """One bound's gauge, from 0 to 1."""

    __slots__ = ("_gauge", "_shown")

    def __init__(self, bound: str) -> None:
        self._gauge = instruments.bound_fill.labels(bound)
        self._shown = 0.0

    def show(self, fill: float) -> None:
        """Note how full it is now."""
        if not -STEP < fill - self._shown < STEP or (self._shown and not fill):
            self._shown = fill
            self._gauge.set(fill)
