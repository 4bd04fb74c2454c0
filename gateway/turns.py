"""Turns for who has much to send: clients one after the other, when nobody else is due.

All of a process is one thread's work, and gevent would let everybody who can always run
have his turn before it looks at what has come. So who has a long answer to encode, or
news for a crowd, waits here: a short turn is given when the event loop is at rest, or
when it has not been for a while, and then to one client after the other, whatever they
have open.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_S = 0.0003
"""Enough for one piece of a long answer, or for a handful of streams."""
REST_S = 0.001
"""Between turns: so they take a third of the thread at most."""
PATIENCE_S = 0.005
"""For how long the event loop may be busy before a turn is given nevertheless."""
AROUND_S = 1.0
"""For so long after another client has begun something nobody is alone."""
AT_ONCE_MAX = 32
WINDOW_S = 0.005
"""So many streams in so long a time get their news without a turn: mostly all."""


class Turns:
    """Owns who waits for a turn. One short greenlet gives them while there are some."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last = ""
        self._others_until = 0.0
        self._waiting: OrderedDict[str, deque[Callable[[], object]]] = OrderedDict()
        """By client; who stands first is next."""
        self._is_at_work = False
        self._window_began = 0.0
        self._woken = 0
        self.taken = 0
        """How many have been given."""

    def note(self, client: str) -> None:
        """Note that the client begins something."""
        if client != self._last:
            if self._last:
                self._others_until = self._now() + AROUND_S
            self._last = client

    def is_alone(self, client: str) -> bool:
        """Tell whether nobody else has begun anything for a while."""
        return client == self._last and self._now() >= self._others_until

    def wait(self, client: str) -> None:
        """Wait for a turn of this client's."""
        if not self._waiting and self.is_alone(client):
            gevent.sleep(0)
            return
        came = Event()
        self._add(client, came.set)
        came.wait()

    def wake(self, client: str, wake: Callable[[], object]) -> None:
        """Call this at once if few are woken just now, else in the client's turn.

        It must neither block nor raise.
        """
        if client not in self._waiting and self._are_few():
            wake()
        else:
            self._add(client, wake)

    def _are_few(self) -> bool:
        now = self._now()
        if now - self._window_began > WINDOW_S:
            self._window_began, self._woken = now, 0
        self._woken += 1
        return self._woken <= AT_ONCE_MAX

    def _add(self, client: str, wake: Callable[[], object]) -> None:
        self._waiting.setdefault(client, deque()).append(wake)
        if not self._is_at_work:
            self._is_at_work = True
            gevent.spawn_raw(self._work)

    def _work(self) -> None:
        try:
            while self._waiting:
                gevent.sleep(REST_S)
                self._wait_for_rest()
                self._give()
        finally:
            self._is_at_work = False

    def _wait_for_rest(self) -> None:
        gevent.with_timeout(PATIENCE_S, gevent.idle, timeout_value=None)

    def _give(self) -> None:
        """Let one after the other run, up to its next wait, until the turn is over."""
        end = time.monotonic() + TURN_S
        while self._waiting:
            self.taken += 1
            self._next()()
            gevent.sleep(0)
            if time.monotonic() >= end:
                return

    def _next(self) -> Callable[[], object]:
        client, wakes = self._waiting.popitem(last=False)
        wake = wakes.popleft()
        if wakes:
            self._waiting[client] = wakes  # behind all others
        return wake
