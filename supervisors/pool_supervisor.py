"""The pool supervisor: as many containers of one language as are wanted.

Its children are temporary and alike, so it has no specs but one way to start them.
Their failures to start are an outage, not a bug: the pool pauses with back-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gevent

from actors.actor import Actor, Context
from actors.messages import (
    ChildExited,
    ContainerFailed,
    PoolStatus,
    StartTook,
    TrimIdle,
)
from metrics import instruments
from metrics.live import LIVE, PoolFact
from supervisors.child_spec import ChildSpec, Restart
from supervisors.events import note_abandoned, note_restart
from supervisors.supervisor import start_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.directory import AnyRef
    from actors.messages import (
        Boot,
        ContainerReady,
        DescribePool,
        ExpectDemand,
        GrowPool,
        ReportState,
    )
    from supervisors.backoff import Backoff
    from supervisors.child_spec import Child

ENDED = "the pool has ended and is to be restarted"


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How many containers a language has.

    warm: how many there are when nothing happens; size_max: how many there may be;
    idle_s: how long one beyond `warm` stays idle before it is retired; guests: how many
    there may be beyond `size_max` for clients that have nothing running.
    """

    warm: int
    size_max: int
    idle_s: float
    guests: int = 0


class PoolSupervisor(Actor):
    """One language's containers.

    fleet: the actor that is told each time the pool stands otherwise than before.
    """

    def __init__(
        self,
        context: Context,
        language: str,
        size: PoolSize,
        start: Callable[[Context], AnyRef],
        scheduler: str,
        backoff: Backoff,
        fleet: str,
    ) -> None:
        super().__init__(context)
        self._language = language
        self._size = size
        self._spec = ChildSpec("container", start, Restart.TEMPORARY)
        self._scheduler = scheduler
        self._backoff = backoff
        self._fleet = fleet
        self._told: PoolStatus | None = None
        self._children: dict[str, Child] = {}
        self._started_at: dict[str, float] = {}
        """When those that are not ready yet were started, by name."""
        self._ready: set[str] = set()
        self._wanted = size.warm
        self._failed: dict[str, str] = {}
        """Why containers that are about to end have failed, by name."""
        self._failures = 0
        self._paused = ""
        self._resumes_at = 0.0

    def boot(self, message: Boot) -> None:
        """Fill the pool."""
        self._settle()
        self.set_timer("trim", self._size.idle_s / 2)

    # ---------------------------------------------------------------- settling

    def _settle(self) -> None:
        """Start containers until there are as many as wanted, unless paused."""
        while not self._paused and len(self._children) < self._wanted:
            self._start()
        self._make_known()

    def _make_known(self) -> None:
        status = self._status()
        LIVE.pools[self._language] = PoolFact(
            status.ready,
            status.starting,
            self._wanted,
            self._size.size_max,
            self._paused,
            self._resumes_at,
        )
        instruments.pool_paused.labels(self._language).set(bool(self._paused))
        if status != self._told:
            self._told = status
            self.tell(self._fleet, status)

    def report_state(self, message: ReportState) -> None:
        """Tell a new fleet how the pool stands."""
        self._told = None
        self._make_known()

    def _start(self) -> None:
        number = next(
            n
            for n in range(1, self._size.size_max + self._size.guests + 1)
            if f"{self.name}/{n}" not in self._children
        )
        name = f"{self.name}/{number}"
        self._started_at[name] = self.now()
        self._children[name] = start_child(self, self._spec, name)

    def grow_pool(self, message: GrowPool) -> None:
        """Have more containers, if the starting ones are not enough already."""
        there = len(self._children)
        starting = there - len(self._ready)
        missing = message.wanted - starting
        if missing > 0:
            beyond = min(message.guests - starting, missing)
            size_max = max(self._size.size_max, there + beyond)
            size_max = min(size_max, self._size.size_max + self._size.guests)
            self._wanted = max(self._wanted, min(size_max, there + missing))
            self._settle()

    def expect_demand(self, message: ExpectDemand) -> None:
        """Start ahead, so that what is on its way to be wanted is ready by then."""
        if message.containers > self._wanted:
            self._wanted = min(self._size.size_max, message.containers)
            self._settle()

    # --------------------------------------------------------------- containers

    def container_ready(self, message: ContainerReady) -> None:
        """Starting works (again)."""
        self._ready.add(message.container)
        started = self._started_at.pop(message.container, None)
        if started is not None:
            took = StartTook(self._language, self.now() - started)
            self.tell(self._scheduler, took)
        self._failures = 0
        self._make_known()

    def container_failed(self, message: ContainerFailed) -> None:
        """Pause: whatever is wrong, more attempts now would not mend it."""
        self._failed[message.container] = message.reason or "failed"
        self._pause(message.reason)

    def _pause(self, reason: str) -> None:
        if self._paused:
            return  # several that started together fail together
        self._failures += 1
        self._paused = reason or "failed"
        delay_s = self._backoff.delay_s(self._failures)
        self._resumes_at = self.now() + delay_s
        self.set_timer("resume", delay_s)
        self._make_known()

    def child_exited(self, message: ChildExited) -> None:
        """Replace it. A crash is counted like a failure to start."""
        child = self._children.get(message.name)
        if child is None or child.ref.actor_urn != message.urn:
            return  # a predecessor's
        del self._children[message.name]
        self._ready.discard(message.name)
        self._started_at.pop(message.name, None)
        reason = self._failed.pop(message.name, "")
        if message.crashed:
            reason = message.reason
            self._pause(reason)
        if reason:
            delay_s = max(0.0, self._resumes_at - self.now())
            note_restart(message.name, reason, self._failures, delay_s)
        self._settle()

    # ------------------------------------------------------------------- timers

    def time_out(self, name: str) -> None:
        """Try again after a pause; let go of what has long been idle."""
        if name == "resume":
            self._paused = ""
            self._settle()
            return
        excess = len(self._children) - self._size.warm
        if excess > 0:
            self._wanted = self._size.warm
            trim = TrimIdle(self._language, excess, self._size.idle_s)
            self.tell(self._scheduler, trim)
        self.set_timer("trim", self._size.idle_s / 2)

    def describe_pool(self, message: DescribePool) -> PoolStatus:
        """Answer how the pool stands."""
        return self._status()

    def _status(self) -> PoolStatus:
        ready = len(self._ready)
        starting = len(self._children) - ready
        return PoolStatus(self._language, ready, starting, self._paused)

    # ---------------------------------------------------------------------- end

    def clean_up(self, *, crashed: bool) -> None:
        """Stop all containers at once, then wait for all of them."""
        self.tell(self._fleet, PoolStatus(self._language, 0, 0, ENDED))
        LIVE.pools.pop(self._language, None)
        for child in self._children.values():
            child.ref.stop(block=False)
        gone = [child.gone for child in self._children.values()]
        gevent.wait(gone, timeout=self._spec.shutdown_s)
        for name, child in self._children.items():
            if not child.gone.is_set():
                note_abandoned(name, self._spec.shutdown_s)
