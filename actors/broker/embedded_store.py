"""What the embedded broker keeps: unfinished jobs and the stream of their events.

A plain object without actors. It outlives the broker actor, as a broker's disk
outlives its connections, but not the process.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.messages import Finished, JobEvent, Lease, Output, Started

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.messages import Job

EVENT_BYTES = 400
"""What an event costs beside its data: the objects around it, roughly."""


@dataclass(slots=True)
class Known:
    """What is known of a job for as long as the stream holds its end."""

    fingerprint: str
    attempt: int = 1
    """The latest that an event was of."""
    begun: int = 0
    """The latest that was started."""
    ended_at: float | None = None


class EmbeddedStore:
    """Jobs until they end; events until their job has ended for long enough.

    queue_max: unfinished jobs of one language; more are refused.
    ttl_s: how long the events of an ended job are kept.
    bytes_max: past this, the events of ended jobs go early.
    """

    def __init__(self, queue_max: int, ttl_s: float, bytes_max: int) -> None:
        self._queue_max = queue_max
        self._ttl_s = ttl_s
        self._bytes_max = bytes_max
        self._jobs: dict[str, dict[str, Job]] = {}
        self._known: dict[str, Known] = {}
        self._events: deque[JobEvent] = deque()
        self._bytes = 0
        self._tag = 0
        self._generation = 0
        self._mail: list[object] = []
        self.next_offset = 0

    def fingerprint(self, job_id: str) -> str | None:
        """Return the fingerprint of a job that is known here, else None."""
        known = self._known.get(job_id)
        return None if known is None else known.fingerprint

    def is_full(self, language: str) -> bool:
        """Tell whether a further job of this language must be refused."""
        return len(self._jobs.get(language, ())) >= self._queue_max

    def add(self, job: Job) -> None:
        """Keep the job until it ends."""
        self._jobs.setdefault(job.language, {})[job.id] = job
        self._known[job.id] = Known(job.fingerprint)

    def next_generation(self) -> int:
        """Return a number for a subscription, which no other has had."""
        self._generation += 1
        return self._generation

    def lease(self, job: Job, generation: int) -> Lease:
        """Return a delivery of the job: a new attempt if the last was begun."""
        self._tag += 1
        known = self._known[job.id]
        attempt = max(known.begun + 1, known.attempt)
        return Lease(self._tag, generation, job, attempt, known.begun)

    def attempt(self, job_id: str) -> int:
        """Return the attempt that the job's latest event was of."""
        return self._known[job_id].attempt

    def unfinished(self, language: str | None = None) -> list[Job]:
        """Return the jobs that have not ended, oldest first in each language."""
        if language is not None:
            return list(self._jobs.get(language, {}).values())
        return [job for jobs in self._jobs.values() for job in jobs.values()]

    def finish(self, job: Job) -> None:
        """The job's terminal event is in the stream: it is done with."""
        self._jobs.get(job.language, {}).pop(job.id, None)

    def append(self, events: Iterable[JobEvent], now: float) -> tuple[JobEvent, ...]:
        """Add to the stream; returns what was added.

        What comes after a job's end is not: the end is the last event of its job, and
        when it expires, all of the job is gone.
        """
        kept = tuple(event for event in events if self._add(event, now))
        self._expire(now)
        return kept

    def _add(self, event: JobEvent, now: float) -> bool:
        known = self._known.get(event.job_id)
        if known is None or known.ended_at is not None:
            return False
        self._events.append(event)
        self._bytes += size_of(event)
        self.next_offset += 1
        known.attempt = max(known.attempt, event.attempt)
        if isinstance(event.body, Started):
            known.begun = max(known.begun, event.attempt)
        elif isinstance(event.body, Finished):
            known.ended_at = now
        return True

    def has_ended(self, job_id: str) -> bool:
        """Tell whether the stream holds the job's terminal event."""
        known = self._known.get(job_id)
        return known is None or known.ended_at is not None

    def events_from(self, offset: int) -> tuple[JobEvent, ...]:
        """Return what the stream still holds from this offset on."""
        first = self.next_offset - len(self._events)
        events = tuple(self._events)
        return events[max(offset - first, 0) :]

    def keep_mail(self, message: object) -> None:
        """Keep a message that a crashed broker actor did not come to read."""
        self._mail.append(message)

    def take_mail(self) -> list[object]:
        """Return what was kept, once."""
        mail, self._mail = self._mail, []
        return mail

    def _expire(self, now: float) -> None:
        while self._events:
            event = self._events[0]
            ended_at = self._known[event.job_id].ended_at
            if ended_at is None:
                return
            if ended_at > now - self._ttl_s and self._bytes <= self._bytes_max:
                return
            self._events.popleft()
            self._bytes -= size_of(event)
            if isinstance(event.body, Finished):
                del self._known[event.job_id]


def size_of(event: JobEvent) -> int:
    """Return about how many bytes an event holds."""
    data = event.body.data if isinstance(event.body, Output) else b""
    return EVENT_BYTES + len(data)
