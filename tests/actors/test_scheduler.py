"""The scheduler: waiting jobs to idle containers within the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.messages import (
    ContainerBusy,
    ContainerGone,
    ContainerIdle,
    DispatchDeclined,
    DispatchJob,
    GrowPool,
    JobsWaiting,
    PoolStarted,
    ReportState,
    Retire,
    SlotFreed,
    TrimIdle,
)
from actors.scheduler import HEAR_S, Scheduler

if TYPE_CHECKING:
    from actor_world import Probe, World


def box(number: int, language: str = "python") -> str:
    return f"root/languages/{language}/pool/{number}"


class Plan:
    """A scheduler between the queues, pools and containers of two languages."""

    def __init__(self, world: World, running_max: int = 2) -> None:
        self.world = world
        self.running_max = running_max
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
        self.world.start(Scheduler, "scheduler", "root/languages/", self.running_max)

    def hold_no_slot(self, *names: str) -> None:
        self.tell(*(SlotFreed(name) for name in names))

    def tell(self, *messages: object) -> None:
        self.world.tell("scheduler", *messages)

    def idle(self, *numbers: int, language: str = "python") -> None:
        self.tell(*(ContainerIdle(box(n, language), language) for n in numbers))

    def wait(self, count: int, language: str = "python") -> None:
        self.tell(JobsWaiting(language, count))

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


def test_who_was_busy_last_is_first(plan: Plan) -> None:
    plan.idle(1, 2, 3)
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


# -------------------------------------------------------------------------- slots


FREED = {
    "its job has ended": SlotFreed(box(1)),
    "it is idle again": ContainerIdle(box(1), "python"),
    "it is gone": ContainerGone(box(1), "python"),
    "nothing waited": DispatchDeclined(box(1)),
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
    plan.tell(DispatchDeclined(box(1)), JobsWaiting("python", 0))
    assert plan.dispatched() == [1]
    plan.wait(1)
    assert plan.dispatched() == [1]


def test_a_declined_container_that_died_is_not_idle(plan: Plan) -> None:
    plan.idle(1)
    plan.wait(1)
    plan.dispatched()
    plan.tell(ContainerGone(box(1), "python"), DispatchDeclined(box(1)))
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


def test_a_pool_is_asked_to_grow_by_what_waits_within_the_slots(plan: Plan) -> None:
    plan.wait(1)
    assert plan.asked_to_grow() == [1]
    plan.wait(5)
    assert plan.asked_to_grow() == [2]


def test_a_pool_is_not_asked_the_same_twice(plan: Plan) -> None:
    plan.wait(3)
    plan.wait(3)
    plan.wait(4)
    assert plan.asked_to_grow() == [2]


def test_a_pool_is_not_asked_while_no_slot_is_free(world: World) -> None:
    plan = Plan(world, running_max=1)
    plan.idle(1)
    plan.wait(2)
    assert plan.asked_to_grow() == []
    plan.tell(SlotFreed(box(1)))
    assert plan.asked_to_grow() == [1]


def test_a_pool_is_not_asked_while_a_container_is_idle(plan: Plan) -> None:
    plan.idle(1)
    plan.wait(1)
    plan.tell(SlotFreed(box(1)))
    assert plan.asked_to_grow() == []


def test_a_pool_that_lost_a_container_is_asked_again(plan: Plan) -> None:
    plan.wait(1)
    assert plan.asked_to_grow() == [1]
    plan.tell(ContainerGone(box(1), "python"))
    assert plan.asked_to_grow() == [1]


def test_a_new_pool_is_asked_again(world: World, plan: Plan) -> None:
    # Given a pool that was asked to grow, and is being restarted
    plan.wait(1)
    plan.asked_to_grow()
    world.directory.strike("root/languages/python/pool", plan.pools["python"].ref)
    plan.tell(ContainerGone(box(1), "python"))
    # When the new one, which knows nothing of it, has started
    plan.pools["python"] = world.probe("root/languages/python/pool")
    plan.tell(PoolStarted("python"))
    assert plan.asked_to_grow() == [1]


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
    assert heard == [[ReportState()]] * 8
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
    plan.tell(
        JobsWaiting("python", 5),
        ContainerIdle(box(1), "python"),
        ContainerBusy(box(3), "python"),
        ContainerIdle(box(2), "python"),
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
    plan.tell(JobsWaiting("python", 1), ContainerIdle(box(1), "python"))
    assert plan.dispatched() == []
    plan.tell(ContainerBusy(box(3, "c"), "c"))
    assert plan.dispatched() == []
    plan.tell(SlotFreed(box(3, "c")))
    assert plan.dispatched() == [1]


def test_one_that_has_gone_has_answered_too(world: World) -> None:
    plan = Plan(world)
    world.crash("scheduler")
    plan.start()
    plan.hold_no_slot(*(name for name in plan.boxes if name != box(3)))
    plan.tell(JobsWaiting("python", 1), ContainerIdle(box(1), "python"))
    plan.tell(ContainerGone(box(3), "python"))
    assert plan.dispatched() == [1]


def test_who_does_not_answer_does_not_hold_up_all(world: World) -> None:
    plan = Plan(world)
    world.crash("scheduler")
    plan.start()
    plan.tell(JobsWaiting("python", 1), ContainerIdle(box(1), "python"))
    world.clock.advance(HEAR_S)
    assert plan.dispatched() == [1]


def test_a_busy_container_is_not_idle_whatever_was_said_before(plan: Plan) -> None:
    plan.idle(1)
    plan.tell(ContainerBusy(box(1), "python"))
    plan.wait(1)
    assert plan.dispatched() == []
