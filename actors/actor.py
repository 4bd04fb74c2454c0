"""The base of every actor: what pykka leaves to its users.

It adds, in OTP's terms: turns instead of threads (dispatcher.py); set-up as a message,
so that a failing set-up is a crash like any other; a death notice to the supervisor on
every way out; timers; and a handler for each type of message. It is a method
with the message's name in snake case (`RunJob` calls `run_job`); a message without one
is a programmer's error and crashes the actor. What is as good once for many messages,
an actor does in `settle`: it runs when its mailbox is empty.

Handlers never block, never sleep and never ask another actor: whatever takes time
runs in a greenlet of its own and comes back as a message.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from functools import cache
from queue import Empty
from typing import TYPE_CHECKING, Any

import gevent
import pykka
from gevent.event import Event

from actors.answer import Answer
from actors.directory import AnyRef, Directory, depth, send
from actors.dispatcher import Mailbox
from actors.messages import Boot, ChildExited, Tick
from actors.registry import use_quick_registry
from actors.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger("warmbox.actor")

use_quick_registry()

TRACE = 5
"""A log level below debug, for every message."""


class ActorCrashError(Exception):
    """A greenlet's exit signal that escaped from a handler.

    `gevent.Timeout` and `GreenletExit` are BaseExceptions, which would make pykka
    stop every actor there is; as this they end only the actor that let them out.
    """


@dataclass(frozen=True, slots=True)
class Context:
    """What every actor is started with. Time is a part, so that tests own it."""

    name: str
    directory: Directory
    parent: AnyRef | None = None
    now: Callable[[], float] = field(default=time.monotonic)
    after: Callable[[float, Callable[[], object]], Any] = Timer
    gone: Event = field(default_factory=Event)
    """Set when the actor has cleaned up; pykka's own event is set before that."""

    def of_child(self, name: str, parent: AnyRef) -> Context:
        """Return the context of an actor that `parent`, which has this one, starts."""
        return Context(name, self.directory, parent, self.now, self.after)


def handler_name(message_type: type) -> str:
    """Return the method that handles this type: `RunJob` is `run_job`."""
    return _snake_case(message_type.__name__)


@cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Actor(pykka.Actor):
    """An actor with a name, a supervisor and timers."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.actor_inbox: Mailbox
        self.actor_inbox.work = self._work
        self.context = context
        self.name = context.name
        self.directory = context.directory
        self.now = context.now
        self._timers: dict[str, tuple[int, Any]] = {}
        self._timer_count = 0
        self._handlers: dict[type, Callable[[Any], Any]] = {}
        self._settles = type(self).settle is not Actor.settle

    # ------------------------------------------------------------ to override

    def boot(self, message: Boot) -> None:
        """Set up; an exception here is a crash."""

    def clean_up(self, *, crashed: bool) -> None:
        """Let go of what the actor holds; runs on every way out."""

    def time_out(self, name: str) -> None:
        """Handle the timer of this name."""
        raise NotImplementedError(name)

    def settle(self) -> None:
        """Do what waits until all messages that are there have been handled.

        It runs in the last one's turn, so nothing comes in between, and before an
        orderly end; what a crash leaves of it is its successor's.
        """

    # ---------------------------------------------------------------- helpers

    def tell(self, name: str, message: object) -> bool:
        """Send to the actor of this name; False when there is none just now."""
        return self.directory.tell(name, message)

    def leave_mail(
        self, kinds: tuple[type, ...] = (object,), *, first: Iterable[object] = ()
    ) -> None:
        """Leave the unread mail of these kinds, and what will come, to a successor.

        first: what it is told before that.
        """
        kept = list(first)
        while depth(self.actor_ref):
            mail = self.actor_inbox.get().message
            if isinstance(mail, kinds):
                kept.append(mail)
        self.directory.keep(self.name, kept)

    def set_timer(self, name: str, seconds: float) -> None:
        """Have `time_out(name)` called once; a timer of that name is set anew."""
        self.cancel_timer(name)
        self._timer_count += 1
        tick = Tick(name, self._timer_count)
        ref = self.actor_ref
        timer = self.context.after(seconds, lambda: send(ref, tick))
        self._timers[name] = (self._timer_count, timer)

    def cancel_timer(self, name: str) -> None:
        """Forget the timer of this name, if there is one."""
        _, timer = self._timers.pop(name, (0, None))
        if timer is not None:
            timer.kill()

    def has_timer(self, name: str) -> bool:
        """Tell whether the timer of this name is set."""
        return name in self._timers

    def tick(self, message: Tick) -> None:
        """Pass a timer on, unless it was cancelled or set anew meanwhile."""
        generation, _ = self._timers.get(message.name, (0, None))
        if generation == message.generation:
            del self._timers[message.name]
            self.time_out(message.name)

    # ------------------------------------------------------------------ pykka

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return Answer()

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    def _start_actor_loop(self) -> None:
        self._actor_loop_setup()

    def _work(self) -> None:
        """Handle all messages that there are, by pykka's own loop, and its end."""
        try:
            self._actor_loop_running()
        except Empty:
            return
        self._actor_loop_teardown()

    def on_start(self) -> None:
        """Only mail oneself the set-up: an exception here would go unheard.

        The name is entered before that is read, so that whoever is told something in
        the set-up can answer, and a crash in the set-up finds the name to strike. What
        was kept of a predecessor's mail comes before anything that is new.
        """
        self.actor_ref.tell(Boot())
        for mail in self.directory.collect(self.name):
            self.actor_ref.tell(mail)
        self.directory.enter(self.name, self.actor_ref)

    def _handle_receive(self, message: Any) -> Any:
        """Call the message's handler, without what pykka looks for before that."""
        handler = self._handlers.get(type(message))
        if handler is None:
            return super()._handle_receive(message)
        try:
            answer = handler(message)
            if self._settles and self.actor_inbox.empty():
                self.settle()
        except (gevent.Timeout, gevent.GreenletExit) as error:
            raise ActorCrashError(repr(error)) from error
        return answer

    def on_receive(self, message: Any) -> Any:
        """Take the first message of its type."""
        kind = type(message)
        self._handlers[kind] = self._find_handler(kind)
        return self._handle_receive(message)

    def _find_handler(self, message_type: type) -> Callable[[Any], Any]:
        handler = getattr(self, handler_name(message_type), None)
        if message_type.__module__ not in MESSAGE_MODULES or not callable(handler):
            raise TypeError(
                f"{self.name}: expected one of its messages, got {message_type!r}"
            )
        return handler  # type: ignore[no-any-return]

    def on_stop(self) -> None:
        """Leave in an orderly way."""
        self._leave(crashed=False, reason="stopped")

    def on_failure(self, exception_type: Any, exception_value: Any, _: Any) -> None:
        """Leave after an exception."""
        self._leave(
            crashed=True, reason=f"{exception_type.__name__}: {exception_value}"
        )

    def _leave(self, *, crashed: bool, reason: str) -> None:
        for name in list(self._timers):
            self.cancel_timer(name)
        try:
            try:
                if not crashed:
                    self.settle()
            finally:
                self.clean_up(crashed=crashed)
        except (gevent.Timeout, gevent.GreenletExit) as error:
            raise ActorCrashError(repr(error)) from error
        finally:
            self.directory.strike(self.name, self.actor_ref)
            self.context.gone.set()
            if self.context.parent is not None:
                notice = ChildExited(self.name, self.actor_urn, crashed, reason)
                send(self.context.parent, notice)


MESSAGE_MODULES = {"actors.messages", "actors.broker.connection_messages"}
"""Where messages may be defined: nothing else is let near a handler."""
