"""A world for actors under test: its time stands still until a test moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import gevent
import pykka
import pytest

from actors.actor import Context
from actors.directory import AnyRef, Directory
from actors.messages import ChildExited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

M = TypeVar("M")
LEAVE_S = 5.0


def settle() -> None:
    """Let all greenlets work until none has anything to do."""
    gevent.idle()
    for ref in pykka.ActorRegistry.get_all():
        assert ref.actor_inbox.empty(), f"{ref} is blocked"


class Timer:
    """What `Context.after` returns."""

    def __init__(self, at: float, call: Callable[[], object]) -> None:
        self.at = at
        self.call = call
        self.killed = False

    def kill(self) -> None:
        self.killed = True


class Clock:
    """Time as an argument."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.timers: list[Timer] = []

    def now(self) -> float:
        return self.time

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        timer = Timer(self.time + seconds, call)
        self.timers.append(timer)
        return timer

    def pending(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.killed]

    def advance(self, seconds: float) -> None:
        """Let time pass; the actors do at each timer what it is set for."""
        end = self.time + seconds
        while due := [timer for timer in self.pending() if timer.at <= end]:
            first = min(due, key=lambda timer: timer.at)
            self.timers.remove(first)
            self.time = max(self.time, first.at)
            first.call()
            settle()
        self.time = end


class Recorder(pykka.ThreadingActor):
    """Does nothing but remember."""

    use_daemon_thread = True

    def __init__(self, told: list[Any]) -> None:
        super().__init__()
        self._told = told

    def on_receive(self, message: object) -> None:
        self._told.append(message)


class Probe:
    """Stands in for an actor, and remembers what that was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.ref: AnyRef = Recorder.start(self.told)

    def take(self) -> list[Any]:
        """Return what was told since the last time."""
        settle()
        told = list(self.told)
        self.told.clear()
        return told

    def of(self, kind: type[M]) -> list[M]:
        """Return what of this kind was told, and leave it there."""
        settle()
        return [message for message in self.told if isinstance(message, kind)]

    def stop(self) -> None:
        self.ref.stop()


class World:
    """A directory, a clock, and a parent that hears the death notices."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.clock = Clock()
        self.parent = Probe()

    def context(self, name: str) -> Context:
        return Context(
            name, self.directory, self.parent.ref, self.clock.now, self.clock.after
        )

    def start(
        self, kind: type[pykka.Actor], name: str, *args: Any, **options: Any
    ) -> AnyRef:
        """Start an actor under this name, as its supervisor would."""
        ref: AnyRef = kind.start(self.context(name), *args, **options)
        settle()
        return ref

    def probe(self, name: str) -> Probe:
        """Let a probe be the actor of this name."""
        probe = Probe()
        self.directory.enter(name, probe.ref)
        return probe

    def tell(self, name: str, *messages: object) -> None:
        for message in messages:
            assert self.directory.tell(name, message), f"there is no {name}"
        settle()

    def ask(self, name: str, message: object) -> Any:
        return self.directory.ask(name, message, LEAVE_S)

    def crash(self, name: str) -> None:
        """Tell the actor what is no message of its."""
        self.tell(name, object())

    def stop(self, name: str) -> None:
        ref = self.directory._refs[name]  # noqa: SLF001 - who stops holds the ref
        ref.stop(timeout=LEAVE_S)
        settle()

    def is_alive(self, name: str) -> bool:
        settle()
        return name in self.directory.names()

    def exits(self) -> list[ChildExited]:
        return self.parent.of(ChildExited)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def no_actor_is_left() -> Iterator[None]:
    """Stop what a test has started: a supervisor, started first, stops its own."""
    yield
    for ref in pykka.ActorRegistry.get_all():
        ref.stop(timeout=LEAVE_S)
    assert pykka.ActorRegistry.get_all() == []
