"""What the embedded broker keeps: unfinished jobs and the stream of their events.

A plain object without actors. It outlives the broker actor, as a broker's disk
outlives its connections, but not the process.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

from actors.acceptance import digest
from actors.holdings import AT_ONCE_MAX, Holdings
from actors.job_log import EVENT_BYTES
from actors.messages import (
    Accepted,
    Expired,
    Finished,
    JobEvent,
    Lease,
    Output,
    Started,
)
from actors.tombstones import TOMBSTONES_MAX, Tombstones

if TYPE_CHECKING:
    from actors.messages import Job


@dataclass(slots=True)
class Known:
    """What is known of a job until its end has been here for long enough.

    events: when they have gone early, the acceptance is left of them, and `Expired`.
    offsets: theirs in the stream, in the same order; as bare numbers, since there are
    some for each job that is kept.
    """

    fingerprint: str
    client: str
    attempt: int = 1
    """The latest that an event was of."""
    begun: int = 0
    """The latest that was started."""
    ended_at: float | None = None
    size: int = 0
    events: list[JobEvent] = field(default_factory=list)
    offsets: array[int] = field(default_factory=lambda: array("q"))


class EmbeddedStore:
    """Jobs until they end; events until their job has ended for long enough.

    queue_max: unfinished jobs of one language; more are refused.
    ttl_s: how long an ended job is kept.
    bytes_max: past this, the events of ended jobs go early: those of the client that
    holds most, oldest first. What its idempotency key needs stays.
    remembered_max: past so many of these, the client with most of them loses them.
    """

    def __init__(
        self,
        queue_max: int,
        ttl_s: float,
        bytes_max: int,
        remembered_max: int = TOMBSTONES_MAX,
    ) -> None:
        self._queue_max = queue_max
        self._ttl_s = ttl_s
        self._bytes_max = bytes_max
        self._jobs: dict[str, dict[str, Job]] = {}
        self._known: dict[str, Known] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        """In the order of their ends."""
        self._held = Holdings()
        self._remembered = Tombstones(remembered_max)
        self._tag = 0
        self._generation = 0
        self.next_offset = 0

    def fingerprint(self, job_id: str) -> str | None:
        """Return the fingerprint of a job that is known here, else None.

        It is for as long as the job's result may be asked for, even if that is gone.
        """
        known = self._known.get(job_id)
        return None if known is None else known.fingerprint

    def is_full(self, language: str) -> bool:
        """Tell whether a further job of this language must be refused."""
        return len(self._jobs.get(language, ())) >= self._queue_max

    def add(self, job: Job) -> None:
        """Keep the job until it ends."""
        self._jobs.setdefault(job.language, {})[job.id] = job
        self._known[job.id] = Known(job.fingerprint, digest(job.client))

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
        if known.events and isinstance(event.body, Accepted):
            return False  # queues say it again, for brokers that may not have kept it
        known.events.append(event)
        known.offsets.append(self.next_offset)
        self._grow(known, size_of(event))
        self.next_offset += 1
        known.attempt = max(known.attempt, event.attempt)
        if isinstance(event.body, Started):
            known.begun = max(known.begun, event.attempt)
        elif isinstance(event.body, Finished):
            known.ended_at = now
            self._ended[event.job_id] = None
            self._held.loosen(known.client, event.job_id)
        return True

    def _grow(self, known: Known, size: int) -> None:
        known.size += size
        self._held.grow(known.client, size)

    def has_ended(self, job_id: str) -> bool:
        """Tell whether the stream holds the job's terminal event."""
        known = self._known.get(job_id)
        return known is None or known.ended_at is not None

    def events_from(self, offset: int) -> tuple[JobEvent, ...]:
        """Return what the stream still holds from this offset on."""
        placed = [
            one
            for known in self._known.values()
            if known.events and known.offsets[-1] >= offset
            for one in zip(known.offsets, known.events, strict=True)
            if one[0] >= offset
        ]
        placed.sort(key=itemgetter(0))
        return tuple(event for _, event in placed)

    @property
    def bytes_held(self) -> int:
        """About how many bytes all events hold."""
        return self._held.total

    def _expire(self, now: float) -> None:
        """Forget what is too old; let events go while all are too large."""
        for _ in range(AT_ONCE_MAX):
            oldest = next(iter(self._ended), None)
            if oldest is not None and self._is_old(oldest, now):
                self._forget(oldest)
                continue
            is_full = self._held.total > self._bytes_max
            job_id = self._held.first_to_go() if is_full else None
            if job_id is None:
                return
            self._let_go(job_id)

    def _is_old(self, job_id: str, now: float) -> bool:
        ended_at = self._known[job_id].ended_at
        return ended_at is not None and ended_at <= now - self._ttl_s

    def _let_go(self, job_id: str) -> None:
        """Keep no more of an ended job than what tells that there was one."""
        known = self._known[job_id]
        self._held.drop(known.client, job_id, known.size)
        first, last = known.events[0], known.events[-1]
        known.events = [first, JobEvent(job_id, last.attempt, Expired())]
        known.offsets = array("q", 2 * [known.offsets[-1]])
        for forgotten in self._remembered.add(job_id, known.client, known.fingerprint):
            del self._known[forgotten], self._ended[forgotten]

    def _forget(self, job_id: str) -> None:
        known = self._known.pop(job_id)
        del self._ended[job_id]
        if job_id in self._remembered:
            self._remembered.discard(job_id)
        else:
            self._held.drop(known.client, job_id, known.size)


def size_of(event: JobEvent) -> int:
    """Return about how many bytes an event holds."""
    data = event.body.data if isinstance(event.body, Output) else b""
    return EVENT_BYTES + len(data)
