"""What a supervisor knows of a child: data, in OTP's terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum

from gevent.event import Event

from actors.actor import Context
from actors.directory import AnyRef


class Restart(Enum):
    """When a child that has ended is started anew."""

    PERMANENT = "always"
    TRANSIENT = "after a crash"
    TEMPORARY = "never"


class Strategy(StrEnum):
    """Which siblings go down and up again with a child that is restarted."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child.

    start: makes the actor; gets its context, which holds its full name.
    shutdown_s: how long its supervisor waits for it to end before it is abandoned.
    """

    name: str
    start: Callable[[Context], AnyRef]
    restart: Restart = Restart.PERMANENT
    shutdown_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """A child that was started. `gone` is set when it has ended and cleaned up."""

    ref: AnyRef
    gone: Event


@dataclass(frozen=True, slots=True)
class Intensity:
    """More than `restarts_max` restarts within `period_s` are a failure of its own."""

    restarts_max: int = 5
    period_s: float = 30.0

    def add(self, restarts: list[float], now: float) -> tuple[list[float], bool]:
        """Return the restarts still in the period, with this one, and if too many."""
        recent = [at for at in restarts if at > now - self.period_s] + [now]
        return recent, len(recent) > self.restarts_max
