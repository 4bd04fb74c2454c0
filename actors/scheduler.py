"""The scheduler: matches waiting jobs to idle containers.

Theory of operation. The scheduler owns two facts and one budget: whose jobs wait
in each language's queue, which containers are idle, and how many jobs may run at
once over all languages. Queues and containers tell it their changes; after each one
it settles (`_match`): while some client may have a slot and there is an idle container
for it, it tells that language's queue to dispatch a job of that client to that
container. The queue hands the job to the container itself. So the
scheduler never holds a job, and nothing is lost with it: a new one starts empty, asks
everybody how things stand (`ReportState`), and is right again after the answers. Until
all containers have answered it dispatches nothing: one that is not heard yet may hold a
slot. Whoever does not answer in `HEAR_S` is waited for no longer.

Who goes next (turns.py has the lanes, slots.py the budget). A client that has nothing
running goes first, and if all slots are held it may have one beyond them: nobody's
programs keep another client waiting by merely being there. Within a lane the languages
take turns, and so do a language's clients. While there are others, who has something
running leaves them the last idle container of its language; alone it gets all. So does
a client whose jobs leave containers behind that have to go, for `SPOILS_S` after the
last of them: its next job waits for a container that is made anew. Where a container is
good for one client only, the scheduler knows whose it is; one of another client's is
retired only for a client that has none, and one at a time for each that waits.

A slot is taken at the match and freed by whichever comes first: the container says
that its job has ended (`SlotFreed`), is idle again, or is gone; or the queue declines
because the job was cancelled meanwhile. Each is safe to hear twice.

While there are jobs, the demand is looked at in short intervals (demand.py). When a
language has jobs waiting, slots are free and none of its containers is idle, its pool
is asked to grow, unless those jobs will have run before another container could start;
and when the demand keeps rising, the pool is told what to expect, so that it starts
ahead. For clients that have nothing running it is asked at once, beyond its maximum if
need be, and ahead: one is idle even when others hold all. When the pool has too many,
the scheduler picks those to retire, since only it
knows that they will not be given a job in the same moment.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

from actors.actor import Actor, Context
from actors.demand import SAMPLE_S, Demand
from actors.idle_containers import FRESH, IdleContainers
from actors.messages import DispatchJob, ExpectDemand, GrowPool, ReportState, Retire
from actors.slots import Budget, Slot, Slots
from actors.turns import LANES, NEW_LANES, Lane, LastServed, Turns

if TYPE_CHECKING:
    from actors.messages import (
        Boot,
        ContainerBusy,
        ContainerGone,
        ContainerIdle,
        DispatchDeclined,
        GuestDispatched,
        JobsWaiting,
        SlotFreed,
        StartTook,
        TrimIdle,
    )


HEAR_S = 1.0
"""Answers take milliseconds; but one container that hangs must not hold up all."""

WAKE_S = 1.0
"""A waiting compiler, the slowest of what wakes up, takes a good half of it."""

SPOILS_S = 5.0
"""For so long after a container had to go its client leaves the last one to others."""
SPOILERS_MAX = 10_000
"""Of whom that is remembered; beyond, who did it first is forgotten."""
RENEW_S = 10.0
"""A pool that has become smaller meanwhile, or pauses, starts no successor of what was
retired for another client: then it is another's turn to go."""
FREED_S = 0.05
"""Where a usual slot was freed so shortly ago, slots come and go: the next is there in
a moment, and one beyond them would only take processors from all that run."""
QUICK_S = 1.0
"""Where jobs or scrubs take longer, nobody counts on them to end in a moment. In a
crowd of thousands a short job takes nearly so long, since the process has much else to
do: to start containers just then would take the processors from it."""

RESERVE = 1
"""So many idle containers of a language are left to others by who spoils them, and by
who has something running while there are others."""
AROUND_S = 10.0
"""For so long after its last job began a client counts as there."""


class Match(NamedTuple):
    """What can be dispatched now."""

    language: str
    client: str
    container: str


class Scheduler(Actor):
    """Owns the demand: idle containers, who waits, running slots.

    languages: the prefix of the languages' names; `<prefix><language>/queue` is a
    queue and `<prefix><language>/pool` a pool.
    """

    def __init__(self, context: Context, languages: str, budget: Budget) -> None:
        super().__init__(context)
        self._languages = languages
        self._budget = budget
        self._slots = Slots(budget)
        self._reserve = min(RESERVE, budget.guests_max)
        self._turns: OrderedDict[str, Turns] = OrderedDict()
        """By language, the one whose turn it is first."""
        self._idle: defaultdict[str, IdleContainers] = defaultdict(IdleContainers)
        self._has_tenants = False
        """Whether there are containers that are good for one client only."""
        self._waking: set[str] = set()
        """Languages whose idle containers have something that wakes up."""
        self._cleaned: defaultdict[str, dict[str, tuple[str, float]]]
        self._cleaned = defaultdict(dict)
        """Containers that have run a job and will be idle, or gone, in a moment; whose
        job it was, and since when."""
        self._spoilers: OrderedDict[tuple[str, str], float] = OrderedDict()
        """Language and client, and when a container had to go; the first is first."""
        self._served: defaultdict[str, LastServed] = defaultdict(LastServed)
        self._renewing: defaultdict[str, deque[float]] = defaultdict(deque)
        """When a language's containers were retired for another client, of those whose
        successors are yet to come."""
        self._demand: defaultdict[str, Demand] = defaultdict(Demand)
        self._is_sampling = False
        self._freed_at = -FREED_S
        """When one of the usual slots was freed."""
        self._hurried: set[str] = set()
        """Languages that newcomers were looked after in since the last sample."""
        self._unheard: set[str] = set()
        """Containers that have not answered yet whether they hold a slot."""

    def boot(self, message: Boot) -> None:
        """Ask everybody how things stand."""
        for name in self.directory.names(self._languages):
            if not name.endswith("/pool") and name.count("/") > 2:  # noqa: PLR2004
                told = self.tell(name, ReportState(self.actor_urn))
                if told and not name.endswith("/queue"):
                    self._unheard.add(name)
        if self._unheard:
            self.set_timer("hear", HEAR_S)

    def time_out(self, name: str) -> None:
        """Look at the demand, or go on without those that do not answer."""
        if name == "sample":
            self._is_sampling = False
            self._forgive()
        elif name == "hear":
            self._unheard.clear()

    def _hear(self, container: str, answers: str) -> None:
        """Note that the container has answered us: all before that is known.

        What it had told by itself shortly before says the same as its answer, and if a
        job were dispatched in between, the answer would be taken for that job's end.
        """
        if answers == self.actor_urn:
            self._unheard.discard(container)

    # ------------------------------------------------------------------- facts

    def jobs_waiting(self, message: JobsWaiting) -> None:
        """Note whose jobs wait in a queue."""
        language = message.language
        if message.is_all:
            self._turns.pop(language, None)
        turns = self._turns.get(language)
        if turns is None:
            turns = Turns(lambda client: self._lane(language, client))
            self._turns[language] = turns
        for client, jobs in message.changes:
            turns.add(client, jobs, first=client == message.first)

    def _lane(self, language: str, client: str) -> int:
        at = self._spoilers.get((language, client))
        spoils = at is not None and self.now() - at < SPOILS_S
        if self._slots.of(client):
            return Lane.SPOILING_REGULAR if spoils else Lane.REGULAR
        return Lane.SPOILING_NEWCOMER if spoils else Lane.NEWCOMER

    def container_idle(self, message: ContainerIdle) -> None:
        """Note a container that can take a job."""
        language = message.language
        self._hear(message.container, message.answers)
        self._free_slot(message.container)
        self._cleaned[language].pop(message.container, None)
        if message.wakes:
            self._waking.add(language)
        if message.tenant:
            self._has_tenants = True
        elif self._renewing[language]:
            self._renewing[language].popleft()
        self._idle[language].add(message.container, self.now(), message.tenant)

    def container_busy(self, message: ContainerBusy) -> None:
        """Note what runs since before we started."""
        self._idle[message.language].remove(message.container)
        self._take_slot(
            message.container, message.language, message.client, message.memory_mb
        )
        self._hear(message.container, message.answers)

    def guest_dispatched(self, message: GuestDispatched) -> None:
        """Note what a guest may use: there may be room for one more."""
        self._slots.measure(message.container, message.memory_mb)

    def slot_freed(self, message: SlotFreed) -> None:
        """Another job may run while this container is scrubbed."""
        self._hear(message.container, message.answers)
        self._free_slot(message.container)

    def dispatch_declined(self, message: DispatchDeclined) -> None:
        """None of the client's jobs waited: the container is idle as before."""
        turns = self._turns.get(message.language)
        if turns is not None:
            turns.clear(message.client)
        slot = self._slots.free(message.container)
        if slot is not None:
            self._sort(slot.client)
            self._idle[slot.language].add(message.container, self.now(), slot.tenant)

    def container_gone(self, message: ContainerGone) -> None:
        """Forget the container, but not who has spoiled it."""
        self._unheard.discard(message.container)
        client, _ = self._cleaned[message.language].pop(message.container, ("", 0.0))
        slot = self._slots.free(message.container)
        if slot is not None:
            client = slot.client
            self._sort(client)
        if message.spoiled and client:
            self._charge(message.language, client)
        self._idle[message.language].remove(message.container)

    def start_took(self, message: StartTook) -> None:
        """Note how far ahead a container has to be asked for."""
        self._demand[message.language].start_took(message.seconds)

    # ---------------------------------------------------------------- settling

    def settle(self) -> None:
        """Bring idle containers and waiting jobs together. Nobody else does."""
        if self._unheard:
            return
        if self._somebody_waits():
            found = self._next()
            while found is not None:
                found = self._dispatch(found)
            if self._has_tenants:
                self._renew()
            if self._is_sampling:
                self._hurry()
        if not self._is_sampling:
            self._sample()

    def _somebody_waits(self) -> bool:
        for turns in self._turns.values():  # noqa: SIM110 - a generator takes longer
            if turns.clients:
                return True
        return False

    def _waiting(self) -> list[tuple[str, Turns]]:
        """Return the languages for which somebody waits, in turn."""
        return [(name, turns) for name, turns in self._turns.items() if turns.clients]

    def _next(self) -> Match | None:
        """Return the next client in turn with a slot and a container for it."""
        if not self._is_any_idle():
            return None
        if self._slots.left <= 0 and (
            self._slots.left_to_guests <= 0 or self._slots_come_and_go()
        ):
            return None
        waiting = self._waiting()
        for lane in LANES if self._slots.left > 0 else NEW_LANES:
            for language, turns in waiting:
                found = self._find(language, turns, lane)
                if found is not None:
                    return found
        return None

    def _is_any_idle(self) -> bool:
        for idle in self._idle.values():  # noqa: SIM110 - a generator takes longer
            if idle:
                return True
        return False

    def _slots_come_and_go(self) -> bool:
        """Tell whether one was freed just now, and look again a while after that."""
        left_s = self._freed_at + FREED_S - self.now()
        if left_s > 0 and not self.has_timer("guests"):
            self.set_timer("guests", left_s)
        return left_s > 0

    def _find(self, language: str, turns: Turns, lane: int) -> Match | None:
        """Return the next of this lane with a container for it."""
        idle, clients = self._idle[language], turns.lane(lane)
        if not clients or not idle:
            return None
        if lane not in NEW_LANES and self._slots.is_full(language):
            return None
        first = next(iter(clients))
        leave = self._reserve if self._leaves_one(language, lane, first) else 0
        awake_since = self.now() - WAKE_S if language in self._waking else None
        # Those whose containers are there come first if there is no fresh one.
        for client in (first, *idle.tenants):
            container = idle.pick(client, leave, awake_since)
            if container is not None and client in clients:
                return Match(language, client, container)
        return None

    def _leaves_one(self, language: str, lane: int, client: str) -> bool:
        """Tell whether the last idle container is to be left to others."""
        if lane == Lane.NEWCOMER:
            return False
        return lane != Lane.REGULAR or self._served[language].others(
            client, self.now() - AROUND_S
        )

    def _dispatch(self, match: Match) -> Match | None:
        """Have a job dispatched; returns what can be dispatched next."""
        language, client, container = match
        self._turns[language].take(client)
        self._turns.move_to_end(language)
        tenant = self._idle[language].remove(container) or FRESH
        slot = self._take_slot(container, language, client, tenant=tenant)
        self._served[language].note(client, self.now())
        found = self._next()
        others_wait = found is None and self._somebody_waits()
        is_guest = slot.guest_mb is not None
        dispatch = DispatchJob(container, client, others_wait, is_guest)
        if self.tell(f"{self._languages}{language}/queue", dispatch):
            return found
        # The queue is being restarted, and will say what waits.
        del self._turns[language]
        self._slots.free(container)
        self._sort(client)
        self._idle[language].add(container, self.now(), tenant)
        return self._next()

    def _renew(self) -> None:
        """Retire what is only good for others, for those who have nothing."""
        for language, turns in self._waiting():
            idle = self._idle[language]
            if idle and not idle.fresh:
                self._retire_foreign(language, turns, idle)

    def _retire_foreign(
        self, language: str, turns: Turns, idle: IdleContainers
    ) -> None:
        """Retire one for each that waits and for whom none is on its way."""
        renewing = self._renewing[language]
        while renewing and self.now() - renewing[0] >= RENEW_S:
            renewing.popleft()
        room = max(self._slots.left, self._room_for_newcomers(turns))
        while len(renewing) < min(len(turns), room) and idle:
            renewing.append(self.now())
            self._retire(language, idle.foreign(turns), "tenant")

    def _retire(self, language: str, container: str, reason: str) -> None:
        self._idle[language].remove(container)
        self.tell(container, Retire(reason))

    # ------------------------------------------------------------------- slots

    def _take_slot(
        self,
        container: str,
        language: str,
        client: str,
        memory_mb: int | None = None,
        tenant: str = FRESH,
    ) -> Slot:
        slot = Slot(language, client, self.now(), tenant)
        slot = self._slots.take(container, slot, memory_mb)
        if self._slots.of(client) == 1:
            self._sort(client)
        return slot

    def _free_slot(self, container: str) -> None:
        slot = self._slots.free(container)
        if slot is not None:
            if slot.guest_mb is None:
                self._freed_at = self.now()
            self._demand[slot.language].job_took(self.now() - slot.since)
            self._cleaned[slot.language][container] = slot.client, self.now()
            if not self._slots.of(slot.client):
                self._sort(slot.client)

    def _sort(self, client: str) -> None:
        """Let the client wait in its lane, after a change of what it runs or spoils."""
        for turns in self._turns.values():
            if client in turns.clients:
                turns.sort(client)

    def _charge(self, language: str, client: str) -> None:
        """Note that a container had to go because of the client's job."""
        self._spoilers.pop((language, client), None)
        self._spoilers[language, client] = self.now()
        if len(self._spoilers) > SPOILERS_MAX:
            self._forget_first()
        self._sort(client)

    def _forgive(self) -> None:
        """Forget what is long ago."""
        limit = self.now() - SPOILS_S
        while self._spoilers and next(iter(self._spoilers.values())) <= limit:
            self._forget_first()

    def _forget_first(self) -> None:
        (_, client), _ = self._spoilers.popitem(last=False)
        self._sort(client)

    # ------------------------------------------------------------------- demand

    def _sample(self) -> None:
        """Look at the demand, and have the pools start what it will have use for."""
        self._hurried.clear()
        free = max(0, self._slots.left)
        ages: defaultdict[str, list[float]] = defaultdict(list)
        for slot in self._slots.values():
            ages[slot.language].append(self.now() - slot.since)
        for language in dict.fromkeys((*self._turns, *ages, *self._demand)):
            waiting = self._count_waiting(language)
            demand = self._demand[language]
            # What could be dispatched has been.
            is_starved = free > 0 and waiting > 0
            in_use = len(ages[language]) + min(waiting, free)
            demand.sample(in_use, is_starved=is_starved)
            wanted = 0
            if is_starved:
                present = len(ages[language]) + len(self._cleaned[language])
                present += len(self._renewing[language])
                missing = demand.missing(waiting, ages[language], present)
                wanted = min(missing, waiting, free)
            self._grow(language, wanted)
            expected = min(demand.expected(), self._budget.running_max)
            if expected > in_use:
                self.tell(self._pool(language), ExpectDemand(expected))
        if not all(demand.is_over for demand in self._demand.values()):
            self._is_sampling = True
            self.set_timer("sample", SAMPLE_S)

    def _count_waiting(self, language: str) -> int:
        turns = self._turns.get(language)
        return max(0, turns.count) if turns else 0

    def _pool(self, language: str) -> str:
        return f"{self._languages}{language}/pool"

    def _grow(self, language: str, wanted: int = 0) -> None:
        guests = self._missing_to_guests(language)
        if wanted > 0 or guests > 0:
            self.tell(self._pool(language), GrowPool(max(wanted, guests), guests))

    def _hurry(self) -> None:
        """Have containers started at once for those who have nothing running."""
        for language, turns in self._waiting():
            if language not in self._hurried and turns.lane(Lane.NEWCOMER):
                self._hurried.add(language)
                self._grow(language)

    def _missing_to_guests(self, language: str) -> int:
        """Return how many containers are missing to those who have nothing running.

        For the next of them there is to be one, even while nobody waits.
        """
        idle, turns = len(self._idle[language]), self._turns.get(language)
        if self._comes_free(language):
            return 0
        if turns and idle == self._reserve and not turns.lane(Lane.NEWCOMER):
            return int(self._slots.left > 0)  # those who wait leave that to others
        if idle:
            return 0
        if turns and turns.lane(Lane.NEWCOMER):
            return min(len(turns.lane(Lane.NEWCOMER)), self._room_for_newcomers(turns))
        return self._reserve if self._slots.running(language) else 0

    def _room_for_newcomers(self, turns: Turns) -> int:
        """Return how many more slots there are for those who have nothing running."""
        is_there_one = any(turns.lane(lane) for lane in NEW_LANES)
        return self._slots.left_to_guests if is_there_one else 0

    def _comes_free(self, language: str) -> bool:
        """Tell whether the language's containers come and go, so that one will be idle.

        Where jobs are short the next one is idle long before another has started.
        """
        limit = self.now() - QUICK_S
        return any(
            slot.since > limit
            for slot in self._slots.values()
            if slot.language == language
        ) or any(since > limit for _, since in self._cleaned[language].values())

    # ------------------------------------------------------------------ trimming

    def trim_idle(self, message: TrimIdle) -> None:
        """Retire the containers that have been idle for longest."""
        language = message.language
        idle = self._idle[language]
        keep = self._reserve if self._slots.running(language) else 0
        excess = max(0, min(message.excess, len(idle) - keep))
        for name in idle.since(self.now() - message.idle_s)[:excess]:
            self._retire(language, name, "surplus")
