"""The running tree: started, drained and stopped as a whole."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import gevent
from gevent.event import AsyncResult, Event

from actors.actor import Context
from actors.directory import AnyRef, Directory
from actors.messages import BeginDrain, EndUnfinished
from supervisors.supervisor import Supervisor
from supervisors.tree import BROKER, CONSUMER, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisors.child_spec import ChildSpec

log = logging.getLogger("warmbox.service")

END_S = 2.0
STOP_S = 40.0


class Service:
    """directory: the names of the tree's actors; it is filled as they start."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self._root: AnyRef | None = None
        self._gone = Event()

    def start(self, specs: Sequence[ChildSpec]) -> None:
        """Start the tree."""
        context = Context(ROOT, self.directory, gone=self._gone)
        self._root = Supervisor.start(context, specs)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the root's end, which by itself comes only from a failure."""
        return bool(self._gone.wait(timeout_s))

    def drain(self, drain_s: float) -> int:
        """Take nothing new and let the jobs end; returns how many did not.

        A broker that outlives this process gives those to another worker; the
        embedded one ends them.
        """
        pending = {name: Event() for name in (BROKER, CONSUMER)}
        for name, drained in pending.items():
            if not self.directory.tell(name, BeginDrain(drained.set)):
                drained.set()  # this role has no such connection
        gevent.wait(list(pending.values()), timeout=drain_s)
        late = [name for name, drained in pending.items() if not drained.is_set()]
        return sum(self._let_go(name) for name in late)

    def _let_go(self, name: str) -> int:
        ended: AsyncResult[int] = AsyncResult()
        self.directory.tell(name, EndUnfinished(ended.set))
        count = ended.wait(END_S) or 0
        if count:
            log.warning("%s: %d jobs did not end in time", name, count)
        return count

    def stop(self) -> bool:
        """Stop the tree in reverse order; False when it does not stop in time."""
        assert self._root is not None  # noqa: S101 - start comes first
        self._root.stop(block=False)
        return self.wait(STOP_S)
