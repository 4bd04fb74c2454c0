"""The scheduler: waiting jobs to idle containers within the budget."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from actors.demand import SAMPLE_S
from actors.messages import (
    ContainerBusy,
    ContainerGone,
    ContainerIdle,
    DispatchDeclined,
    DispatchJob,
    ExpectDemand,
    GrowPool,
    GuestDispatched,
    JobsWaiting,
    ReportState,
    Retire,
    SlotFreed,
    StartTook,
    TrimIdle,
)
from actors.scheduler import (
    AROUND_S,
    FREED_S,
    HEAR_S,
    QUICK_S,
    RENEW_S,
    SPOILS_S,
    WAKE_S,
    Scheduler,
)
from actors.slots import Budget

if TYPE_CHECKING:
    from actor_world import Probe, World


def box(number: int, language: str = "python") -> str:
    return f"root/languages/{language}/pool/{number}"


def waiting(language: str, count: int) -> JobsWaiting:
    return JobsWaiting(language, (("ann", count),) if count else (), is_all=True)


def busy(number: int, language: str = "python", client: str = "ann") -> ContainerBusy:
    return ContainerBusy(box(number, language), language, client, 256)


class Plan:
    """A scheduler between the queues, pools and containers of two languages."""

    def __init__(self, world: World, running_max: int = 2, **budget: int) -> None:
        self.world = world
        self.budget = Budget(running_max, **budget)
        self.queues: dict[str, Probe] = {}
        self.pools: dict[str, Probe] = {}
        self.boxes: dict[str, Probe] = {}
        for language in ("python", "c"):
            world.probe(f"root/languages/{language}")
            self.queues[language] = world.probe(f"root/languages/{language}/queue")
            self.pools[language] = world.probe(f"root/languages/{language}/pool")
            for number in (1, 2, 3):
                name = box(number, language)
                self.boxes[name] = world.probe(name)
        self.start()
        self.hold_no_slot(*self.boxes)

    def start(self) -> None:
        """Start the scheduler, which waits for the containers' answers."""
        self.world.start(Scheduler, "scheduler", "root/languages/", self.budget)

    def hold_no_slot(self, *names: str) -> None:
        self.answer(*(SlotFreed(name) for name in names))

    def answer(self, *messages: ContainerIdle | ContainerBusy | SlotFreed) -> None:
        """Tell what the scheduler that there is now has asked."""
        self.tell(*(replace(message, answers=self.asker) for message in messages))

    @property
    def asker(self) -> str:
        return self.world.directory.refs()["scheduler"].actor_urn

    def tell(self, *messages: object) -> None:
        self.world.tell("scheduler", *messages)

    def idle(self, *numbers: int, language: str = "python") -> None:
        for number in numbers:
            self.tell(ContainerIdle(box(number, language), language))

    def wait(self, count: int, language: str = "python") -> None:
        """So many jobs of one client wait, and no other's."""
        self.tell(waiting(language, count))

    def come(self, *clients: str, language: str = "python") -> None:
        """One more job of each of these clients waits."""
        for client in clients:
            self.tell(JobsWaiting(language, ((client, 1),)))

    def matched(self, language: str = "python") -> list[tuple[str, int]]:
        """Return whose jobs were dispatched where since the last time."""
        return [
            (message.client, int(message.container.rsplit("/", 1)[-1]))
            for message in self.queues[language].take()
            if isinstance(message, DispatchJob)
        ]

    def served(self, language: str = "python") -> str:
        """Return whose jobs were dispatched since the last time, by their initials."""
        return "".join(client[0] for client, _ in self.matched(language))

    def dispatched(self, language: str = "python") -> list[int]:
        """Return the containers that were to get a job since the last time."""
        return [
            int(message.container.rsplit("/", 1)[-1])
            for message in self.queues[language].take()
            if isinstance(message, DispatchJob)
        ]

    def asked_to_grow(self, language: str = "python") -> list[int]:
        asked = self.pools[language].take()
        return [m.wanted for m in asked if isinstance(m, GrowPool)]

    def told_to_expect(self, language: str = "python") -> list[int]:
        told = self.pools[language].take()
        return [m.containers for m in told if isinstance(m, ExpectDemand)]

    def run_jobs(self, count: int, each_s: float) -> None:
        """Have jobs run in one container after another, each for so long."""
        for _ in range(count):
            self.idle(1)
            self.world.clock.advance(each_s)
            self.tell(SlotFreed(box(1)))


@pytest.fixture
def plan(world: World) -> Plan:
    return Plan(world)


# ----------------------------------------------------------------------- matching


def test_a_job_and_a_container_find_each_other(plan: Plan) -> None:
    plan.wait(1)
    assert plan.dispatched() == []
    plan.idle(1)
    assert plan.dispatched() == [1]


def test_a_container_waits_for_a_job_of_its_language(plan: Plan) -> None:
    plan.idle(1)
    plan.wait(1, "c")
    assert plan.dispatched("c") == []
    plan.idle(2, language="c")
    assert plan.dispatched("c") == [2]
    assert plan.dispatched() == []


def test_no_more_jobs_run_than_there_are_slots(plan: Plan) -> None:
    plan.idle(1, 2, 3)
    plan.wait(3)
    assert plan.dispatched() == [3, 2]
    plan.tell(SlotFreed(box(3)))
    assert plan.dispatched() == [1]


def test_it_says_whether_others_have_to_wait(plan: Plan) -> None:
    def said(language: str = "python") -> list[bool]:
        told = plan.queues[language].take()
        return [m.others_wait for m in told if isinstance(m, DispatchJob)]

    plan.idle(1, 2)
    plan.wait(1)
    assert said() == [False]
    # Given two more jobs, and one slot
    plan.wait(2)
    assert said() == [True]
    # Given a scheduler that hears of two jobs before it may dispatch the first
    plan.world.stop("scheduler")
    plan.start()
    said()
    plan.idle(1, 2)
    plan.wait(2)
    assert said() == []
    plan.hold_no_slot(*plan.boxes)
    assert said() == [False, False]


def test_who_waits_for_a_container_waits(plan: Plan) -> None:
    plan.wait(1, "c")
    plan.idle(1)
    plan.wait(1)
    assert plan.queues["python"].take()[-1] == DispatchJob(
        box(1), "ann", others_wait=True
    )


def test_who_was_busy_last_is_first(plan: Plan) -> None:
    plan.idle(1, 2, 3)
    plan.wait(1)
    assert plan.dispatched() == [3]


def test_one_that_has_woken_up_is_first(world: World, plan: Plan) -> None:
    def wake(number: int) -> None:
        plan.tell(ContainerIdle(box(number), "python", wakes=True))

    for number in (1, 2):
        wake(number)
    world.clock.advance(WAKE_S)
    wake(3)
    # Given one that has just become idle, and two that are awake
    plan.wait(1)
    assert plan.dispatched() == [2]
    plan.tell(SlotFreed(box(2)))
    plan.wait(1)
    assert plan.dispatched() == [1]
    plan.tell(SlotFreed(box(1)))
    # When none is, then the one that has had the most time
    wake(2)
    plan.wait(1)
    assert plan.dispatched() == [3]


def test_languages_take_turns(world: World) -> None:
    plan = Plan(world, running_max=1)
    order = []
    plan.wait(2)
    plan.wait(2, "c")
    plan.idle(1, 2)
    plan.idle(1, 2, language="c")
    for _ in range(4):
        for language in ("python", "c"):
            for number in plan.dispatched(language):
                order.append(language)
                plan.tell(SlotFreed(box(number, language)))
    assert order == ["python", "c", "python", "c"]


def test_a_language_with_many_jobs_leaves_a_slot_to_the_other(plan: Plan) -> None:
    plan.wait(50)
    plan.wait(1, "c")
    plan.idle(1, language="c")
    plan.idle(1, 2)
    assert (plan.dispatched("c"), plan.dispatched()) == ([1], [1])


def test_a_queue_that_is_away_costs_neither_slot_nor_container(
    world: World, plan: Plan
) -> None:
    # Given a queue that is being restarted
    gone = plan.queues["python"]
    world.directory.strike("root/languages/python/queue", gone.ref)
    plan.idle(1)
    plan.wait(1)
    plan.wait(1, "c")
    plan.idle(1, 2, language="c")
    plan.wait(2, "c")
    assert plan.dispatched("c") == [1, 2]
    # When it is back and says how many wait
    plan.queues["python"] = world.probe("root/languages/python/queue")
    plan.tell(SlotFreed(box(1, "c")))
    plan.wait(1)
    assert plan.dispatched() == [1]


# ------------------------------------------------------------------------- guests


def guests(world: World, running_max: int = 2, **budget: int) -> Plan:
    """Return a plan where client ann holds all the usual slots."""
    given = {"guests_max": 2, "guests_mb_max": 2048, "job_mb_max": 1024}
    plan = Plan(world, running_max, **(given | budget))
    plan.idle(1, 2, 3)
    plan.idle(1, 2, 3, language="c")
    plan.come(*["ann"] * (running_max + 5))
    assert plan.served() == "a" * running_max
    return plan


def test_who_has_nothing_running_gets_a_slot_though_all_are_held(world: World) -> None:
    plan = guests(world)
    plan.come("bob")
    (dispatch,) = plan.queues["python"].take()
    assert dispatch == DispatchJob(box(1), "bob", others_wait=True, is_guest=True)
    # But no second one
    plan.come("bob", language="c")
    assert plan.matched("c") == []
    # And another client has one, too, as long as there are any
    plan.come("carl", "dora", language="c")
    assert plan.served("c") == "c"
    # When the first has ended, its slot is not for whoever holds others
    plan.idle(1)
    assert (plan.served(), plan.served("c")) == ("", "d")


def test_a_client_alone_gets_all_usual_slots_and_no_more(world: World) -> None:
    plan = guests(world)
    assert plan.served() == ""
    plan.tell(SlotFreed(box(3)))
    assert plan.served() == "a"


def test_who_has_nothing_running_goes_first(world: World) -> None:
    plan = guests(world, guests_max=0)
    plan.come("bob", "carl")
    assert plan.served() == ""
    for number in (2, 3, 2):
        plan.idle(number)
    assert plan.served() == "bca"


def test_guests_are_bounded_by_what_memory_they_may_have(world: World) -> None:
    # Given a bound for two jobs with as much as they may ask for
    plan = guests(world, guests_max=3, guests_mb_max=2048)
    # When the first has come, it counts as the most that a job may ask for
    plan.come("bob", language="c")
    plan.come("carl", language="c")
    assert plan.served("c") == "bc"
    plan.come("dora", language="c")
    assert plan.served("c") == ""
    # Until it is known how much that is
    plan.tell(GuestDispatched(box(3, "c"), 1024), GuestDispatched(box(2, "c"), 512))
    assert plan.served("c") == ""
    plan.tell(GuestDispatched(box(3, "c"), 256))
    assert plan.served("c") == "d"


def test_one_guest_is_let_in_whatever_it_may_have(world: World) -> None:
    plan = guests(world, guests_mb_max=1)
    plan.come("bob", "carl", language="c")
    assert plan.served("c") == "b"
    plan.idle(3, language="c")
    assert plan.served("c") == "c"


def test_a_new_scheduler_knows_who_runs_what(world: World) -> None:
    plan = guests(world)
    world.crash("scheduler")
    plan.start()
    plan.hold_no_slot(*plan.boxes)
    plan.tell(busy(1), busy(2), busy(1, "c", "bob"))
    plan.idle(3)
    plan.come("ann", "bob")
    assert plan.matched() == []
    plan.come("carl")
    assert plan.matched() == [("carl", 3)]


def test_ten_thousand_clients_wait_as_cheaply_as_ten(world: World) -> None:
    plan = guests(world, guests_max=0)
    plan.tell(JobsWaiting("python", tuple((f"b{n}", 1) for n in range(10_000))))
    started = time.process_time()
    for number in (2, 3) * 100:
        plan.idle(number)
    taken_s = time.process_time() - started
    assert plan.served() == "b" * 200
    assert taken_s < 1


def test_a_container_beyond_the_pools_size_is_for_who_has_none(world: World) -> None:
    plan = Plan(world, running_max=8, guests_max=2, pool_max=2)
    plan.idle(1, 2, 3)
    plan.come("ann", "ann", "ann")
    assert plan.served() == "aa"
    plan.come("bob")
    assert plan.matched() == [("bob", 1)]


def test_while_there_are_others_one_container_is_left_to_them(world: World) -> None:
    plan = Plan(world, running_max=8, guests_max=2)
    plan.idle(1, 2, 3)
    plan.come("bob", "ann")
    assert plan.served() == "ba"
    plan.idle(3)
    plan.come("ann", "ann")
    assert plan.matched() == [("ann", 3)]
    # The pool is asked for one more, even beyond its size
    plan.pools["python"].take()
    world.clock.advance(QUICK_S + SAMPLE_S)
    assert GrowPool(1, guests=1) in plan.pools["python"].take()
    plan.come("bob")
    assert plan.matched() == [("bob", 1)]
    # When the other has not come for a while
    plan.idle(1)
    world.clock.advance(AROUND_S + SAMPLE_S)
    assert plan.matched() == [("ann", 1)]


def test_a_pool_grows_at_once_for_who_has_nothing_running(world: World) -> None:
    plan = Plan(world, running_max=1, guests_max=2, guests_mb_max=9)
    plan.idle(1)
    plan.come("ann", "ann")
    assert plan.served() == "a"
    # Given a program that sleeps, one container more is there for whoever comes
    world.clock.advance(QUICK_S + SAMPLE_S)
    grown = plan.pools["python"].take()
    assert set(grown) == {GrowPool(1, guests=1)}
    plan.idle(2)
    world.clock.advance(QUICK_S + SAMPLE_S)
    assert plan.pools["python"].take() == []
    plan.come("bob")
    assert plan.served() == "b"
    # And another as soon as somebody has come who finds none
    world.clock.advance(QUICK_S + SAMPLE_S)
    plan.tell(GuestDispatched(box(2), 1))
    plan.pools["python"].take()
    plan.come("carl")
    assert plan.pools["python"].take() == [GrowPool(1, guests=1)]


@pytest.mark.parametrize("each_s", [SAMPLE_S / 2, 0.4])
def test_where_jobs_are_short_no_container_is_started_for_a_guest(
    world: World, each_s: float
) -> None:
    """Also where a crowd keeps the whole process busy, so that all takes longer."""
    plan = Plan(world, running_max=1, guests_max=2, guests_mb_max=9)
    for _ in range(30):
        plan.idle(1)
        plan.come("ann", "bob")
        world.clock.advance(each_s)
    assert plan.pools["python"].take() == []


def test_where_slots_come_and_go_nobody_is_a_guest(world: World) -> None:
    # Given a client whose jobs follow one another in the only slot
    plan = Plan(world, running_max=1, guests_max=2, guests_mb_max=9)
    plan.idle(1, 2)
    plan.come("ann", "ann")
    ((_, first),) = plan.matched()
    plan.tell(SlotFreed(box(first)))
    ((_, second),) = plan.matched()
    # When another comes, then it waits for that slot, and has it next
    plan.come("bob")
    assert plan.served() == ""
    plan.idle(first)
    assert plan.served() == ""
    plan.tell(SlotFreed(box(second)))
    assert plan.served() == "b"
    plan.idle(second)
    # But no longer than a moment
    plan.come("carl")
    assert plan.served() == ""
    world.clock.advance(FREED_S)
    assert plan.served() == "c"


def test_the_one_for_guests_is_not_trimmed_while_all_others_are_held(
    world: World,
) -> None:
    plan = guests(world)
    plan.tell(ContainerGone(box(1, "c"), "c"), ContainerGone(box(2, "c"), "c"))
    world.clock.advance(60)
    plan.tell(TrimIdle("python", 5, 20), TrimIdle("c", 5, 20))
    assert plan.boxes[box(1)].of(Retire) == []
    assert plan.boxes[box(3, "c")].of(Retire) == [Retire("surplus")]


# ----------------------------------------------------------------------- spoilers


def spoil(plan: Plan, *numbers: int) -> None:
    """Containers that run a job have to go because of it."""
    gone = (ContainerGone(box(n), "python", spoiled=True) for n in numbers)
    plan.tell(*gone)


def test_who_spoils_containers_leaves_the_last_one_to_others(world: World) -> None:
    plan = Plan(world, running_max=3, guests_max=2)
    plan.idle(1, 2, 3)
    plan.come("ann")
    assert plan.matched() == [("ann", 3)]
    spoil(plan, 3)
    # Then one of two is still good
    plan.come("ann", "ann")
    assert plan.matched() == [("ann", 2)]
    spoil(plan, 2)
    assert plan.matched() == []
    # Another client's job finds the last one
    plan.come("bob")
    assert plan.matched() == [("bob", 1)]
    plan.idle(1)
    assert plan.matched() == []
    # And its own job has the one that is made anew
    plan.idle(2)
    assert plan.served() == "a"


def test_a_container_that_goes_after_its_job_was_spoiled_by_it(world: World) -> None:
    plan = Plan(world, running_max=3, guests_max=2)
    plan.idle(1, 2)
    plan.come("ann")
    plan.tell(SlotFreed(box(2)))
    spoil(plan, 2)
    plan.dispatched()
    plan.come("ann")
    assert plan.matched() == []


def test_a_container_that_goes_for_other_reasons_is_not_charged(world: World) -> None:
    plan = Plan(world, running_max=3, guests_max=2)
    plan.idle(1, 2)
    plan.come("ann")
    plan.dispatched()
    plan.tell(ContainerGone(box(2), "python"))
    plan.come("ann")
    assert plan.matched() == [("ann", 1)]


def test_a_spoiler_is_forgiven_after_a_while(world: World) -> None:
    plan = Plan(world, running_max=3, guests_max=2)
    plan.idle(1, 2)
    plan.come("ann")
    spoil(plan, 2)
    plan.dispatched()
    plan.come("ann")
    # Its pool is asked for one more meanwhile, even beyond its size
    world.clock.advance(SAMPLE_S)
    assert GrowPool(1, guests=1) in plan.pools["python"].take()
    assert plan.matched() == []
    world.clock.advance(SPOILS_S + SAMPLE_S)
    assert plan.matched() == [("ann", 1)]


def test_spoilers_that_are_remembered_are_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.scheduler.SPOILERS_MAX", 1)
    plan = Plan(world, running_max=3, guests_max=2)
    plan.idle(1, 2, 3)
    plan.come("ann", "bob")
    spoil(plan, 3, 2)
    plan.dispatched()
    plan.come("bob", "ann")
    assert plan.matched() == [("ann", 1)]


def test_without_guests_nothing_is_kept_for_others(world: World) -> None:
    plan = Plan(world, running_max=3)
    plan.idle(1, 2)
    plan.come("ann")
    spoil(plan, 2)
    plan.dispatched()
    plan.come("ann")
    assert plan.matched() == [("ann", 1)]


# ------------------------------------------------------------------------- tenants


def owned(plan: Plan, client: str, *numbers: int) -> None:
    told = (ContainerIdle(box(n), "python", tenant=client) for n in numbers)
    plan.tell(*told)


def retired(plan: Plan) -> list[int]:
    return [n for n in (1, 2, 3) if plan.boxes[box(n)].of(Retire)]


def test_a_job_goes_to_a_container_of_its_client(plan: Plan) -> None:
    owned(plan, "ann", 1)
    owned(plan, "bob", 2)
    plan.idle(3)
    plan.come("ann")
    assert plan.matched() == [("ann", 1)]
    plan.come("carl")
    assert plan.matched() == [("carl", 3)]


def test_one_other_job_costs_one_container_of_another_client(plan: Plan) -> None:
    owned(plan, "ann", 1, 2, 3)
    plan.come("bob")
    plan.world.clock.advance(5)
    assert plan.matched() == []
    assert retired(plan) == [1]
    # When its successor is there
    plan.tell(ContainerGone(box(1), "python"))
    plan.idle(1)
    assert plan.matched() == [("bob", 1)]
    assert retired(plan) == [1]


def test_a_successor_that_does_not_come_is_not_waited_for_for_ever(plan: Plan) -> None:
    # Given a pool that has become smaller in the moment in which one was retired
    owned(plan, "ann", 1, 2, 3)
    plan.come("bob")
    plan.tell(ContainerGone(box(1), "python"))
    plan.world.clock.advance(RENEW_S + 1)
    # Then it is another one's turn, and that one's successor is good for bob
    assert retired(plan) == [1, 2]
    plan.tell(ContainerGone(box(2), "python"))
    plan.idle(2)
    assert plan.matched() == [("bob", 2)]


def test_who_waits_for_a_container_does_not_hold_up_whose_is_there(
    plan: Plan,
) -> None:
    plan.come("bob")
    owned(plan, "ann", 1)
    owned(plan, "carl", 2)
    plan.come("carl")
    assert plan.matched() == [("carl", 2)]
    assert retired(plan) == [1]


def test_whose_tenant_waits_is_retired_last(world: World) -> None:
    plan = Plan(world, running_max=1, guests_max=1)
    owned(plan, "ann", 1, 2)
    plan.come("ann", "ann")
    owned(plan, "carl", 3)
    assert plan.matched() == [("ann", 2)]
    plan.come("bob")
    assert retired(plan) == [3]


def test_a_declined_container_is_still_its_clients(plan: Plan) -> None:
    owned(plan, "ann", 1)
    plan.come("ann")
    plan.tell(DispatchDeclined(box(1), "python", "ann"))
    plan.dispatched()
    plan.come("bob")
    assert plan.matched() == []


# -------------------------------------------------------------------------- slots


FREED = {
    "its job has ended": SlotFreed(box(1)),
    "it is idle again": ContainerIdle(box(1), "python"),
    "it is gone": ContainerGone(box(1), "python"),
    "nothing waited": DispatchDeclined(box(1), "python", "ann"),
}


@pytest.mark.parametrize("message", FREED.values(), ids=FREED)
def test_a_slot_is_freed_once_however_often_it_is_heard(
    world: World, message: object
) -> None:
    # Given as many jobs as there are slots
    plan = Plan(world, running_max=2)
    plan.wait(2)
    plan.idle(1)
    plan.idle(2)
    assert plan.dispatched() == [1, 2]
    plan.idle(1, 2, 3, language="c")
    plan.wait(3, "c")
    assert plan.dispatched("c") == []
    # When one slot is freed, and we hear it three times
    plan.tell(message, message, message)
    # Then one job more is run
    assert len(plan.dispatched("c")) == 1


def test_a_declined_container_is_idle_as_before(plan: Plan) -> None:
    plan.idle(1)
    plan.wait(1)
    plan.tell(DispatchDeclined(box(1), "python", "ann"), waiting("python", 0))
    assert plan.dispatched() == [1]
    plan.wait(1)
    assert plan.dispatched() == [1]


def test_a_declined_container_that_died_is_not_idle(plan: Plan) -> None:
    plan.idle(1)
    plan.wait(1)
    plan.dispatched()
    plan.tell(
        ContainerGone(box(1), "python"), DispatchDeclined(box(1), "python", "ann")
    )
    plan.wait(1)
    assert plan.dispatched() == []


def test_a_container_that_is_gone_gets_no_job(plan: Plan) -> None:
    plan.idle(1, 2)
    plan.tell(ContainerGone(box(2), "python"), ContainerGone(box(3), "python"))
    plan.wait(1)
    assert plan.dispatched() == [1]


def test_an_idle_container_may_say_so_twice(plan: Plan) -> None:
    plan.idle(1, 1)
    plan.wait(2)
    assert plan.dispatched() == [1]


# ------------------------------------------------------------------------ growing


def test_the_first_job_of_a_language_without_containers_is_asked_for_at_once(
    plan: Plan,
) -> None:
    plan.wait(1)
    assert plan.asked_to_grow() == [1]


def test_a_pool_is_asked_for_no_more_than_waits_within_the_slots(plan: Plan) -> None:
    plan.wait(500)
    assert plan.asked_to_grow() == [2]


def test_a_pool_is_asked_as_long_as_a_container_is_missing(plan: Plan) -> None:
    """It may have been started anew, or have lost one; what it starts it counts."""
    plan.wait(1)
    plan.world.clock.advance(2 * SAMPLE_S)
    assert plan.asked_to_grow() == [1, 1, 1]
    plan.idle(1)
    plan.world.clock.advance(2 * SAMPLE_S)
    assert plan.asked_to_grow() == []


def test_a_pool_is_not_asked_while_no_slot_is_free(world: World) -> None:
    plan = Plan(world, running_max=1)
    plan.idle(1)
    plan.wait(9)
    world.clock.advance(2)
    assert plan.asked_to_grow() == []
    plan.tell(SlotFreed(box(1)))
    world.clock.advance(3 * SAMPLE_S)
    assert set(plan.asked_to_grow()) == {1}


def test_a_pool_is_not_asked_while_a_container_is_idle(plan: Plan) -> None:
    plan.idle(1, 2)
    plan.wait(1)
    plan.world.clock.advance(2)
    assert plan.asked_to_grow() == []


def test_a_pool_is_not_asked_for_what_will_have_run_by_then(plan: Plan) -> None:
    # Given jobs that end quickly, and some that wait while their container is scrubbed
    plan.wait(50)
    plan.run_jobs(20, each_s=0.005)
    plan.asked_to_grow()
    plan.wait(20)
    plan.world.clock.advance(SAMPLE_S)
    assert plan.asked_to_grow() == []
    # When one of them takes long
    plan.idle(1)
    plan.world.clock.advance(1)
    assert plan.asked_to_grow()[-1] == 1


def test_a_container_that_is_scrubbed_for_ever_is_not_counted_on(plan: Plan) -> None:
    plan.idle(1)
    plan.wait(1)
    plan.tell(SlotFreed(box(1)))
    plan.wait(1)
    plan.world.clock.advance(SAMPLE_S)
    assert plan.asked_to_grow() == []
    plan.tell(ContainerGone(box(1), "python"))
    # Then one is started at once: nothing else is about to be idle
    assert plan.asked_to_grow() == [1]


def test_a_pool_is_told_of_a_demand_that_keeps_rising(world: World) -> None:
    plan = Plan(world, running_max=60)
    for count in range(1, 40):
        plan.wait(count)
        world.clock.advance(SAMPLE_S)
    told = plan.told_to_expect()
    assert told == sorted(told)
    # One more each tenth of a second, and a start takes a second
    assert 45 <= told[-1] <= 53
    # When it rises no more
    world.clock.advance(4)
    plan.told_to_expect()
    world.clock.advance(4)
    assert plan.told_to_expect() == []


def test_no_more_is_expected_than_there_are_slots(world: World) -> None:
    plan = Plan(world, running_max=4)
    for count in range(1, 20):
        plan.wait(count)
        world.clock.advance(SAMPLE_S)
    assert set(plan.told_to_expect()) <= {2, 3, 4}


def test_a_slow_start_is_asked_for_earlier(world: World) -> None:
    plan = Plan(world, running_max=200)
    plan.tell(*(StartTook("c", 5.0) for _ in range(9)))
    for count in range(1, 31):
        plan.wait(count)
        plan.wait(count, "c")
        world.clock.advance(SAMPLE_S)
    ahead = plan.told_to_expect()[-1] - 30
    assert plan.told_to_expect("c")[-1] - 30 > 3 * ahead > 0


def test_nothing_is_looked_at_when_nothing_happens(world: World, plan: Plan) -> None:
    plan.idle(1)
    plan.wait(1)
    plan.tell(waiting("python", 0), SlotFreed(box(1)))
    world.clock.advance(50 * SAMPLE_S)
    assert world.clock.pending() == []


# ----------------------------------------------------------------------- trimming


def test_those_idle_for_longest_are_retired_first(world: World, plan: Plan) -> None:
    for number in (1, 2, 3):
        plan.idle(number)
        world.clock.advance(10)
    plan.tell(TrimIdle("python", 1, 20))
    assert plan.boxes[box(1)].of(Retire) == [Retire("surplus")]
    plan.tell(TrimIdle("python", 5, 20))
    assert plan.boxes[box(2)].of(Retire) == [Retire("surplus")]
    assert plan.boxes[box(3)].of(Retire) == []
    plan.wait(3)
    assert plan.dispatched() == [3]


def test_trimming_a_language_without_containers_is_nothing(plan: Plan) -> None:
    plan.tell(TrimIdle("cobol", 5, 20))
    plan.wait(1)
    assert plan.asked_to_grow() == [1]


# ----------------------------------------------------------------------- restarts


def test_a_new_scheduler_asks_queues_and_containers_only(plan: Plan) -> None:
    heard = [probe.take() for probe in (*plan.queues.values(), *plan.boxes.values())]
    assert heard == [[ReportState(plan.asker)]] * 8
    assert [pool.take() for pool in plan.pools.values()] == [[], []]


def test_a_new_scheduler_is_rebuilt_from_the_answers(world: World) -> None:
    # Given one container busy, two idle, and a job waiting
    plan = Plan(world, running_max=2)
    plan.idle(1, 2, 3)
    plan.wait(1)
    assert plan.dispatched() == [3]
    # When the scheduler is restarted, and everybody answers
    world.crash("scheduler")
    plan.start()
    plan.hold_no_slot(*(box(number, "c") for number in (1, 2, 3)))
    plan.tell(waiting("python", 5))
    plan.answer(
        ContainerIdle(box(1), "python"), busy(3), ContainerIdle(box(2), "python")
    )
    # Then it counts what runs already
    assert plan.dispatched() == [2]
    plan.tell(SlotFreed(box(3)))
    assert plan.dispatched() == [1]


def test_a_new_scheduler_dispatches_nothing_before_it_has_heard_all(
    world: World,
) -> None:
    # Given a budget that one busy container takes up, and that one answers last
    plan = Plan(world, running_max=1)
    world.crash("scheduler")
    plan.start()
    plan.hold_no_slot(box(2), box(3), box(1, "c"), box(2, "c"))
    plan.wait(1)
    plan.answer(ContainerIdle(box(1), "python"))
    assert plan.dispatched() == []
    plan.answer(busy(3, "c"))
    assert plan.dispatched() == []
    plan.tell(SlotFreed(box(3, "c")))
    assert plan.dispatched() == [1]


def test_one_that_has_gone_has_answered_too(world: World) -> None:
    plan = Plan(world)
    world.crash("scheduler")
    plan.start()
    plan.hold_no_slot(*(name for name in plan.boxes if name != box(3)))
    plan.wait(1)
    plan.answer(ContainerIdle(box(1), "python"))
    plan.tell(ContainerGone(box(3), "python"))
    assert plan.dispatched() == [1]


def test_what_a_container_tells_by_itself_is_no_answer(world: World) -> None:
    # Given a new scheduler that all but one container have answered
    plan = Plan(world, guests_max=1)
    world.crash("scheduler")
    plan.start()
    plan.hold_no_slot(*(name for name in plan.boxes if name != box(1)))
    plan.wait(2)
    # When that one tells that it is idle, as it did before it was asked
    plan.idle(1)
    assert plan.dispatched() == []
    # Then its answer is not taken for a job's end, and one job is dispatched there
    plan.answer(ContainerIdle(box(1), "python"))
    assert plan.dispatched() == [1]


def test_an_answer_to_a_predecessor_is_none(world: World) -> None:
    plan = Plan(world)
    before = plan.asker
    world.crash("scheduler")
    plan.start()
    plan.hold_no_slot(*(name for name in plan.boxes if name != box(1)))
    plan.wait(1)
    plan.tell(ContainerIdle(box(1), "python", answers=before))
    assert plan.dispatched() == []


def test_who_does_not_answer_does_not_hold_up_all(world: World) -> None:
    plan = Plan(world)
    world.crash("scheduler")
    plan.start()
    plan.wait(1)
    plan.answer(ContainerIdle(box(1), "python"))
    world.clock.advance(HEAR_S)
    assert plan.dispatched() == [1]


def test_a_busy_container_is_not_idle_whatever_was_said_before(plan: Plan) -> None:
    plan.idle(1)
    plan.tell(busy(1))
    plan.wait(1)
    assert plan.dispatched() == []
