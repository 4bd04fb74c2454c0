"""What a scenario is, and the list of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from play import Play

Place = Literal["one", "fresh", "proxied", "own engine", "cluster", "silent cluster"]
"""one: an all-in-one process, which scenarios share. fresh: one for this alone.
proxied: one whose Docker is behind a proxy. own engine: one with a dockerd for the
tests alone. cluster: two gateways and two workers on RabbitMQ; silent: behind a proxy.
"""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load, a fault, and what must hold then.

    act: makes the fault, while clients post; what it returns from is over.
    promise: what users are promised for it.
    whole_s: at most so long after the fault, a new job has been run and all parts are
    as they were.
    jobs, run_s: how many jobs there are, and how long each of their programs takes.
    memory_mb: what a process may hold more than before.
    is_loaded: whether they come before and during the fault, or all after it.
    audits: whether somebody is left in the end who can be asked for every job.
    is_quick: it is among those that every test run plays.
    """

    name: str
    act: Callable[[Play], None]
    promise: str
    place: Place
    whole_s: float
    jobs: int
    run_s: float
    memory_mb: float
    audits: bool
    is_loaded: bool
    is_quick: bool


SCENARIOS: list[Scenario] = []
"""All, in the order of their definition."""


def scenario(
    place: Place = "one",
    whole_s: float = 12,
    jobs: int = 90,
    run_s: float = 0.05,
    memory_mb: float = 24,
    *,
    audits: bool = True,
    is_loaded: bool = True,
    is_quick: bool = False,
) -> Callable[[Callable[[Play], None]], Callable[[Play], None]]:
    """Make the function a scenario: its name is the fault, its text the promise."""

    def add(act: Callable[[Play], None]) -> Callable[[Play], None]:
        name = act.__name__.replace("_", " ")
        promise = " ".join((act.__doc__ or "").split())
        SCENARIOS.append(
            Scenario(
                name,
                act,
                promise,
                place,
                whole_s,
                jobs,
                run_s,
                memory_mb,
                audits,
                is_loaded,
                is_quick,
            )
        )
        return act

    return add
