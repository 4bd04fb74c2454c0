"""The scheduler: matches waiting jobs to idle containers.

Theory of operation. The scheduler owns two facts and one budget: how many jobs wait
in each language's queue, which containers are idle, and how many jobs may run at
once over all languages. Queues and containers tell it their changes; after each one
it settles (`_match`): while a slot is free and some language has both a waiting job
and an idle container, it tells that language's queue to dispatch to that container,
the languages taking turns. The queue hands the job to the container itself. So the
scheduler never holds a job, and nothing is lost with it: a new one starts empty, asks
everybody how things stand (`ReportState`), and is right again after the answers. Until
all containers have answered it dispatches nothing: one that is not heard yet may hold a
slot. Whoever does not answer in `HEAR_S` is waited for no longer.

A slot is taken at the match and freed by whichever comes first: the container says
that its job has ended (`SlotFreed`), is idle again, or is gone; or the queue declines
because the job was cancelled meanwhile. Each is safe to hear twice.

While there are jobs, the demand is looked at in short intervals (demand.py). When a
language has jobs waiting, slots are free and none of its containers is idle, its pool
is asked to grow, unless those jobs will have run before another container could start;
and when the demand keeps rising, the pool is told what to expect, so that it starts
ahead. When the pool has too many, the scheduler picks those to retire, since only it
knows that they will not be given a job in the same moment.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from actors.actor import Actor, Context
from actors.demand import SAMPLE_S, Demand
from actors.messages import DispatchJob, ExpectDemand, GrowPool, ReportState, Retire

if TYPE_CHECKING:
    from actors.messages import (
        Boot,
        ContainerBusy,
        ContainerGone,
        ContainerIdle,
        DispatchDeclined,
        JobsWaiting,
        SlotFreed,
        StartTook,
        TrimIdle,
    )


HEAR_S = 1.0
"""Answers take milliseconds; but one container that hangs must not hold up all."""

WAKE_S = 1.0
"""A waiting compiler, the slowest of what wakes up, takes a good half of it."""


class Slot(NamedTuple):
    """What a container that runs a job holds, and since when."""

    language: str
    since: float


class Scheduler(Actor):
    """Owns the demand: idle containers, waiting counts, running slots.

    languages: the prefix of the languages' names; `<prefix><language>/queue` is a
    queue and `<prefix><language>/pool` a pool.
    """

    def __init__(self, context: Context, languages: str, running_max: int) -> None:
        super().__init__(context)
        self._languages = languages
        self._running_max = running_max
        self._waiting: dict[str, int] = {}
        self._idle: dict[str, dict[str, float]] = {}
        self._waking: set[str] = set()
        """Languages whose idle containers have something that wakes up."""
        self._running: dict[str, Slot] = {}
        self._cleaned: defaultdict[str, set[str]] = defaultdict(set)
        """Containers that have run a job and will be idle, or gone, in a moment."""
        self._demand: defaultdict[str, Demand] = defaultdict(Demand)
        self._is_sampling = False
        self._unheard: set[str] = set()
        """Containers that have not answered yet whether they hold a slot."""

    def boot(self, message: Boot) -> None:
        """Ask everybody how things stand."""
        for name in self.directory.names(self._languages):
            if not name.endswith("/pool") and name.count("/") > 2:  # noqa: PLR2004
                told = self.tell(name, ReportState())
                if told and not name.endswith("/queue"):
                    self._unheard.add(name)
        if self._unheard:
            self.set_timer("hear", HEAR_S)

    def time_out(self, name: str) -> None:
        """Look at the demand, or go on without those that do not answer."""
        if name == "sample":
            self._is_sampling = False
        else:
            self._unheard.clear()
        self._match()

    # ------------------------------------------------------------------- facts

    def jobs_waiting(self, message: JobsWaiting) -> None:
        """Note a queue's depth."""
        self._waiting[message.language] = message.count
        self._match()

    def container_idle(self, message: ContainerIdle) -> None:
        """Note a container that can take a job."""
        self._unheard.discard(message.container)
        self._free_slot(message.container)
        self._cleaned[message.language].discard(message.container)
        if message.wakes:
            self._waking.add(message.language)
        idle = self._idle.setdefault(message.language, {})
        idle.setdefault(message.container, self.now())
        self._match()

    def container_busy(self, message: ContainerBusy) -> None:
        """Note what runs since before we started."""
        self._idle.get(message.language, {}).pop(message.container, None)
        self._running[message.container] = Slot(message.language, self.now())
        self._unheard.discard(message.container)
        self._match()

    def slot_freed(self, message: SlotFreed) -> None:
        """Another job may run while this container is scrubbed."""
        self._unheard.discard(message.container)
        self._free_slot(message.container)
        self._match()

    def _free_slot(self, container: str) -> None:
        slot = self._running.pop(container, None)
        if slot is not None:
            self._demand[slot.language].job_took(self.now() - slot.since)
            self._cleaned[slot.language].add(container)

    def dispatch_declined(self, message: DispatchDeclined) -> None:
        """Nothing waited: the container is idle as before."""
        slot = self._running.pop(message.container, None)
        if slot is not None:
            idle = self._idle.setdefault(slot.language, {})
            idle.setdefault(message.container, self.now())
        self._match()

    def container_gone(self, message: ContainerGone) -> None:
        """Forget the container."""
        self._unheard.discard(message.container)
        self._cleaned[message.language].discard(message.container)
        self._running.pop(message.container, None)
        self._idle.get(message.language, {}).pop(message.container, None)
        self._match()

    def start_took(self, message: StartTook) -> None:
        """Note how far ahead a container has to be asked for."""
        self._demand[message.language].start_took(message.seconds)

    # ---------------------------------------------------------------- settling

    def _match(self) -> None:
        """Bring idle containers and waiting jobs together. Nobody else does."""
        if self._unheard:
            return
        while len(self._running) < self._running_max:
            language = self._next_language()
            if language is None:
                break
            self._dispatch(language)
        if not self._is_sampling:
            self._sample()

    def _next_language(self) -> str | None:
        """Return the next language in turn with a job and a container for it."""
        for language, count in self._waiting.items():
            if count > 0 and self._idle.get(language):
                return language
        return None

    def _dispatch(self, language: str) -> None:
        count = self._waiting.pop(language)
        container = self._pick(language)
        since = self._idle[language].pop(container)
        self._waiting[language] = count - 1
        self._running[container] = Slot(language, self.now())
        dispatch = DispatchJob(container, self._others_wait())
        if not self.tell(f"{self._languages}{language}/queue", dispatch):
            # The queue is being restarted.
            del self._waiting[language], self._running[container]
            self._idle[language][container] = since

    def _others_wait(self) -> bool:
        """Tell whether jobs wait that can't be dispatched now, of whatever language."""
        is_full = len(self._running) >= self._running_max
        return any(self._waiting.values()) and (is_full or not self._next_language())

    def _pick(self, language: str) -> str:
        """Return the container for the next job.

        Last in, first out: what was busy just now is warm, the rest may retire. But
        where something has to wake up first, one that has had the time for that.
        """
        idle = self._idle[language]
        if language not in self._waking:
            return next(reversed(idle))
        awake_since = self.now() - WAKE_S
        awake = (name for name in reversed(idle) if idle[name] <= awake_since)
        return next(awake, next(iter(idle)))

    # ------------------------------------------------------------------- demand

    def _sample(self) -> None:
        """Look at the demand, and have the pools start what it will have use for."""
        free = self._running_max - len(self._running)
        ages: defaultdict[str, list[float]] = defaultdict(list)
        for slot in self._running.values():
            ages[slot.language].append(self.now() - slot.since)
        for language in dict.fromkeys((*self._waiting, *ages, *self._demand)):
            waiting = self._waiting.get(language, 0)
            demand = self._demand[language]
            pool = f"{self._languages}{language}/pool"
            is_starved = free > 0 and waiting > 0 and not self._idle.get(language)
            in_use = len(ages[language]) + min(waiting, free)
            demand.sample(in_use, is_starved=is_starved)
            if is_starved:
                present = len(ages[language]) + len(self._cleaned[language])
                missing = demand.missing(waiting, ages[language], present)
                wanted = min(missing, waiting, free)
                if wanted > 0:
                    self.tell(pool, GrowPool(wanted))
            expected = min(demand.expected(), self._running_max)
            if expected > in_use:
                self.tell(pool, ExpectDemand(expected))
        if not all(demand.is_over for demand in self._demand.values()):
            self._is_sampling = True
            self.set_timer("sample", SAMPLE_S)

    # ------------------------------------------------------------------ trimming

    def trim_idle(self, message: TrimIdle) -> None:
        """Retire the containers that have been idle for longest."""
        idle = self._idle.get(message.language, {})
        limit = self.now() - message.idle_s
        old = [name for name, since in idle.items() if since <= limit]
        for name in old[: message.excess]:
            del idle[name]
            self.tell(name, Retire("surplus"))
