"""A handful of the scenarios of `make faults`, in every run of the tests."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import of_actors  # noqa: F401 - the scenarios enter themselves
import of_containers  # noqa: F401
import of_processes  # noqa: F401
import pytest
from places import Places
from play import Play
from scenario import SCENARIOS
from schedule import ONE, make_schedule, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenario import Scenario

QUICK = [one for one in SCENARIOS if one.is_quick]


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    with Places() as some:
        yield some


@pytest.mark.docker
@pytest.mark.parametrize("scenario", QUICK, ids=lambda one: one.name)
def test_nobody_notices_more_than_time(places: Places, scenario: Scenario) -> None:
    result = Play.begin(scenario, places.enter(scenario.place)).run()
    print(result)
    assert not result.faults


def test_a_seed_gives_one_schedule() -> None:
    for broker in ("embedded", "rabbitmq"):
        first, again = (make_schedule(7, 600, broker) for _ in range(2))
        assert first == again
        assert first != make_schedule(8, 600, broker)


def test_a_schedule_stays_below_the_roots_intensity() -> None:
    faults = make_schedule(3, 3600, "embedded").faults
    moments = [one.at_s for one in faults if one.name in ONE]
    for number, at_s in enumerate(moments):
        assert sum(at_s <= later < at_s + 30 for later in moments[number:]) <= 5


def test_moments_are_in_order_and_end_in_time() -> None:
    moments = list(times(Random(1), 100, 3, 5))  # noqa: S311 - not for secrets
    assert moments == sorted(moments)
    assert 19 < len(moments) < 34
    assert max(moments) < 100
