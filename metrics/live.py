"""How the service stands at this moment, name by name, for `/v1/system`.

Like the instruments, this is a record in memory: each fact is written by its owner
alone, at no more than the cost of an assignment, and read by whoever shows it, so that
nobody has to be asked. Unlike theirs, its entries have names, come and go, and are for
no time series. Times are the owners' monotonic seconds, unless said otherwise.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Literal

from metrics.last_minute import LastMinute

HAPPENINGS_MAX = 100
REASON_CHARS_MAX = 200


@dataclass(slots=True)
class ContainerFact:
    """What one container does since when, and how many jobs it has done."""

    language: str
    since: float
    state: str = "starting"
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class QueueFact:
    """How many wait, and since when the next in turn does; None when nobody waits."""

    waiting: int
    next_since: float | None


@dataclass(frozen=True, slots=True)
class PoolFact:
    """How many containers there are, should be and may be.

    paused: why none is started before `resumes_at`; empty when all is well.
    """

    ready: int
    starting: int
    wanted: int
    size_max: int
    paused: str
    resumes_at: float


@dataclass(frozen=True, slots=True)
class DownFact:
    """A part that has ended and is to be started again."""

    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a supervisor or a container did about a failure.

    number: counts from 1, so that a reader can tell what is new to it.
    at: seconds since the epoch, for people.
    """

    number: int
    at: float
    kind: Literal["restarted", "abandoned", "retired"]
    name: str
    reason: str
    attempt: int
    delay_s: float


class Live:
    """All facts, by the names of their owners."""

    def __init__(self) -> None:
        self.containers: dict[str, ContainerFact] = {}
        self.queues: dict[str, QueueFact] = {}
        """By language, as pools and minutes are."""
        self.pools: dict[str, PoolFact] = {}
        self.minutes: dict[str, LastMinute] = {}
        self.down: dict[str, DownFact] = {}
        self.restarts: Counter[str] = Counter()
        self.happenings: deque[Happening] = deque(maxlen=HAPPENINGS_MAX)
        self.began_at = time.monotonic()
        """When this process did."""
        self._numbers = itertools.count(1)

    def minute(self, language: str) -> LastMinute:
        """Return the language's last minute."""
        found = self.minutes.get(language)
        if found is None:
            found = self.minutes[language] = LastMinute()
        return found

    def restarted(self, name: str, reason: str, attempt: int, delay_s: float) -> None:
        """Note that a supervisor starts its child again, after this delay."""
        self.down.pop(name, None)
        self.restarts[name] += 1
        self._add("restarted", name, reason, attempt, delay_s)

    def abandoned(self, name: str, shutdown_s: float) -> None:
        """Note that a child did not end in its time, and was left behind."""
        self._add("abandoned", name, "it did not stop in time", 0, shutdown_s)

    def retired(self, name: str, reason: str) -> None:
        """Note that a container has ended for a reason of its own."""
        self._add("retired", name, reason, 0, 0)

    def forget_below(self, name: str) -> None:
        """Nothing below this part is down by itself any more: it ends as a whole."""
        for below in [one for one in self.down if one.startswith(f"{name}/")]:
            del self.down[below]

    def _add(
        self,
        kind: Literal["restarted", "abandoned", "retired"],
        name: str,
        reason: str,
        attempt: int,
        delay_s: float,
    ) -> None:
        number, short = next(self._numbers), reason[:REASON_CHARS_MAX]
        self.happenings.append(
            Happening(number, time.time(), kind, name, short, attempt, delay_s)
        )


LIVE = Live()
