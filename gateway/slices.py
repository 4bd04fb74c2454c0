"""Long work in short slices: all requests are work of one thread."""

from __future__ import annotations

import time

import gevent

TURN_S = 0.001
"""For how long one request has the thread for itself, more or less."""
PIECE_BYTES = 65536
"""What is done in one go: mostly less than a turn."""


class Slices:
    """One request's slices of the time; the first begins with it."""

    __slots__ = ("_began",)

    def __init__(self) -> None:
        self._began = time.monotonic()

    def give_way(self) -> None:
        """Let others have their turn when this one is over."""
        if time.monotonic() - self._began > TURN_S:
            gevent.sleep(0)
            self._began = time.monotonic()
