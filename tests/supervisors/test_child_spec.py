"""What a supervisor knows of a child, and how it counts restarts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.actor import Actor
from supervisors.child_spec import ChildSpec, Intensity, Restart


def test_a_child_is_permanent_unless_said_otherwise() -> None:
    assert ChildSpec("a", Actor.start).restart is Restart.PERMANENT


def test_restarts_add_up_within_the_period() -> None:
    intensity = Intensity(restarts_max=2, period_s=10)
    restarts: list[float] = []
    found = []
    for now in (0, 1, 9.9):
        restarts, exceeded = intensity.add(restarts, now)
        found.append(exceeded)
    assert found == [False, False, True]
    assert restarts == [0, 1, 9.9]


def test_restarts_of_long_ago_are_forgotten() -> None:
    intensity = Intensity(restarts_max=1, period_s=10)
    assert intensity.add([0], 10) == ([10], False)
    assert intensity.add([0.1], 10) == ([0.1, 10], True)


def test_no_restart_at_all_may_be_allowed() -> None:
    assert Intensity(restarts_max=0).add([], 5) == ([5], True)


@given(st.lists(st.floats(0, 10), max_size=30), st.integers(0, 5))
def test_it_is_exceeded_only_by_what_came_within_one_period(
    waits: list[float], restarts_max: int
) -> None:
    intensity = Intensity(restarts_max, period_s=10)
    restarts: list[float] = []
    times: list[float] = []
    now = 0.0
    for wait in waits:
        now += wait
        times.append(now)
        restarts, exceeded = intensity.add(restarts, now)
        recent = [at for at in times if at > now - 10]
        assert exceeded == (len(recent) > restarts_max)
