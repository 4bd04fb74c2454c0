"""Chaos as a plan: which fault comes when. A seed always gives the same one.

Faults of one kind keep a distance: more restarts of root's children within 30 s than
its intensity allows end the process, as they should.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Broker = Literal["embedded", "rabbitmq"]
QUEUE = "root/languages/python/queue"
ONE = (
    "root/scheduler",
    "root/broker",
    "root/relay",
    "root/fleet",
    "root/gateway",
    QUEUE,
)
WORKER = ("root/scheduler", "root/broker", "root/consumer", "root/fleet", QUEUE)
GATEWAY = ("root/broker", "root/events", "root/relay", "root/fleet", "root/gateway")
EXITS = ("Timeout", "GreenletExit")
CONTAINER_FAULTS = (
    "kill",
    "remove",
    "pause",
    "stop runner",
    "babble",
    "crash container",
)
LOADS = (2.0, 5.0, 10.0, 20.0)
"""Jobs a second."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault at `at_s` seconds after the start; `pick` chooses among what there is."""

    at_s: float
    kind: str
    name: str
    pick: float

    def __str__(self) -> str:
        return f"{self.at_s:7.1f} s  {self.kind} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole run: its faults in order, and the load from each moment on."""

    seconds: float
    faults: tuple[Planned, ...]
    loads: tuple[tuple[float, float], ...]


def make_schedule(seed: int, seconds: float, broker: Broker) -> Schedule:
    """Draw all from the seed alone."""
    random = Random(f"{seed} {broker}")  # noqa: S311 - chaos that can be repeated
    faults = [
        *actor_faults(random, seconds, broker),
        *container_faults(random, seconds),
        *(process_faults(random, seconds) if broker == "rabbitmq" else ()),
    ]
    moments = times(random, seconds, 10, 20)
    return Schedule(
        seconds,
        tuple(sorted(faults, key=lambda one: one.at_s)),
        ((0.0, 5.0), *((at_s, random.choice(LOADS)) for at_s in moments)),
    )


def times(random: Random, seconds: float, least: float, most: float) -> Iterator[float]:
    at_s = random.uniform(least, most)
    while at_s < seconds:
        yield round(at_s, 1)
        at_s += random.uniform(least, most)


def actor_faults(random: Random, seconds: float, broker: Broker) -> Iterator[Planned]:
    for at_s in times(random, seconds, 7, 10):
        kind = random.choice(("crash", "leak", "block"))
        if broker == "embedded":
            yield planned(random, at_s, kind, ONE)
        else:
            role, names = random.choice((("gateway", GATEWAY), ("worker", WORKER)))
            yield planned(random, at_s, f"{role} {kind}", names)


def container_faults(random: Random, seconds: float) -> Iterator[Planned]:
    for at_s in times(random, seconds, 4, 8):
        yield planned(random, at_s, random.choice(CONTAINER_FAULTS), ("",))


def process_faults(random: Random, seconds: float) -> Iterator[Planned]:
    for at_s in times(random, seconds, 25, 45):
        kinds = ("close connections", "kill process", "stop process")
        yield planned(random, at_s, random.choice(kinds), ("",))


def planned(random: Random, at_s: float, kind: str, names: Sequence[str]) -> Planned:
    return Planned(at_s, kind, random.choice(names), random.random())
