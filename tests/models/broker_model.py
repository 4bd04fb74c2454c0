"""A shared broker as a model: messages, leases, other workers, and the event stream.

It keeps the contract of RabbitMQ with the worker's consumer and publisher in front of
it, and knows at any moment what is true: who holds each job, and what was made known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pykka

from actors.broker.deliveries import first_attempt, lease_of
from actors.job_log import JobLog
from actors.messages import (
    Accepted,
    AckJob,
    CancelJob,
    EventsConfirmed,
    Finished,
    Job,
    JobDelivered,
    JobEvent,
    JobResult,
    Lease,
    LeasesLost,
    Outcome,
    Output,
    PublishEvents,
    Restarted,
    ReturnJob,
    Started,
    SubscribeJobs,
)

if TYPE_CHECKING:
    from actors.directory import Directory

HERE, ELSEWHERE = "here", "elsewhere"


@dataclass(slots=True)
class Message:
    """One job at the broker."""

    job: Job
    log: JobLog
    delivered: int = 0
    lease: Lease | None = None
    """Of the worker under test, as long as it holds the job."""
    acked: bool = False
    cancelled: bool = False
    ends_here: bool = False
    """Whether the worker has said its end, and waits for the confirm."""

    @property
    def is_ready(self) -> bool:
        """Whether anybody may have it."""
        return self.lease is None and not self.acked

    def result(self) -> JobResult:
        assert self.log.result is not None, f"{self.job.id} has no end"
        return self.log.result

    def output(self) -> bytes:
        """Return what watchers were shown of the last attempt."""
        shown = b""
        for numbered in self.log.events:
            body = numbered.event.body
            if isinstance(body, Restarted):
                shown = b""
            elif isinstance(body, Output):
                shown += body.data
        return shown


class BrokerModel:
    """What the broker knows. `holds_confirms`: set, confirms wait for `confirm`."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.messages: dict[str, Message] = {}
        self.ends: dict[tuple[str, int], int] = {}
        """How often each attempt here was said to have ended."""
        self.faults: list[str] = []
        self.holds_confirms = False
        self._unconfirmed: list[PublishEvents] = []
        self._confirmed: set[tuple[str, int]] = set()
        self._queues: dict[str, tuple[str, int]] = {}
        self._tags = 0
        self._generations = 0

    # ------------------------------------------------------------------ clients

    def submit(self, job: Job) -> None:
        log = JobLog(Accepted(job.language, job.created_at))
        self.messages[job.id] = Message(job, log)
        self.deliver(job.language)

    def cancel(self, job_id: str) -> None:
        """Tell the worker, as every worker is told; it may not have the job yet."""
        message = self.messages[job_id]
        message.cancelled = True
        language = message.job.language
        queue, _ = self._queues.get(language, ("", 0))
        self.directory.tell(queue, CancelJob(job_id, language))

    # ----------------------------------------------------------------- the worker

    def deliver(self, language: str) -> None:
        """Deliver what is ready, if there is somebody to have it."""
        queue, generation = self._queues.get(language, ("", 0))
        for message in self.of(language):
            if queue and message.is_ready:
                self._tags += 1
                message.lease = lease_of(
                    message.job, self._tags, generation, message.delivered
                )
                message.delivered += 1
                self.directory.tell(queue, JobDelivered(message.lease))

    def lose_leases(self, language: str) -> None:
        """The connection is gone: what was not acknowledged is ready again."""
        queue, _ = self._queues.get(language, ("", 0))
        self._renew(language, queue)
        self.directory.tell(queue, LeasesLost(language))

    def _renew(self, language: str, queue: str) -> None:
        self._generations += 1
        self._queues[language] = queue, self._generations
        for message in self.of(language):
            message.lease = None

    def hear(self, message: object) -> None:
        """Do what the worker says."""
        match message:
            case SubscribeJobs(language, queue):
                for known in self.of(language):
                    known.ends_here = False  # a new queue knows of no end
                self._renew(language, queue)
                self.deliver(language)
            case AckJob(lease):
                self._ack(lease)
            case ReturnJob(lease):
                known = self.messages[lease.job.id]
                if known.lease == lease:
                    known.lease = None
            case PublishEvents(events, confirm_to):
                self._append(events, HERE)
                if confirm_to is not None:
                    self._unconfirmed.append(message)
                    if not self.holds_confirms:
                        self.confirm()

    def _ack(self, lease: Lease) -> None:
        message = self.messages[lease.job.id]
        if message.lease != lease:
            return  # stale
        if message.log.state != "done":
            self.faults.append(f"{lease.job.id} was acknowledged before its end")
        elif not any(job_id == lease.job.id for job_id, _ in self._confirmed):
            self.faults.append(f"{lease.job.id} was acknowledged before the confirm")
        message.lease, message.acked = None, True

    def confirm(self) -> None:
        """Confirm what waits for it."""
        waiting, self._unconfirmed = self._unconfirmed, []
        for message in waiting:
            for event in message.events:
                self._confirmed.add((event.job_id, event.attempt))
            self.directory.tell(
                str(message.confirm_to), EventsConfirmed(message.events)
            )

    def _append(self, events: tuple[JobEvent, ...], run: str) -> None:
        for event in events:
            message = self.messages[event.job_id]
            log = message.log
            if isinstance(event.body, Finished) and run == HERE:
                attempt = event.job_id, event.attempt
                self.ends[attempt] = self.ends.get(attempt, 0) + 1
                message.ends_here = True
            if not isinstance(event.body, Accepted):
                log.append(JobEvent(event.job_id, event.attempt, event.body, run), 0.0)

    # ------------------------------------------------------------- other workers

    def begin_elsewhere(self, message: Message, *, ends: bool) -> None:
        """Let another worker begin with the job, and end it or lose it again."""
        job_id, attempt = message.job.id, first_attempt(message.delivered)
        message.delivered += 1
        message.ends_here = False  # whatever was done here is void
        bodies: list[Any] = [Started()]
        if ends:
            outcome = Outcome.CANCELLED if message.cancelled else Outcome.SUCCESS
            bodies += [Output("run", "stdout", job_id.encode())]
            bodies += [Finished(JobResult(outcome))]
        events = tuple(JobEvent(job_id, attempt, body) for body in bodies)
        self._append(events, ELSEWHERE)
        message.acked = ends
        self._confirmed |= {(job_id, attempt)} if ends else set()

    # -------------------------------------------------------------------- facts

    def of(self, language: str) -> list[Message]:
        return [one for one in self.messages.values() if one.job.language == language]

    def ready(self) -> list[Message]:
        return [one for one in self.messages.values() if one.is_ready]

    def unfinished(self) -> list[Message]:
        return [one for one in self.messages.values() if not one.acked]


class Ear(pykka.ThreadingActor):
    """The model as an actor, for those who speak to the broker."""

    use_daemon_thread = True

    def __init__(self, model: BrokerModel) -> None:
        super().__init__()
        self._model = model

    def on_receive(self, message: object) -> None:
        self._model.hear(message)
