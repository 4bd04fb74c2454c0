"""Turns: by client, one after the other, and mostly none is needed."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from gateway.turns import AROUND_S, AT_ONCE_MAX, Turns


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    monkeypatch.setattr("gateway.turns.WINDOW_S", 60)
    return Turns()


def test_a_client_with_many_waits_as_long_as_one_with_few(turns: Turns) -> None:
    order: list[str] = []

    def work(client: str) -> None:
        for _ in range(2):
            turns.wait(client)
            order.append(client)

    greedy = [gevent.spawn(work, "greedy") for _ in range(20)]
    gevent.sleep(0)
    gevent.joinall([gevent.spawn(work, "modest")], raise_error=True)
    # When the modest one has had both of its turns, the other has not had many more
    assert order.index("modest") <= 2
    assert len(order) <= 6
    gevent.joinall(greedy, raise_error=True)
    assert turns.taken == len(order) == 42


def test_who_is_alone_waits_for_no_turn_but_lets_others_go_ahead() -> None:
    now = 100.0
    turns = Turns(lambda: now)
    others: list[str] = []
    turns.note("a")
    gevent.spawn(others.append, "went")
    turns.wait("a")
    assert (turns.taken, others) == (0, ["went"])
    # When somebody else has begun something, then turns are needed for a while
    turns.note("b")
    turns.note("a")
    turns.wait("a")
    assert turns.taken == 1
    now += AROUND_S
    turns.wait("a")
    assert turns.taken == 1


def test_who_comes_meanwhile_is_served_between_turns(turns: Turns) -> None:
    # Given somebody who could always go on
    stop, served = Event(), []

    def work() -> None:
        while not stop.is_set():
            turns.wait("greedy")

    greedy = [gevent.spawn(work) for _ in range(8)]
    # When others can run as well, each is between two turns
    for _ in range(20):
        gevent.sleep(0)
        served.append(turns.taken)
    assert served[-1] - served[0] <= 20
    stop.set()
    gevent.joinall(greedy, raise_error=True)


def test_few_are_woken_at_once_and_a_crowd_in_turns(turns: Turns) -> None:
    woken: list[int] = []
    crowd = AT_ONCE_MAX + 10
    for number in range(crowd):
        turns.wake("a", lambda number=number: woken.append(number))  # type: ignore[misc]
    assert woken == [*range(AT_ONCE_MAX)]
    with gevent.Timeout(10):
        while len(woken) < crowd:
            gevent.sleep(0.001)
    assert woken == [*range(crowd)]
    assert turns.taken == 10


def test_a_busy_process_gives_turns_too(turns: Turns) -> None:
    stop = Event()

    def spin() -> None:
        while not stop.is_set():
            gevent.sleep(0)

    busy = gevent.spawn(spin)
    with gevent.Timeout(10):
        turns.wait("a")
    stop.set()
    busy.join()
