"""What the embedded broker keeps: unfinished jobs and the stream of their events.

A plain object without actors. It outlives the broker actor, as a broker's disk
outlives its connections, but not the process.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from actors.messages import Finished, JobEvent, Lease, Output, Started

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.messages import Job

EVENT_BYTES = 400
"""What an event costs beside its data: the objects around it, roughly."""


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
        self._attempts: dict[str, int] = {}
        self._fingerprints: dict[str, str] = {}
        self._ended_at: dict[str, float] = {}
        self._events: deque[JobEvent] = deque()
        self._bytes = 0
        self._tag = 0
        self._mail: list[object] = []
        self.next_offset = 0

    def fingerprint(self, job_id: str) -> str | None:
        """Return the fingerprint of a job that is known here, else None."""
        return self._fingerprints.get(job_id)

    def is_full(self, language: str) -> bool:
        """Tell whether a further job of this language must be refused."""
        return len(self._jobs.get(language, ())) >= self._queue_max

    def add(self, job: Job) -> None:
        """Keep the job until it ends."""
        self._jobs.setdefault(job.language, {})[job.id] = job
        self._fingerprints[job.id] = job.fingerprint

    def lease(self, job: Job, generation: int) -> Lease:
        """Return a delivery of the job."""
        self._tag += 1
        attempt = self._attempts.get(job.id, 0) + 1
        return Lease(self._tag, generation, job, attempt)

    def attempt(self, job_id: str) -> int:
        """Return the number of the attempt that was begun last, at least 1."""
        return self._attempts.get(job_id, 1)

    def unfinished(self, language: str | None = None) -> list[Job]:
        """Return the jobs that have not ended, oldest first in each language."""
        if language is not None:
            return list(self._jobs.get(language, {}).values())
        return [job for jobs in self._jobs.values() for job in jobs.values()]

    def is_unfinished(self, job: Job) -> bool:
        """Tell whether the job is still to be run to its end."""
        return job.id in self._jobs.get(job.language, ())

    def finish(self, job: Job) -> None:
        """The job's terminal event is in the stream: it is done with."""
        self._jobs.get(job.language, {}).pop(job.id, None)

    def append(self, events: Iterable[JobEvent], now: float) -> None:
        """Add to the stream."""
        for event in events:
            self._events.append(event)
            self._bytes += size_of(event)
            self.next_offset += 1
            if isinstance(event.body, Started):
                self._attempts[event.job_id] = event.attempt
            elif isinstance(event.body, Finished):
                self._ended_at.setdefault(event.job_id, now)
        self._expire(now)

    def has_ended(self, job_id: str) -> bool:
        """Tell whether the stream holds the job's terminal event."""
        return job_id in self._ended_at

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
            ended_at = self._ended_at.get(event.job_id)
            if ended_at is None:
                return
            if ended_at > now - self._ttl_s and self._bytes <= self._bytes_max:
                return
            self._events.popleft()
            self._bytes -= size_of(event)
            if isinstance(event.body, Finished):
                self._ended_at.pop(event.job_id, None)
                self._attempts.pop(event.job_id, None)
                self._fingerprints.pop(event.job_id, None)


def size_of(event: JobEvent) -> int:
    """Return about how many bytes an event holds."""
    data = event.body.data if isinstance(event.body, Output) else b""
    return EVENT_BYTES + len(data)
