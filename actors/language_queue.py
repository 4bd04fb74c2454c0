"""The language queue: owns the leases of one language from delivery to ack.

It holds a lease while the job waits, while a container runs it, and until the
terminal event is confirmed. So whatever happens to a container, the job is here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from actors.actor import Actor, Context
from actors.fair_backlog import FairBacklog
from actors.messages import (
    AckJob,
    CancelJob,
    DispatchDeclined,
    EventBody,
    Finished,
    JobEvent,
    JobResult,
    JobsWaiting,
    Lease,
    Outcome,
    PublishEvents,
    Queued,
    Restarted,
    RunJob,
    SendStdin,
    SubscribeJobs,
    Usage,
)
from metrics import instruments

if TYPE_CHECKING:
    from actors.messages import (
        Boot,
        BrokerStarted,
        ContainerGone,
        DispatchJob,
        EventsConfirmed,
        FindPosition,
        JobDelivered,
        JobFinished,
        JobReturned,
        ReportState,
    )

log = logging.getLogger("warmbox.queue")

STDIN_BYTES_MAX = 4 << 20
"""Stdin kept for a job that may have to start again."""


@dataclass(slots=True)
class Entry:
    """One lease and where its job stands."""

    lease: Lease
    attempt: int
    since: float
    state: Literal["waiting", "running", "ending"] = "waiting"
    container: str = ""
    cancelled: bool = False
    result: JobResult | None = None
    """Set while the terminal event waits for its confirm."""
    stdin: list[SendStdin] = field(default_factory=list)
    stdin_bytes: int = 0


class LanguageQueue(Actor):
    """One language's backlog, fair between clients."""

    def __init__(
        self,
        context: Context,
        language: str,
        broker: str,
        consumer: str,
        scheduler: str,
        attempts_max: int,
    ) -> None:
        super().__init__(context)
        self._language = language
        self._broker = broker
        self._consumer = consumer
        self._scheduler = scheduler
        self._attempts_max = attempts_max
        self._entries: dict[str, Entry] = {}
        self._backlog = FairBacklog()
        self._told = -1

    def boot(self, message: Boot) -> None:
        """Ask the broker for this language's jobs."""
        self.tell(self._consumer, SubscribeJobs(self._language, self.name))
        self._settle()

    def broker_started(self, message: BrokerStarted) -> None:
        """Ask anew: the leases we have are stale until they are delivered again."""
        self.tell(self._consumer, SubscribeJobs(self._language, self.name))
        for entry in self._entries.values():
            if entry.result is not None:  # its terminal event may have been lost
                self._publish(entry, Finished(entry.result), confirm_to=self.name)

    def clean_up(self, *, crashed: bool) -> None:
        """The pool goes down with its queue, and the broker delivers again."""
        instruments.queue_depth.labels(self._language).set(0)

    # ---------------------------------------------------------------- delivery

    def job_delivered(self, message: JobDelivered) -> None:
        """Take a lease into the backlog; a job that is here already goes on."""
        lease = message.lease
        known = self._entries.get(lease.job.id)
        if known is not None:
            known.lease = lease
            return
        entry = Entry(lease, lease.attempt, self.now())
        self._entries[lease.job.id] = entry
        if entry.attempt > self._attempts_max:
            self._give_up(entry)
            return
        self._backlog.push(lease.job.client, lease.job.id)
        position = self._backlog.position(lease.job.client, lease.job.id) or 1
        first = entry.attempt == 1
        self._publish(entry, Queued(position) if first else Restarted())
        self._settle()

    def find_position(self, message: FindPosition) -> int | None:
        """Answer with the job's turn, if it waits here."""
        entry = self._entries.get(message.job_id)
        if entry is None:
            return None
        return self._backlog.position(entry.lease.job.client, message.job_id)

    def report_state(self, message: ReportState) -> None:
        """Tell a new scheduler how many wait."""
        self._told = -1
        self._settle()

    def _settle(self) -> None:
        """Make the depth known wherever it has changed."""
        count = len(self._backlog)
        if count != self._told:
            self._told = count
            instruments.queue_depth.labels(self._language).set(count)
            self.tell(self._scheduler, JobsWaiting(self._language, count))

    # ---------------------------------------------------------------- dispatch

    def dispatch_job(self, message: DispatchJob) -> None:
        """Hand the next job in turn to the container."""
        if not self._backlog:
            self.tell(self._scheduler, DispatchDeclined(message.container))
            self._told = -1
            self._settle()
            return
        entry = self._entries[self._backlog.pop()]
        queued_s = self.now() - entry.since
        run = RunJob(entry.lease, entry.attempt, queued_s)
        if self.tell(message.container, run):
            entry.state, entry.container = "running", message.container
            for stdin in entry.stdin:
                self.tell(message.container, stdin)
        else:
            self._wait_again(entry)  # it died; its slot is freed by its death
            self._told = -1  # as many as before, but the scheduler counts one less
        self._settle()

    def _wait_again(self, entry: Entry) -> None:
        entry.state, entry.container = "waiting", ""
        job = entry.lease.job
        self._backlog.push(job.client, job.id, front=True)

    def job_returned(self, message: JobReturned) -> None:
        """The container could not take it: it is the next in turn again."""
        entry = self._entries.get(message.job_id)
        if entry is None or entry.container != message.container:
            return  # stale: it is elsewhere by now
        if entry.cancelled:
            self._finish(entry, JobResult(Outcome.CANCELLED))
            return
        self._wait_again(entry)
        self._settle()

    def container_gone(self, message: ContainerGone) -> None:
        """Have the job that died with its container run again."""
        for entry in list(self._entries.values()):
            if entry.state == "running" and entry.container == message.container:
                self._restart(entry)
        self._settle()

    def _restart(self, entry: Entry) -> None:
        if entry.cancelled:
            self._finish(entry, JobResult(Outcome.CANCELLED))
        elif entry.attempt >= self._attempts_max:
            self._give_up(entry)
        else:
            entry.attempt += 1
            self._wait_again(entry)
            self._publish(entry, Restarted())

    # --------------------------------------------------------------------- end

    def job_finished(self, message: JobFinished) -> None:
        """Make a job's end known."""
        entry = self._entries.get(message.job_id)
        if entry is None or entry.state != "running":
            return  # its end is known already
        if entry.attempt != message.attempt:
            return  # an attempt that was given up
        self._finish(entry, message.result)

    def _give_up(self, entry: Entry) -> None:
        text = f"what ran the job died, {entry.attempt} times"
        if entry.attempt > self._attempts_max:
            text = f"the job was begun {entry.attempt - 1} times without an end"
        log.error("job %s: %s", entry.lease.job.id, text)
        self._finish(entry, JobResult(Outcome.INTERNAL_ERROR, message=text))

    def _finish(self, entry: Entry, result: JobResult) -> None:
        entry.state, entry.result = "ending", result
        self._publish(entry, Finished(result), confirm_to=self.name)

    def events_confirmed(self, message: EventsConfirmed) -> None:
        """The end is in the stream for good: the broker may forget the job."""
        for event in message.events:
            entry = self._entries.get(event.job_id)
            if entry is not None and entry.state == "ending":
                del self._entries[event.job_id]
                self.tell(self._consumer, AckJob(entry.lease))
                self._measure(entry)

    def _publish(
        self, entry: Entry, body: EventBody, confirm_to: str | None = None
    ) -> None:
        event = JobEvent(entry.lease.job.id, entry.attempt, body)
        self.tell(self._broker, PublishEvents((event,), confirm_to))

    def _measure(self, entry: Entry) -> None:
        """Count the job, now that nobody waits for its end any more."""
        result = entry.result
        assert result is not None  # noqa: S101 - it has ended
        instruments.jobs_total.labels(self._language, result.outcome.value).inc()
        total_ms = (self.now() - entry.since) * 1e3
        for phase, ms in (*phases(result.usage), ("total", total_ms)):
            if ms is not None:
                instruments.job_seconds.labels(self._language, phase).observe(ms / 1e3)

    # ---------------------------------------------------------------- controls

    def cancel_job(self, message: CancelJob) -> None:
        """End the job if it waits, else have its container stop it."""
        entry = self._entries.get(message.job_id)
        if entry is None or entry.state == "ending":
            return  # it has ended by itself
        if entry.state == "running":
            entry.cancelled = True
            self.tell(entry.container, message)
            return
        job = entry.lease.job
        self._backlog.remove(job.client, job.id)
        usage = Usage(queue_ms=round((self.now() - entry.since) * 1e3, 3))
        self._finish(entry, JobResult(Outcome.CANCELLED, usage=usage))
        self._settle()

    def send_stdin(self, message: SendStdin) -> None:
        """Keep the bytes, in case the job has to start again, and pass them on."""
        entry = self._entries.get(message.job_id)
        if entry is None or entry.state == "ending":
            return  # nobody reads any more
        if entry.stdin_bytes + len(message.data) > STDIN_BYTES_MAX:
            return  # the gateway's limits are far below
        entry.stdin.append(message)
        entry.stdin_bytes += len(message.data)
        if entry.state == "running":
            self.tell(entry.container, message)


def phases(usage: Usage) -> list[tuple[str, float | None]]:
    """Return the phases that a result measures, in milliseconds."""
    return [
        ("queue", usage.queue_ms),
        ("compile", usage.compile_ms),
        ("run", usage.wall_ms),
    ]
