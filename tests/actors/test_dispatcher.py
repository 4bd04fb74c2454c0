"""The dispatcher: turns, rounds, and handlers that wait although they must not."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import Event

from actors.actor import Actor, Context
from actors.dispatcher import TURNS_MAX, Dispatcher, Mailbox
from actors.messages import CancelJob, FindPosition, ReportState

if TYPE_CHECKING:
    from actor_world import World


@dataclass
class Diary:
    """What several actors did, in order; `open` lets go on who waits."""

    seen: list[str]
    open: Event


class Writer(Actor):
    """Writes down what it is told; some of that makes it wait."""

    def __init__(self, context: Context, diary: Diary) -> None:
        super().__init__(context)
        self._diary = diary

    def report_state(self, _: ReportState) -> None:
        self._diary.seen.append(self.name)

    def find_position(self, _: FindPosition) -> None:
        self._diary.open.wait()
        self._diary.seen.append(f"{self.name} has waited")

    def cancel_job(self, message: CancelJob) -> None:
        self._diary.seen.append(f"{self.name} passes it on")
        self.tell(message.job_id, ReportState())


@pytest.fixture
def diary(world: World) -> Diary:
    diary = Diary([], Event())
    for name in ("first", "second", "third"):
        world.start(Writer, name, diary)
    return diary


def test_who_waits_in_a_handler_keeps_only_himself_from_his_turn(
    world: World, diary: Diary
) -> None:
    # Given three actors that are due, the first of which is going to wait
    for name in ("first", "second", "third"):
        message = FindPosition("1") if name == "first" else ReportState()
        world.directory.tell(name, message)
    world.directory.tell("first", ReportState())
    gevent.idle()
    # Then the two others have had their turns, and have more of them
    assert diary.seen == ["second", "third"]
    world.directory.tell("second", ReportState())
    gevent.idle()
    assert diary.seen == ["second", "third", "second"]
    # When it can go on, then its own mail is handled in order
    diary.open.set()
    gevent.idle()
    assert diary.seen[3:] == ["first has waited", "first"]
    world.tell("first", ReportState())
    world.tell("third", ReportState())
    assert diary.seen[5:] == ["first", "third"]


def test_two_can_wait_at_once(world: World, diary: Diary) -> None:
    for name in ("first", "second"):
        world.directory.tell(name, FindPosition("1"))
    gevent.idle()
    world.directory.tell("third", ReportState())
    gevent.idle()
    assert diary.seen == ["third"]
    diary.open.set()
    gevent.idle()
    assert sorted(diary.seen) == ["first has waited", "second has waited", "third"]


def test_what_an_actor_passes_on_is_the_next_rounds(world: World, diary: Diary) -> None:
    # Given one that passes on what it is told, and a greenlet that takes turns too
    for name in ("first", "second"):
        world.directory.tell(name, CancelJob("third", "python"))
    gevent.spawn(diary.seen.append, "a greenlet")
    gevent.idle()
    passed = ["first passes it on", "second passes it on"]
    assert diary.seen == [*passed, "a greenlet", "third", "third"]


def test_others_have_their_turn_between_long_rounds() -> None:
    dispatcher, seen = Dispatcher(), []
    dispatcher.add(bool)
    gevent.idle()  # the first round is late by its greenlet's start
    for number in range(TURNS_MAX + 1):
        dispatcher.add(lambda number=number: seen.append(number))  # type: ignore[misc]
    gevent.get_hub().loop.run_callback(seen.append, -1)
    gevent.idle()
    assert seen == [*range(TURNS_MAX), -1, TURNS_MAX]


def test_an_error_ends_nobody_elses_work(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given work that fails, which an actor's does not
    dispatcher, seen = Dispatcher(), []
    errors: list[Any] = []
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", lambda *error: errors.append(error[1]))

    def fail() -> None:
        raise ValueError("bad")

    for work in (fail, lambda: seen.append(1)):
        dispatcher.add(work)
    # When it fails, then it is heard of, and what was due with it is done
    gevent.idle()
    dispatcher.add(lambda: seen.append(2))
    gevent.idle()
    assert seen == [1, 2]
    assert errors == [ValueError]


def test_a_worker_that_is_ended_while_it_rests_is_replaced() -> None:
    dispatcher, seen = Dispatcher(), []
    workers: list[Any] = []
    dispatcher.add(lambda: workers.append(gevent.getcurrent()))
    gevent.idle()
    gevent.get_hub().loop.run_callback(workers[0].throw)
    gevent.idle()
    dispatcher.add(lambda: seen.append(1))
    gevent.idle()
    assert seen == [1]


def test_an_empty_mailbox_says_so_and_is_due_again_with_the_next_letter() -> None:
    mailbox, seen = Mailbox(), []

    def work() -> None:
        try:
            while True:
                seen.append(mailbox.get())
        except Empty:
            return

    mailbox.work = work
    for letter in ("a", "b"):
        mailbox.put(letter)
    assert (mailbox.qsize(), mailbox.empty()) == (2, False)
    gevent.idle()
    assert (mailbox.qsize(), mailbox.empty()) == (0, True)
    mailbox.put("c")
    gevent.idle()
    assert seen == ["a", "b", "c"]
