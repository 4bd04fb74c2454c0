"""Names to living actors."""

from __future__ import annotations

import gevent
import pykka
import pytest
from actor_world import Probe, World

from actors.directory import Directory, depth, send
from actors.messages import ReportState


class Echo(pykka.ThreadingActor):
    """Answers with what it was asked, unless that is to wait or to fail."""

    use_daemon_thread = True

    def on_receive(self, message: object) -> object:
        if isinstance(message, gevent.event.Event):
            message.wait()
        return message


def test_a_message_goes_to_the_actor_of_the_name(world: World) -> None:
    probe = world.probe("a")
    assert world.directory.tell("a", 1)
    assert probe.take() == [1]


def test_telling_nobody_is_no_failure() -> None:
    assert not Directory().tell("nobody", 1)


def test_telling_the_dead_is_no_failure(world: World) -> None:
    probe = world.probe("a")
    probe.stop()
    assert not world.directory.tell("a", 1)
    assert not send(probe.ref, 1)


def test_a_name_means_the_successor_once_it_is_entered(world: World) -> None:
    old, new = world.probe("a"), world.probe("a")
    world.directory.strike("a", old.ref)
    assert world.directory.tell("a", 1)
    assert (old.take(), new.take()) == ([], [1])
    world.directory.strike("a", new.ref)
    assert not world.directory.tell("a", 1)


def test_names_are_found_by_prefix_in_the_order_of_entry(world: World) -> None:
    for name in ("b/2", "a", "b/1"):
        world.probe(name)
    assert world.directory.names() == ["b/2", "a", "b/1"]
    assert world.directory.names("b/") == ["b/2", "b/1"]


def test_an_answer_comes_from_the_actor_of_the_name(world: World) -> None:
    world.directory.enter("echo", Echo.start())
    assert world.directory.ask("echo", 7, 5) == 7


def test_asking_nobody_fails_at_once() -> None:
    with pytest.raises(LookupError):
        Directory().ask("nobody", 1, 5)


def test_asking_the_dead_fails_at_once(world: World) -> None:
    probe = world.probe("a")
    probe.stop()
    with pytest.raises(LookupError):
        world.directory.ask("a", 1, 5)


def test_an_actor_that_does_not_answer_is_given_up(world: World) -> None:
    world.directory.enter("echo", Echo.start())
    gate = gevent.event.Event()
    with pytest.raises(TimeoutError):
        world.directory.ask("echo", gate, 0.001)
    gate.set()


def test_depth_counts_what_waits() -> None:
    probe = Probe()
    assert depth(probe.ref) == 0
    probe.ref.tell(ReportState())
    probe.ref.tell(ReportState())
    assert depth(probe.ref) == 2
    probe.take()
    assert depth(probe.ref) == 0


def test_kept_mail_comes_before_what_is_new(world: World) -> None:
    directory = world.directory
    directory.keep("a", [1])
    assert directory.tell("a", 2)
    assert directory.collect("a") == [1, 2]
    assert directory.collect("a") == []
    assert not directory.tell("a", 3)
