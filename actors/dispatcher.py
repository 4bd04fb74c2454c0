"""The dispatcher: gives the actors that have mail their turns, in one greenlet.

A greenlet for each actor would have to be switched to for each message, which takes
longer than most handlers do. A handler never waits; one that does all the same keeps
nobody else from his turn, only its own actor.
"""

from __future__ import annotations

from collections import deque
from queue import Empty
from typing import TYPE_CHECKING, Any

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS_MAX = 50
"""In a row; then whoever else can run has his turn. One is a mailbox, however full."""


class Dispatcher:
    """Owns who is due, and the greenlet that does their work.

    One round is the work of all that were due when it began. Who becomes due by it has
    his turn in the next one: so requests and actors alternate.
    """

    def __init__(self) -> None:
        self._due: deque[Callable[[], object]] = deque()
        self._worker: Any = None
        self._is_at_work = False
        self._is_called = False

    def add(self, work: Callable[[], object]) -> None:
        """Have this called soon, once."""
        self._due.append(work)
        self._call()

    def _call(self) -> None:
        if not self._is_called:
            self._is_called = True
            gevent.get_hub().loop.run_callback(self._go_on)

    def _go_on(self) -> None:
        """Have the next round done; in the event loop, which must not wait."""
        self._is_called = False
        if not self._due:
            return
        worker = self._worker
        if worker is None or worker.dead or self._is_at_work:
            # The one before waits in a handler, or has died.
            self._is_called = True
            self._worker = gevent.spawn_raw(self._work)
        else:
            worker.switch()

    def _work(self) -> None:
        me, hub = gevent.getcurrent(), gevent.get_hub()
        while True:
            self._is_called, self._is_at_work = False, True
            if len(self._due) > 1:
                self._call()  # or else who is due now would wait with a handler
            for _ in range(min(len(self._due), TURNS_MAX)):
                self._due.popleft()()
                if self._worker is not me:
                    return  # another one has taken over meanwhile
            self._is_at_work = False
            hub.switch()


DISPATCHER = Dispatcher()
"""Of this process, like the event loop."""


class Mailbox:
    """What pykka keeps an actor's messages in; the actor is due while there are some.

    work: handles them all, by `get` until that raises Empty.
    """

    __slots__ = ("_is_due", "_mail", "work")

    def __init__(self) -> None:
        self._mail: deque[Any] = deque()
        self._is_due = False
        self.work: Callable[[], object]

    def put(self, envelope: Any) -> None:
        """Add a message."""
        self._mail.append(envelope)
        if not self._is_due:
            self._is_due = True
            DISPATCHER.add(self.work)

    def get(self) -> Any:
        """Take the oldest message; raises Empty where others would wait."""
        if not self._mail:
            self._is_due = False
            raise Empty
        return self._mail.popleft()

    def empty(self) -> bool:
        """Tell whether there is none."""
        return not self._mail

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._mail)
