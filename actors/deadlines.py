"""Waits that have an end, without a timer for each.

Nearly all that is waited for is there long before its deadline, and to set up a timer
and take it away costs more than the wait. So those who wait stand in one list, which is
looked through twice a second.
"""

from __future__ import annotations

import time
from collections import OrderedDict
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
        self._until: dict[float, dict[Waited, float | None]] = {}
        """By how long the wait may be: so those who stand first are due first. None for
        one that was too long."""
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
        alike = self._until.setdefault(seconds, OrderedDict())
        alike[waited] = time.monotonic() + seconds
        if not self._is_at_work:
            self._is_at_work = True
            gevent.spawn_raw(self._work)
        try:
            waited.wait()
        finally:
            until = alike.pop(waited)
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
        for seconds, alike in list(self._until.items()):
            for waited, until in alike.items():
                if until is not None and until > now:
                    break
                alike[waited] = None
                waited.set()
            if not alike:
                del self._until[seconds]


DEADLINES = Deadlines()
"""Of this process, like the event loop."""
