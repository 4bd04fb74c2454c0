"""When another container pays, and what a rising demand lets one expect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.demand import JOB_S, SAMPLE_S, START_S, Demand

SEEN = 30
BEGUN = 3


def demand_of(*samples: int) -> Demand:
    demand = Demand()
    for sample in samples:
        demand.sample(sample, is_starved=False)
    return demand


def after_jobs_of(seconds: float) -> Demand:
    """Return a demand after many jobs of that length, while others begin to wait."""
    demand = Demand()
    for _ in range(30):
        demand.job_took(seconds)
    for _ in range(BEGUN):
        demand.sample(3, is_starved=True)
    return demand


# ----------------------------------------------------------------- whether it pays


def test_what_will_have_run_by_then_needs_no_container() -> None:
    # Given jobs of which two containers run two hundred in the time of a start
    demand = after_jobs_of(START_S / 100)
    assert demand.missing(199, [0.0], present=2) == 0
    assert demand.missing(201, [0.0], present=2) == 1


def test_what_has_only_begun_to_wait_needs_no_other_container() -> None:
    demand = after_jobs_of(5 * START_S)
    assert demand.missing(10, [], present=2) > 0
    demand.sample(3, is_starved=False)
    demand.sample(3, is_starved=True)
    assert demand.missing(10, [], present=2) == 0
    assert demand.missing(10, [], present=0) > 0


def test_long_jobs_need_a_container_each_and_more() -> None:
    assert after_jobs_of(5 * START_S).missing(10, [], present=2) >= 10


def test_while_nothing_is_known_few_are_started() -> None:
    assert Demand().missing(1, [], present=0) == 1
    assert Demand().missing(100, [], present=0) == 100 * JOB_S / START_S


def test_what_runs_for_longer_than_usual_becomes_usual() -> None:
    demand = after_jobs_of(START_S / 100)
    assert demand.missing(10, [START_S / 5, START_S / 5], present=2) == 0
    assert demand.missing(10, [START_S, START_S], present=2) == 8


def test_a_start_is_as_long_as_starts_were() -> None:
    demand = after_jobs_of(START_S / 100)
    assert demand.missing(99, [], present=1) == 0
    for _ in range(30):
        demand.start_took(START_S / 2)
    assert demand.missing(99, [], present=1) == 1


def test_what_waits_for_as_long_as_a_start_takes_counts_whole() -> None:
    demand = after_jobs_of(START_S / 100)
    for _ in range(round(START_S / SAMPLE_S) - BEGUN):
        demand.sample(3, is_starved=True)
    assert demand.missing(4, [0.0], present=1) == 0
    demand.sample(3, is_starved=True)
    assert demand.missing(4, [0.0], present=1) == 4
    demand.sample(3, is_starved=False)
    assert demand.missing(4, [0.0], present=1) == 0


# ------------------------------------------------------------------ what to expect


def test_a_rise_that_goes_on_is_followed_ahead() -> None:
    # One more each second: a container asked for now is there for the next.
    rising = [int(i * SAMPLE_S + 0.01) for i in range(50)]
    assert demand_of(*rising).expected() == rising[-1] + 2


@pytest.mark.parametrize(
    "samples",
    [
        [0] * 29 + [4],
        [0] * 20 + [4] * 10,
        [0] * 10 + [4] * 20,
        [4] * 30,
        [4, 3, 4, 5, 4] * 6,
        list(range(30, 0, -1)),
    ],
    ids=["just now", "a step", "a step of before", "level", "noise", "falling"],
)
def test_what_is_no_trend_is_not_followed(samples: list[int]) -> None:
    assert demand_of(*samples).expected() == samples[-1]


@given(st.lists(st.integers(0, 1000), max_size=60))
def test_never_less_than_there_is_nor_beyond_what_the_rise_allows(
    samples: list[int],
) -> None:
    demand = demand_of(*samples)
    seen = [0] * SEEN + samples
    assert seen[-1] <= demand.expected() <= 3 * max(seen[-SEEN:])


def test_it_is_over_when_all_that_was_seen_is_nothing() -> None:
    demand = demand_of(3)
    assert not demand.is_over
    for _ in range(SEEN):
        demand.sample(0, is_starved=False)
    assert demand.is_over
