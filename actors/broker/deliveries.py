"""A worker's bookkeeping of its deliveries: from a message to a lease."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.messages import Job, Lease

ATTEMPTS_STEP = 1000
"""Attempts of one delivery are fewer: so each delivery's are newer than all before."""

_generations = itertools.count(1)  # of all consumers: no lease outlives its own


@dataclass(slots=True)
class Subscription:
    """One language's consumer."""

    language: str
    queue_name: str
    generation: int = 0
    """A new one with each consumer that is begun."""

    @property
    def consumer(self) -> str:
        """Return the consumer's tag."""
        return f"{self.language}.{self.generation}"

    def renew(self) -> None:
        """Make what was delivered so far another subscription's."""
        self.generation = next(_generations)


@dataclass(slots=True)
class Unacked:
    """A delivery that the server waits for."""

    language: str
    generation: int
    ending: tuple[Job, bytes, int] | None = None
    """A job that must not be tried again, its message, and how often it was."""


def lease_of(job: Job, tag: int, generation: int, delivered: int) -> Lease:
    """Return the lease of a job that was delivered so often before."""
    return Lease(tag, generation, job, first_attempt(delivered), 0, delivered)


def first_attempt(delivered: int) -> int:
    """Return a number above that of any attempt of an earlier delivery."""
    return delivered * ATTEMPTS_STEP + 1


def delivery_count(headers: Mapping[str, Any]) -> int:
    """Return how often a message was delivered before.

    Newer servers count what was only handed back in a header of its own.
    """
    counts = (headers.get(name) for name in ("x-delivery-count", "x-acquired-count"))
    return max((int(one) for one in counts if isinstance(one, int)), default=0)
