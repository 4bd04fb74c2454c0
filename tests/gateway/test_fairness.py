"""Fairness: who asks much lets others go first, and who is alone waits for nobody."""

from __future__ import annotations

import _socket
import select
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import gevent
import pytest
from gateway_client import Gateway, running

from gateway.connection import Connection
from gateway.fairness import AT_ONCE_MAX, WINDOW_S, Fairness
from gateway.turns import AROUND_S, Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 200
ONE, OTHER = "127.0.0.1", "127.0.0.2"
REQUEST = b"GET /v1/languages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(clock: Clock) -> Turns:
    return Turns(clock)


@pytest.fixture
def fairness(turns: Turns, clock: Clock) -> Fairness:
    return Fairness(turns, clock)


def enter_all(fairness: Fairness, client: str, count: int) -> list[int]:
    """Have so many begin at once; return those that did, before any turn is given."""
    begun: list[int] = []

    def begin(number: int) -> None:
        fairness.enter(client)
        begun.append(number)

    for number in range(count):
        gevent.spawn(begin, number)
    gevent.sleep(0)
    return begun


def test_who_is_alone_is_never_held_up(fairness: Fairness, turns: Turns) -> None:
    assert len(enter_all(fairness, "a", MANY)) == MANY
    assert turns.taken == 0


def test_beside_others_a_few_begin_at_once_and_the_rest_in_turns(
    fairness: Fairness, turns: Turns
) -> None:
    fairness.enter("b")
    begun = enter_all(fairness, "a", 10)
    assert begun == [*range(AT_ONCE_MAX)]
    # Nobody else is kept waiting by that
    assert len(enter_all(fairness, "b", AT_ONCE_MAX - 1)) == AT_ONCE_MAX - 1
    with gevent.Timeout(10):
        while len(begun) < 10:
            gevent.sleep(0.001)
    assert begun == [*range(10)]
    assert turns.taken == 10 - AT_ONCE_MAX


def test_a_few_more_begin_in_the_next_moment(fairness: Fairness, clock: Clock) -> None:
    fairness.enter("b")
    for _ in range(10):
        clock.now += 2 * WINDOW_S
        assert len(enter_all(fairness, "a", AT_ONCE_MAX)) == AT_ONCE_MAX


def test_who_waits_for_a_turn_is_not_overtaken_by_its_own(
    fairness: Fairness, clock: Clock
) -> None:
    fairness.enter("b")
    enter_all(fairness, "a", AT_ONCE_MAX + 1)
    clock.now += 2 * WINDOW_S
    assert enter_all(fairness, "a", 1) == []


def test_who_was_there_a_while_ago_does_not_count(
    fairness: Fairness, clock: Clock
) -> None:
    fairness.enter("b")
    fairness.enter("a")
    clock.now += AROUND_S
    assert len(enter_all(fairness, "a", MANY)) == MANY


def test_who_goes_on_lets_others_go_before(fairness: Fairness, turns: Turns) -> None:
    others: list[None] = []
    gevent.spawn(others.append, None)
    fairness.give_way("a")
    assert (others, turns.taken) == ([None], 0)
    fairness.enter("b")
    for _ in range(AT_ONCE_MAX):
        fairness.give_way("a")
    assert turns.taken == 0
    fairness.give_way("a")
    assert turns.taken == 1


def test_who_is_not_known_yet_waits_for_no_turn(
    fairness: Fairness, turns: Turns
) -> None:
    fairness.enter("b")
    fairness.enter("a")
    fairness.give_way("")
    assert turns.taken == 0


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose requests have been answered, in this order."""
    order: list[str] = []
    answer = Connection.handle_one_response

    def note(connection: Connection) -> None:
        answer(connection)
        order.append(connection.client_address[0])

    monkeypatch.setattr(Connection, "handle_one_response", note)
    return order


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    # However long the machine takes
    monkeypatch.setattr("gateway.turns.AROUND_S", 600)
    monkeypatch.setattr("gateway.fairness.WINDOW_S", 600)
    with running() as one:
        yield one


def ask(stack: ExitStack, port: int, client: str) -> _socket.socket:
    """Send a request, without a turn for the server: it is in this process."""
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    stack.enter_context(closing(sock))
    sock.bind((client, 0))
    sock.connect((ONE, port))
    sock.send(REQUEST)
    return sock


def wait_for_answer(sock: _socket.socket) -> None:
    with gevent.Timeout(30):
        while not select.select([sock], [], [], 0)[0]:
            gevent.sleep(0)


def test_a_request_behind_hundreds_of_another_client_is_answered_before_most(
    gateway: Gateway, answered: list[str]
) -> None:
    with ExitStack() as stack:
        # Given a client that has asked before, and one that asks hundreds of times
        wait_for_answer(ask(stack, gateway.port, OTHER))
        for _ in range(MANY):
            ask(stack, gateway.port, ONE)
        # When the first asks again, behind all of these
        wait_for_answer(ask(stack, gateway.port, OTHER))
        # Then few of them are answered before it
        assert answered.count(ONE) < MANY / 2


def test_all_of_who_is_alone_are_answered_as_they_come(
    gateway: Gateway, answered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Turns, "wait", lambda *_: pytest.fail("a turn is waited for"))
    with ExitStack() as stack:
        socks = [ask(stack, gateway.port, ONE) for _ in range(MANY)]
        for sock in socks:
            wait_for_answer(sock)
    assert answered == [ONE] * MANY
