"""Waits that have an end, without a timer for each.

Nearly all that is waited for is there long before its deadline, and to set up a timer
and take it away costs more than the wait. So those who wait stand in one list, which is
looked through twice a second.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent

if TYPE_CHECKING:
    from typing import Any

    from gevent.event import AsyncResult, Event

    Waited = Event | AsyncResult[Any]

LOOK_S = 0.5
"""A deadline is noticed so much later at most."""
EXACT_S = 2.0
"""A shorter wait has a timer of its own."""


class Deadlines:
    """Owns who waits until when. A short greenlet looks while there are some."""

    def __init__(self) -> None:
        self._until: dict[Waited, float | None] = {}
        """By what is waited for; None when that has been too long."""
        self._is_at_work = False

    def within(self, waited: Waited, seconds: float) -> bool:
        """Wait for it, alone; False when it has not come in time.

        It is set nevertheless then, without a value. What comes later changes that.
        """
        if seconds < EXACT_S:
            waited.wait(seconds)
            return bool(waited.ready())
        if waited.ready():
            return True
        self._until[waited] = time.monotonic() + seconds
        if not self._is_at_work:
            self._is_at_work = True
            gevent.spawn_raw(self._work)
        try:
            waited.wait()
        finally:
            until = self._until.pop(waited)
        return until is not None

    def _work(self) -> None:
        try:
            while self._until:
                gevent.sleep(LOOK_S)
                self._look()
        finally:
            self._is_at_work = False

    def _look(self) -> None:
        now = time.monotonic()
        for waited, until in self._until.items():
            if until is not None and until <= now:
                self._until[waited] = None
                waited.set()


DEADLINES = Deadlines()
"""Of this process, like the event loop."""
