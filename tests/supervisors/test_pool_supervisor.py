"""The pool: filled, replaced, grown, paused with back-off, trimmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actor_world import World, settle
from child_twin import Log

from actors.messages import (
    ChildExited,
    ContainerFailed,
    ContainerReady,
    DescribePool,
    ExpectDemand,
    GrowPool,
    PoolStatus,
    ReportState,
    StartTook,
    TrimIdle,
)
from metrics.instruments import REGISTRY
from metrics.live import LIVE, PoolFact
from supervisors.backoff import Backoff
from supervisors.pool_supervisor import PoolSize, PoolSupervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.directory import AnyRef

POOL = "root/languages/python/pool"
BACKOFF = Backoff(first_s=1, max_s=4, jitter=lambda: 1)


class Pool:
    """A pool of children that are containers by name only."""

    def __init__(
        self, world: World, warm: int = 2, size_max: int = 4, guests: int = 0
    ) -> None:
        self.world = world
        self.log = Log()
        self.scheduler = world.probe("scheduler")
        self.fleet = world.probe("fleet")
        world.start(
            PoolSupervisor,
            POOL,
            "python",
            PoolSize(warm, size_max, idle_s=60, guests=guests),
            self.log.start,
            "scheduler",
            BACKOFF,
            "fleet",
        )

    def tell(self, *messages: object) -> None:
        self.world.tell(POOL, *messages)

    def living(self) -> list[int]:
        settle()
        names = self.world.directory.names(f"{POOL}/")
        return sorted(int(name.rsplit("/", 1)[-1]) for name in names)

    def ready(self, *numbers: int) -> None:
        self.tell(*(ContainerReady(f"{POOL}/{n}") for n in numbers))

    def fail(self, number: int, reason: str = "no image") -> None:
        """Have a container fail as a real one does: say so, then end."""
        self.tell(ContainerFailed(f"{POOL}/{number}", reason))
        self.world.stop(f"{POOL}/{number}")

    def retire(self, number: int) -> None:
        self.world.stop(f"{POOL}/{number}")

    def status(self) -> PoolStatus:
        found = self.world.ask(POOL, DescribePool())
        assert isinstance(found, PoolStatus)
        return found

    def ref(self, number: int) -> AnyRef:
        return self.world.directory._refs[f"{POOL}/{number}"]  # noqa: SLF001 - to see


@pytest.fixture
def pool(world: World) -> Pool:
    return Pool(world)


# ---------------------------------------------------------------- filling, replacing


def test_a_pool_is_filled_to_its_warm_size(pool: Pool) -> None:
    assert pool.living() == [1, 2]
    assert pool.status() == PoolStatus("python", ready=0, starting=2, paused="")
    pool.ready(1)
    assert pool.status() == PoolStatus("python", ready=1, starting=1, paused="")


def test_one_that_has_ended_is_replaced_under_its_name(pool: Pool) -> None:
    pool.ready(1, 2)
    old = pool.ref(1)
    pool.retire(1)
    assert pool.living() == [1, 2]
    assert pool.ref(1) is not old
    assert pool.status() == PoolStatus("python", ready=1, starting=1, paused="")


def test_a_notice_of_a_predecessor_is_stale(pool: Pool) -> None:
    old = pool.ref(1).actor_urn
    pool.retire(1)
    pool.log.take()
    notice = ChildExited(f"{POOL}/1", old, crashed=True, reason="")
    pool.tell(notice, ChildExited(f"{POOL}/9", old, crashed=True, reason=""))
    assert pool.log.take() == []
    assert pool.status().paused == ""


def test_a_pool_may_keep_nothing_warm(world: World) -> None:
    pool = Pool(world, warm=0)
    assert pool.living() == []
    pool.tell(GrowPool(1))
    assert pool.living() == [1]


# ----------------------------------------------------------------- telling the fleet


def test_the_fleet_is_told_whenever_the_pool_stands_otherwise(
    world: World, pool: Pool
) -> None:
    assert pool.fleet.take() == [PoolStatus("python", 0, 2, "")]
    pool.ready(1)
    assert pool.fleet.take() == [PoolStatus("python", 1, 1, "")]
    pool.ready(1)
    assert pool.fleet.take() == []
    pool.fail(2, "no such image")
    assert pool.fleet.take() == [
        PoolStatus("python", 1, 1, "no such image"),
        PoolStatus("python", 1, 0, "no such image"),
    ]
    world.clock.advance(1)
    assert pool.fleet.take() == [PoolStatus("python", 1, 1, "")]


def test_a_new_fleet_is_told_all_anew(pool: Pool) -> None:
    pool.fleet.take()
    pool.tell(ReportState())
    assert pool.fleet.take() == [PoolStatus("python", 0, 2, "")]


@pytest.mark.parametrize("crashing", [False, True])
def test_the_fleet_hears_of_a_pools_end(
    world: World, pool: Pool, crashing: bool
) -> None:
    pool.fleet.take()
    if crashing:
        world.crash(POOL)
    else:
        world.stop(POOL)
    (status,) = pool.fleet.take()
    assert (status.ready, status.starting) == (0, 0)
    assert status.paused


# ------------------------------------------------------------------------- growing


def test_a_pool_grows_by_what_is_wanted(pool: Pool) -> None:
    pool.ready(1, 2)
    pool.tell(GrowPool(1))
    assert pool.living() == [1, 2, 3]


def test_those_that_are_starting_count(pool: Pool) -> None:
    pool.tell(GrowPool(2))
    assert pool.living() == [1, 2]
    pool.tell(GrowPool(3))
    pool.tell(GrowPool(3))
    assert pool.living() == [1, 2, 3]


def test_a_pool_grows_to_its_maximum_and_no_further(pool: Pool) -> None:
    pool.ready(1, 2)
    pool.tell(GrowPool(50), GrowPool(50))
    assert pool.living() == [1, 2, 3, 4]


def test_for_guests_a_pool_grows_beyond_its_maximum(world: World) -> None:
    pool = Pool(world, guests=2)
    pool.ready(1, 2)
    pool.tell(GrowPool(9, guests=1))
    assert pool.living() == [1, 2, 3, 4]
    pool.ready(3, 4)
    # Those that start already are counted
    pool.tell(GrowPool(9, guests=1), GrowPool(9, guests=1))
    assert pool.living() == [1, 2, 3, 4, 5]
    pool.ready(5)
    pool.tell(GrowPool(9), GrowPool(1, guests=9))
    assert pool.living() == [1, 2, 3, 4, 5, 6]
    pool.ready(6)
    pool.tell(GrowPool(9, guests=9))
    assert pool.living() == [1, 2, 3, 4, 5, 6]


def test_a_grown_pool_keeps_its_size(pool: Pool) -> None:
    pool.ready(1, 2)
    pool.tell(GrowPool(2))
    pool.ready(3, 4)
    pool.retire(2)
    assert pool.living() == [1, 2, 3, 4]


def test_a_pool_starts_ahead_of_what_is_expected(pool: Pool) -> None:
    pool.ready(1, 2)
    pool.tell(ExpectDemand(2))
    assert pool.living() == [1, 2]
    pool.tell(ExpectDemand(3), ExpectDemand(3))
    assert pool.living() == [1, 2, 3]
    pool.tell(ExpectDemand(9))
    assert pool.living() == [1, 2, 3, 4]
    pool.tell(ExpectDemand(1))
    assert pool.living() == [1, 2, 3, 4]


def test_the_scheduler_is_told_how_long_starts_take(world: World, pool: Pool) -> None:
    pool.scheduler.take()
    world.clock.advance(0.75)
    pool.ready(1)
    assert pool.scheduler.take() == [StartTook("python", 0.75)]
    pool.ready(1)
    assert pool.scheduler.take() == []
    # One that is made anew counts from its own start.
    pool.retire(1)
    world.clock.advance(0.5)
    pool.ready(1)
    assert pool.scheduler.take() == [StartTook("python", 0.5)]


# ---------------------------------------------------------------- pausing, back-off


def test_a_failure_pauses_the_pool_and_says_why(world: World, pool: Pool) -> None:
    pool.fail(1, "no such image")
    assert pool.living() == [2]
    assert pool.status().paused == "no such image"
    world.clock.advance(0.9)
    assert pool.living() == [2]
    world.clock.advance(0.1)
    assert pool.living() == [1, 2]
    assert pool.status().paused == ""


def test_a_failure_without_a_reason_pauses_too(pool: Pool) -> None:
    pool.fail(1, "")
    assert pool.status().paused == "failed"
    assert pool.living() == [2]


def test_failure_after_failure_is_waited_for_longer(world: World) -> None:
    pool = Pool(world, warm=1)
    waits = []
    for _ in range(5):
        pool.fail(1)
        first = min(timer.at for timer in world.clock.pending())
        waits.append(first - world.clock.now())
        world.clock.advance(waits[-1])
    assert waits == [1, 2, 4, 4, 4]


def test_those_that_fail_together_are_one_failure(world: World, pool: Pool) -> None:
    pool.fail(1)
    pool.fail(2)
    world.clock.advance(1)
    assert pool.living() == [1, 2]


def test_one_that_is_ready_ends_the_counting(world: World) -> None:
    pool = Pool(world, warm=1)
    for _ in range(2):
        pool.fail(1)
        world.clock.advance(4)
    pool.ready(1)
    pool.fail(1)
    world.clock.advance(1)
    assert pool.living() == [1]


def test_a_paused_pool_does_not_grow_before_it_goes_on(
    world: World, pool: Pool
) -> None:
    pool.ready(1, 2)
    pool.fail(1)
    pool.tell(GrowPool(2))
    assert pool.living() == [2]
    world.clock.advance(1)
    assert pool.living() == [1, 2, 3]


def test_a_crash_is_counted_and_pauses_like_a_failure(world: World, pool: Pool) -> None:
    def restarts() -> float:
        labels = {"child": f"{POOL}/n"}
        return REGISTRY.get_sample_value("warmbox_restarts_total", labels) or 0

    before = restarts()
    world.crash(f"{POOL}/2")
    assert restarts() - before == 1
    assert pool.status().paused.startswith("TypeError")
    assert pool.living() == [1]
    world.clock.advance(1)
    assert pool.living() == [1, 2]


def test_each_restart_says_its_reason_its_attempt_and_its_delay(
    world: World, pool: Pool
) -> None:
    LIVE.happenings.clear()
    pool.fail(1, "no such image")
    world.clock.advance(0.25)
    world.crash(f"{POOL}/2")
    world.clock.advance(0.75)
    pool.fail(1, "")
    told = [(one.name, one.attempt, one.delay_s) for one in LIVE.happenings]
    assert told == [(f"{POOL}/1", 1, 1), (f"{POOL}/2", 1, 0.75), (f"{POOL}/1", 2, 2)]
    reasons = [one.reason for one in LIVE.happenings]
    assert reasons[::2] == ["no such image", "failed"]
    assert reasons[1].startswith("TypeError")


def test_one_that_has_done_its_work_is_replaced_without_a_word(pool: Pool) -> None:
    LIVE.happenings.clear()
    pool.ready(1, 2)
    pool.retire(1)
    assert not LIVE.happenings


def test_a_pause_is_known_with_its_end(world: World, pool: Pool) -> None:
    def gauge() -> float | None:
        labels = {"language": "python"}
        return REGISTRY.get_sample_value("warmbox_pool_paused", labels)

    assert LIVE.pools["python"] == PoolFact(0, 2, 2, 4, "", 0)
    pool.fail(1, "no such image")
    end = world.clock.now() + 1
    assert LIVE.pools["python"] == PoolFact(0, 1, 2, 4, "no such image", end)
    assert gauge() == 1
    world.clock.advance(1)
    assert LIVE.pools["python"].paused == ""
    assert gauge() == 0
    world.stop(POOL)
    assert LIVE.pools == {}


# ------------------------------------------------------------------------- trimming


def test_a_pool_above_its_warm_size_has_the_idle_retired(
    world: World, pool: Pool
) -> None:
    pool.ready(1, 2)
    pool.tell(GrowPool(2))
    pool.scheduler.take()
    world.clock.advance(30)
    assert pool.scheduler.take() == [TrimIdle("python", 2, 60)]
    # Those that are retired are not replaced
    pool.retire(3)
    assert pool.living() == [1, 2, 4]
    world.clock.advance(30)
    assert pool.scheduler.take() == [TrimIdle("python", 1, 60)]
    pool.retire(4)
    pool.retire(1)
    assert pool.living() == [1, 2]


def test_a_pool_of_its_warm_size_is_left_alone(world: World, pool: Pool) -> None:
    pool.scheduler.take()
    world.clock.advance(300)
    assert pool.scheduler.take() == []


# ------------------------------------------------------------------------------ end


@pytest.mark.parametrize("crashing", [False, True])
def test_all_containers_end_with_their_pool(
    world: World, pool: Pool, crashing: bool
) -> None:
    pool.log.take()
    if crashing:
        world.crash(POOL)
    else:
        world.stop(POOL)
    assert pool.log.take() == ["stop 1", "stop 2"]
    assert pool.living() == []
    (notice,) = world.exits()
    assert notice.crashed is crashing


def test_those_that_do_not_end_are_abandoned_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a pool whose containers all hang
    def abandoned() -> float:
        labels = {"child": f"{POOL}/n"}
        return REGISTRY.get_sample_value("warmbox_abandoned_total", labels) or 0

    before, waits = abandoned(), []
    pool = Pool(world)
    pool.log.blocking |= {"1", "2"}

    def give_up(gone: Sequence[object], timeout: float) -> list[object]:
        waits.append((len(gone), timeout))
        return []

    monkeypatch.setattr("supervisors.pool_supervisor.gevent.wait", give_up)
    # When it ends, then it waits once for both
    world.stop(POOL)
    assert waits == [(2, 5)]
    assert abandoned() - before == 2
    pool.log.gate.set()


def test_a_pool_has_ended_when_its_containers_have(world: World, pool: Pool) -> None:
    # Given a container that takes its time to go
    pool.log.blocking.add("1")
    ref = world.directory._refs[POOL]  # noqa: SLF001 - to stop it without waiting
    ref.stop(block=False)
    settle()
    assert world.exits() == []
    # Then the others do not wait for it, but the pool does
    assert "stop 2" in pool.log.take()
    pool.log.gate.set()
    assert [notice.name for notice in world.exits()] == [POOL]
