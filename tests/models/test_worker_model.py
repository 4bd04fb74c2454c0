"""No order of events breaks a worker, and each bug that is put into it is found."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from seeded_bugs import BUGS
from worker_machine import Worker

from actors import scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THOROUGH = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
HUNT = settings(
    THOROUGH,
    max_examples=5000,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)
"""The first order of events that shows a bug is enough, and is the same each time."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Crashes are what this is about: thousands, each with its traceback."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the demand looked at every few seconds: here, time passes in large steps."""
    monkeypatch.setattr(scheduler, "SAMPLE_S", 5.0)


def test_whatever_happens_each_job_ends_once() -> None:
    run_state_machine_as_test(Worker, settings=THOROUGH)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_is_found(
    monkeypatch: pytest.MonkeyPatch, bug: Callable[[pytest.MonkeyPatch], None]
) -> None:
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Worker, settings=HUNT)
