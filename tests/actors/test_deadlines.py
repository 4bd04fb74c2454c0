"""Waits with an end."""

from __future__ import annotations

import time
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult, Event

from actors.deadlines import EXACT_S, LOOK_S, Deadlines

WAITS = [0.05, EXACT_S]
"""Seconds: one with a timer of its own, and one that is looked for."""


@pytest.mark.parametrize("seconds", WAITS)
def test_what_comes_in_time_ends_the_wait(seconds: float) -> None:
    deadlines = Deadlines()
    event = Event()
    answer: AsyncResult[int] = AsyncResult()
    gevent.spawn(event.set)
    assert deadlines.within(event, seconds)
    gevent.spawn(answer.set, 7)
    assert deadlines.within(answer, seconds)
    assert answer.value == 7


@pytest.mark.parametrize("seconds", WAITS)
def test_what_is_there_is_not_waited_for(seconds: float) -> None:
    answer: AsyncResult[int] = AsyncResult()
    answer.set(7)
    assert Deadlines().within(answer, seconds)
    assert answer.value == 7


@pytest.mark.parametrize("seconds", WAITS)
@pytest.mark.parametrize("kind", [Event, AsyncResult])
def test_a_wait_ends_at_its_deadline(kind: Any, seconds: float) -> None:
    began = time.monotonic()
    with gevent.Timeout(60):  # far more than a loaded machine makes of it
        assert not Deadlines().within(kind(), seconds)
    assert time.monotonic() - began >= seconds


def test_each_has_its_own_deadline() -> None:
    deadlines = Deadlines()
    short, long = Event(), Event()
    first = gevent.spawn(deadlines.within, short, EXACT_S)
    second = gevent.spawn(deadlines.within, long, EXACT_S + 3 * LOOK_S)
    with gevent.Timeout(60):
        assert not first.get()
        assert not second.ready()
        long.set()
        assert second.get()


def test_one_that_is_left_is_not_looked_for() -> None:
    deadlines = Deadlines()
    event = Event()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        deadlines.within(event, EXACT_S)
    assert not deadlines.within(Event(), EXACT_S)  # which is due later
    assert not event.ready()


def test_after_a_rest_it_looks_again() -> None:
    deadlines = Deadlines()
    for _ in range(2):
        with gevent.Timeout(60):
            assert not deadlines.within(Event(), EXACT_S)
        gevent.sleep(2 * LOOK_S)  # who looked has gone, and tells nobody
