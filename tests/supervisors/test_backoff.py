"""Back-off as a pure value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisors.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(first_s=0.5, max_s=5, jitter=lambda: 1)
    assert [backoff.delay_s(n) for n in range(1, 7)] == [0.5, 1, 2, 4, 5, 5]


def test_the_factor_can_be_chosen() -> None:
    backoff = Backoff(first_s=1, max_s=100, factor=3, jitter=lambda: 1)
    assert [backoff.delay_s(n) for n in (1, 2, 3)] == [1, 3, 9]


def test_each_delay_has_its_own_jitter() -> None:
    factors = iter([0.8, 1.2])
    backoff = Backoff(first_s=1, jitter=lambda: next(factors))
    assert [backoff.delay_s(1), backoff.delay_s(1)] == [0.8, 1.2]


@given(st.integers(1, 10**9))
def test_no_number_of_failures_is_too_much(attempts: int) -> None:
    assert 0 < Backoff().delay_s(attempts) <= 30 * 1.2


@given(st.integers(1, 100))
def test_delays_never_shrink(attempts: int) -> None:
    backoff = Backoff(jitter=lambda: 1)
    assert backoff.delay_s(attempts) <= backoff.delay_s(attempts + 1)
