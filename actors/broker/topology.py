"""What RabbitMQ holds for us: every name and every argument, as data.

A server refuses (406) to declare what it holds with other arguments, so these are a
part of the deployment's contract: whoever changes one has to say how to migrate.

Durable are the job queues and the queue of the dead, the stream of events, and the
control exchange. A worker's control queue outlives its connection by `CONTROL_KEPT_S`,
and no longer. All queues but the stream are quorum queues: they survive the death of
a node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

DEAD = "warmbox.jobs.dead"
EVENTS = "warmbox.events"
CONTROL = "warmbox.control"

DELIVERIES_MAX = 10
"""After so many deliveries a worker ends the job: it kills whoever takes it."""
DELIVERY_LIMIT = 20
"""RabbitMQ's own limit, behind ours, for what no worker lives long enough to end."""
DEAD_MAX = 10_000
"""Dead letters kept; after so many the oldest go."""
CONTROL_KEPT_S = 600
CONTROL_BYTES_MAX = 64 << 20
"""What a worker's control queue holds while the worker is away; the oldest go."""
EVENTS_MARGIN_S = 3600
SEGMENT_BYTES = 64 << 20
"""A stream forgets whole segments only, so a large one would keep all for long."""


def queue_of(language: str) -> str:
    """Return the name of the language's job queue."""
    return f"warmbox.jobs.{language}"


def control_queue_of(worker_id: str) -> str:
    """Return the name of the worker's control queue."""
    return f"warmbox.controls.{worker_id}"


@dataclass(frozen=True, slots=True)
class Step:
    """One declaration: a channel's method and its arguments."""

    subject: str
    """For people: "queue warmbox.events"."""
    method: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Topology:
    """The parts that the settings decide."""

    languages: tuple[str, ...]
    queue_max: int
    """Jobs waiting or running of one language; more are refused."""
    result_ttl_s: float

    def steps(self) -> list[Step]:
        """Return what every process declares, in this order."""
        return [
            dead_step(),
            *(self.jobs_step(language) for language in self.languages),
            self.events_step(),
            control_step(),
        ]

    def jobs_step(self, language: str) -> Step:
        """Return the declaration of a language's job queue.

        A full one refuses the publish, which its publisher hears as a nack. What
        passes the delivery limit is moved to the dead at least once: that strategy
        needs `reject-publish`.
        """
        return queue_step(
            queue_of(language),
            {
                "x-queue-type": "quorum",
                "x-max-length": self.queue_max,
                "x-overflow": "reject-publish",
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": DEAD,
                "x-dead-letter-strategy": "at-least-once",
            },
        )

    def events_step(self) -> Step:
        """Return the declaration of the stream.

        It goes back twice as far as a result is shown, and an hour: so whoever reads
        it from `result_ttl_s` ago finds the acceptance of a job that ended since.
        """
        age_s = math.ceil(2 * self.result_ttl_s) + EVENTS_MARGIN_S
        return queue_step(
            EVENTS,
            {
                "x-queue-type": "stream",
                "x-max-age": f"{age_s}s",
                "x-stream-max-segment-size-bytes": SEGMENT_BYTES,
            },
        )

    def control_queue_steps(self, worker_id: str) -> list[Step]:
        """Return what a worker declares for itself."""
        name = control_queue_of(worker_id)
        arguments = {
            "x-queue-type": "quorum",
            "x-expires": CONTROL_KEPT_S * 1000,
            "x-max-length-bytes": CONTROL_BYTES_MAX,
        }
        bind = Step(
            f"binding of {name}", "queue_bind", {"queue": name, "exchange": CONTROL}
        )
        return [queue_step(name, arguments), bind]


def dead_step() -> Step:
    """Return the declaration of the queue of the dead; nobody consumes it."""
    arguments = {"x-queue-type": "quorum", "x-max-length": DEAD_MAX}
    return queue_step(DEAD, arguments)


def control_step() -> Step:
    """Return the declaration of the exchange that all workers hear."""
    arguments = {"exchange": CONTROL, "exchange_type": "fanout", "durable": True}
    return Step(f"exchange {CONTROL}", "exchange_declare", arguments)


def queue_step(name: str, arguments: dict[str, Any]) -> Step:
    """Return the declaration of a durable queue."""
    declare = {"queue": name, "durable": True, "arguments": arguments}
    return Step(f"queue {name}", "queue_declare", declare)
