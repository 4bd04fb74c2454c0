"""Who goes on at once with what it asks, and who lets others go first.

One thread answers everybody, and the event loop takes whoever has something for it in
the order in which that came. So a client that opens hundreds of connections at once, or
sends without a pause on many, would be ahead of another's only request so many times.
Where there are several clients, each begins a few things in a moment, as mostly all do
that there are; what goes beyond waits for the client's turn (turns.py). Who is alone is
never held up.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.turns import Turns

AT_ONCE_MAX = 4
WINDOW_S = 0.005
"""So many connections and requests of a client begin, or go on, in so long a time as
they come."""


class Fairness:
    """Owns who has begun how much just now."""

    def __init__(self, turns: Turns, now: Callable[[], float] = time.monotonic) -> None:
        self._turns = turns
        self._now = now
        self._window_began = 0.0
        self._begun: dict[str, int] = {}
        self._waiting: Counter[str] = Counter()

    def enter(self, client: str) -> None:
        """Begin with a connection or a request, mostly at once."""
        if self._is_much(client):
            self._wait(client)

    def give_way(self, client: str) -> None:
        """Let others go before the client goes on with what it has begun.

        Empty where nobody knows yet whose it is: so many don't share one's turn.
        """
        if client and self._is_much(client):
            self._wait(client)
        else:
            gevent.sleep(0)

    def _is_much(self, client: str) -> bool:
        """Tell whether this is more, beside others, than a client begins at once."""
        self._turns.note(client)
        return not (self._turns.is_alone(client) or self._are_few(client))

    def _wait(self, client: str) -> None:
        self._waiting[client] += 1
        try:
            self._turns.wait(client)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def _are_few(self, client: str) -> bool:
        now = self._now()
        if now - self._window_began > WINDOW_S:
            self._window_began = now
            self._begun.clear()
        self._begun[client] = begun = self._begun.get(client, 0) + 1
        return begun <= AT_ONCE_MAX and client not in self._waiting
