"""One job in its language queue, and what is counted when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from actors.messages import (
    EventBody,
    JobEvent,
    JobResult,
    Lease,
    Outcome,
    SendStdin,
    Usage,
)
from metrics import instruments
from metrics.live import LIVE

STDIN_BYTES_MAX = 8 << 20
"""Stdin kept for a job that may have to start again. One gateway lets no more pass
(`http.job_stdin_kb_max`); several may together."""


@dataclass(slots=True)
class Entry:
    """One lease and where its job stands."""

    lease: Lease
    attempt: int
    since: float
    begun: int
    """How many attempts were begun, here and before."""
    state: Literal["waiting", "running", "ending"] = "waiting"
    container: str = ""
    stale: bool = False
    """The lease is lost; the broker is about to deliver the job again."""
    cancelled: bool = False
    result: JobResult | None = None
    """Set while the terminal event waits for its confirm."""
    rest: tuple[JobEvent, ...] = ()
    """What its container published along with the end."""
    stdin: list[SendStdin] = field(default_factory=list)
    stdin_bytes: int = 0

    def events(self, *bodies: EventBody) -> tuple[JobEvent, ...]:
        """Return what happens to the job in its present attempt."""
        job_id = self.lease.job.id
        return tuple(JobEvent(job_id, self.attempt, body) for body in bodies)

    def keep_stdin(self, message: SendStdin) -> bool:
        """Keep the bytes for a further attempt; False when they are too many."""
        if self.stdin_bytes + len(message.data) > STDIN_BYTES_MAX:
            return False
        self.stdin.append(message)
        self.stdin_bytes += len(message.data)
        return True

    def is_held_beside(self, lease: Lease) -> bool:
        """Tell whether our lease stays good: then this one is of a second message.

        It has the same id, and comes from a client that has tried again.
        """
        return not self.stale and lease.generation == self.lease.generation


def was_elsewhere(delivered_before: int, lease: Lease) -> bool:
    """Tell whether another worker has had the job since it was delivered here."""
    return lease.delivered > delivered_before + 1


def measure(language: str, entry: Entry, now: float) -> None:
    """Count the job, now that nobody waits for its end any more."""
    result = entry.result
    assert result is not None  # noqa: S101 - it has ended
    instruments.jobs_total_of(language, result.outcome.value).inc()
    ours = result.outcome is Outcome.INTERNAL_ERROR
    LIVE.minute(language).add(now, result.usage.queue_ms, ours=ours)
    total_ms = (now - entry.since) * 1e3
    for phase, ms in (*phases(result.usage), ("total", total_ms)):
        if ms is not None:
            instruments.job_seconds_of(language, phase).observe(ms / 1e3)


def phases(usage: Usage) -> list[tuple[str, float | None]]:
    """Return the phases that a result measures, in milliseconds."""
    return [
        ("queue", usage.queue_ms),
        ("compile", usage.compile_ms),
        ("run", usage.wall_ms),
    ]
