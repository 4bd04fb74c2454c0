"""What can run where: told by pools here, and by reports from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.fleet import (
    CLOCKS_S,
    COUNTS_S,
    ECHO_AWAITED_S,
    ECHO_S,
    FRESH_S,
    REPORT_S,
    SOON_S,
    TICK_S,
    WORKERS_MAX,
    Fleet,
)
from actors.messages import (
    AwaitEcho,
    DescribeFleet,
    FleetStatus,
    LanguageStatus,
    PoolStatus,
    PublishReport,
    ReportState,
    WorkerReport,
    WorkerReported,
)

if TYPE_CHECKING:
    from actor_world import World

FLEET = "root/fleet"
VERSIONS = {"python": "Python 3.13.5"}
EPOCH = 1e9
HERE = LanguageStatus("python", "Python 3.13.5", 2, 1, "")


class Company:
    """A fleet, the pools it asks, and the broker that it publishes on."""

    def __init__(self, world: World, broker: str | None = "broker") -> None:
        self.world = world
        self.broker = world.probe("broker")
        self.pool = world.probe("languages/python/pool")
        self.epoch = EPOCH
        arguments = ("me", VERSIONS, "languages/", broker, lambda: self.epoch)
        world.start(Fleet, FLEET, *arguments)

    def stands(self, ready: int, starting: int = 0, paused: str = "") -> None:
        self.world.tell(FLEET, PoolStatus("python", ready, starting, paused))

    def reported(
        self, worker: str, *languages: LanguageStatus, at: float = EPOCH
    ) -> None:
        report = WorkerReport(worker, at, languages)
        self.world.tell(FLEET, WorkerReported(report))

    def published(self) -> list[WorkerReport]:
        told = self.broker.take()
        assert all(isinstance(one, PublishReport) for one in told)
        return [one.report for one in told]

    def status(self) -> FleetStatus:
        found = self.world.ask(FLEET, DescribeFleet())
        assert isinstance(found, FleetStatus)
        return found


@pytest.fixture
def company(world: World) -> Company:
    return Company(world)


def test_it_asks_the_pools_that_are_there_already(world: World) -> None:
    queue = world.probe("languages/python/queue")
    company = Company(world)
    assert company.pool.take() == [ReportState()]
    assert queue.take() == []


def test_pools_here_are_described(company: Company) -> None:
    assert company.status() == FleetStatus(0, ())
    company.stands(2, 1)
    assert company.status() == FleetStatus(1, (HERE,))


# ------------------------------------------------------------------------ publishing


def test_a_change_is_published_soon_and_a_burst_once(company: Company) -> None:
    company.stands(1)
    company.stands(2, 1)
    assert company.published() == []
    company.world.clock.advance(SOON_S)
    assert company.published() == [WorkerReport("me", EPOCH, (HERE,))]


def test_without_a_change_a_report_goes_out_at_intervals(company: Company) -> None:
    company.stands(2, 1)
    company.world.clock.advance(SOON_S + 3 * REPORT_S)
    assert len(company.published()) == 4


def test_a_worker_that_stops_takes_its_languages_back(company: Company) -> None:
    company.stands(2, 1)
    company.broker.take()
    company.world.stop(FLEET)
    assert company.published() == [WorkerReport("me", EPOCH, ())]


def test_one_that_crashes_says_nothing(company: Company) -> None:
    company.world.crash(FLEET)
    assert company.published() == []


def test_nothing_is_published_that_nobody_else_reads(world: World) -> None:
    company = Company(world, broker=None)
    company.stands(2, 1)
    world.clock.advance(60)
    assert company.status().languages == (HERE,)
    world.stop(FLEET)
    assert company.published() == []


# --------------------------------------------------------------------------- reports


def test_all_workers_are_summed_up(company: Company) -> None:
    company.stands(2, 1)
    company.reported("a", LanguageStatus("python", "3.14", 3, 0, ""))
    company.reported(
        "b",
        LanguageStatus("python", "3.14", 0, 0, "no engine"),
        LanguageStatus("c", "gcc 14", 0, 0, "no image"),
    )
    status = company.status()
    assert status.workers == 3
    assert {one.name: one for one in status.languages} == {
        "python": LanguageStatus("python", "3.14", 5, 1, ""),
        "c": LanguageStatus("c", "gcc 14", 0, 0, "no image"),
    }


def test_what_we_say_of_ourselves_does_not_count_twice(company: Company) -> None:
    company.stands(2, 1)
    company.reported("me", LanguageStatus("python", "old", 5, 0, ""))
    assert company.status() == FleetStatus(1, (HERE,))


def test_a_worker_that_is_silent_counts_no_more(company: Company) -> None:
    company.reported("a", HERE)
    company.world.clock.advance(COUNTS_S - 1)
    assert company.status().workers == 1
    company.world.clock.advance(1)
    assert company.status() == FleetStatus(0, ())


def test_a_worker_that_has_left_counts_no_more(company: Company) -> None:
    company.reported("a", HERE)
    company.reported("a", at=EPOCH + 1)
    assert company.status() == FleetStatus(0, ())


def test_old_news_changes_nothing(company: Company) -> None:
    company.reported("a", HERE)
    company.reported("a", LanguageStatus("python", "", 9, 0, ""), at=EPOCH - 1)
    company.reported("b", HERE, at=EPOCH - COUNTS_S - CLOCKS_S - 1)
    assert company.status() == FleetStatus(1, (HERE,))


def test_what_the_stream_says_of_the_past_counts_for_less_long(
    company: Company,
) -> None:
    """Else a worker that has just died lives on at a gateway that starts."""
    company.reported("a", HERE, at=EPOCH - 5)
    company.reported("b", HERE, at=EPOCH - COUNTS_S)
    company.world.clock.advance(FRESH_S - 0.1)
    assert company.status().workers == 2
    company.world.clock.advance(0.1)
    assert company.status().workers == 1
    company.world.clock.advance(COUNTS_S - 5 - FRESH_S)
    assert company.status().workers == 0


def test_a_clock_that_is_somewhat_late_is_borne(company: Company) -> None:
    for n in range(5):
        company.epoch = EPOCH + n * REPORT_S
        company.reported("a", HERE, at=company.epoch - CLOCKS_S)
        company.world.clock.advance(REPORT_S)
        assert company.status().workers == 1


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_worker_counts_whatever_its_clock_says_if_it_comes_at_its_pace(
    company: Company, step_s: float
) -> None:
    """Ours or its own was set; a report says the same as a step of either."""
    for n in range(12):
        company.reported("a", HERE, at=EPOCH + step_s + n * REPORT_S)
        company.epoch = EPOCH + n * REPORT_S
        company.world.clock.advance(REPORT_S)
        assert company.status().workers == (step_s > 0 or n > 0)


def test_a_worker_whose_clock_was_set_back_says_so_in_no_new_time(
    company: Company,
) -> None:
    """What it says stays just above the newest, and is older with each report."""
    for n in range(60):
        company.epoch = EPOCH + n * REPORT_S
        company.reported("a", HERE, at=EPOCH + n * TICK_S)
        company.world.clock.advance(REPORT_S)
        assert company.status().workers == 1


def test_what_is_read_anew_does_not_come_at_its_pace(company: Company) -> None:
    for n in range(12):
        at = EPOCH - COUNTS_S - CLOCKS_S - 100 + n * REPORT_S
        company.reported("a", HERE, at=at)
        company.world.clock.advance(0.01)
    assert company.status().workers == 0


# ----------------------------------------------------------------------------- echoes


def asked(company: Company, count: int = 1) -> list[str]:
    """Ask for an echo; return where the answers will be."""
    answers: list[str] = []
    for _ in range(count):
        company.world.tell(FLEET, AwaitEcho(lambda: answers.append("heard")))
    return answers


def test_an_echo_is_what_comes_back_from_the_stream(company: Company) -> None:
    answers = asked(company)
    (report,) = company.published()
    assert answers == []
    company.world.tell(FLEET, WorkerReported(report))
    assert answers == ["heard"]


def test_what_was_said_before_is_no_answer(company: Company) -> None:
    company.stands(2, 1)
    company.world.clock.advance(SOON_S)
    (earlier,) = company.published()
    answers = asked(company)
    company.world.tell(FLEET, WorkerReported(earlier))
    assert answers == []
    (later,) = company.published()
    company.world.tell(FLEET, WorkerReported(later))
    assert answers == ["heard"]


def test_who_asks_in_a_crowd_shares_the_next_echo(company: Company) -> None:
    answers = asked(company, 5)
    (first,) = company.published()
    company.world.tell(FLEET, WorkerReported(first))
    assert len(answers) == 1
    company.world.clock.advance(ECHO_S)
    (second,) = company.published()
    company.world.tell(FLEET, WorkerReported(second))
    assert len(answers) == 5
    company.world.clock.advance(1)
    assert company.published() == []


def test_who_has_waited_for_too_long_is_forgotten(company: Company) -> None:
    answers = asked(company)
    (first,) = company.published()
    company.world.clock.advance(ECHO_AWAITED_S + 1)
    asked(company)
    company.world.clock.advance(ECHO_S)
    company.world.tell(FLEET, WorkerReported(first))
    assert answers == []


def test_without_others_there_is_nothing_to_wait_for(world: World) -> None:
    company = Company(world, broker=None)
    assert asked(company) == ["heard"]


# ---------------------------------------------------------------------------- bounds


def test_there_may_be_only_so_many_workers(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.fleet.WORKERS_MAX", 2)
    assert WORKERS_MAX > 2
    for worker in "abc":
        company.reported(worker, HERE)
    assert company.status().workers == 2
    company.reported("a", at=EPOCH + 1)
    assert company.status().workers == 1


def test_a_clock_that_is_set_takes_no_answer_away(company: Company) -> None:
    answers = asked(company)
    (report,) = company.published()
    company.epoch += 3600
    answers_of_another = asked(company)
    company.world.clock.advance(ECHO_S)
    company.world.tell(FLEET, WorkerReported(report))
    assert answers == ["heard"]
    assert answers_of_another == []
