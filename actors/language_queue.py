"""The language queue: owns the leases of one language from delivery to ack.

It holds a lease while the job waits, while a container runs it, and until the
terminal event is confirmed. So whatever happens to a container, the job is here.

A broker on the network may take its leases back (`LeasesLost`) and deliver the jobs
again, here or to another worker. What waits is let go then. What runs goes on with a
stale lease: when the broker delivers it here next, it joins, for nobody else has had
it meanwhile. If somebody has, then this run is void, since the stream has had events
of a newer attempt, and the job starts anew.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Literal

from actors import cause
from actors.acceptance import acceptance
from actors.actor import Actor, Context
from actors.early_controls import EarlyControls
from actors.fair_backlog import FairBacklog
from actors.messages import (
    AckJob,
    CancelJob,
    DispatchDeclined,
    EventBody,
    Finished,
    JobControl,
    JobEvent,
    JobResult,
    JobsWaiting,
    Lease,
    Outcome,
    PublishEvents,
    Queued,
    Restarted,
    ReturnJob,
    RunJob,
    SendStdin,
    SubscribeJobs,
    Usage,
)
from actors.queue_entry import STDIN_BYTES_MAX, Entry, measure, was_elsewhere
from metrics import instruments
from metrics.live import LIVE, QueueFact

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
        LeasesLost,
        PublisherStarted,
        ReportState,
        ReturnWaiting,
    )

log = logging.getLogger("warmbox.queue")

CANCELLED = JobResult(Outcome.CANCELLED, message=cause.CANCELLED)
"""The end of a job whose container has not lived to tell it."""

EVENTS_MAX = 100
"""In one message to the broker."""
ENDED_MAX = 10_000
"""Ended jobs that are remembered, in case that their ack was lost on its way."""


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
        self._dispatched: dict[str, str] = {}
        """The job that each container was last given."""
        self._backlog = FairBacklog()
        self._early = EarlyControls()
        self._ended: OrderedDict[str, int] = OrderedDict()
        """How often each had been delivered before it ended here."""
        self._returning = False
        self._events: list[JobEvent] = []
        """That are to be published when the mailbox is empty."""
        self._told = -1
        self._changes: Counter[str] = Counter()
        """By client: how many more or fewer jobs wait than the scheduler knows of."""
        self._first = ""
        """The client whose job waits again, and is the next."""

    def boot(self, message: Boot) -> None:
        """Ask the broker for this language's jobs."""
        self.tell(self._consumer, SubscribeJobs(self._language, self.name))
        self._tell_all()

    def broker_started(self, message: BrokerStarted) -> None:
        """Ask anew: the leases we have are stale until they are delivered again."""
        self.tell(self._consumer, SubscribeJobs(self._language, self.name))
        self._publish_ends()

    def publisher_started(self, message: PublisherStarted) -> None:
        """What was given to its predecessor may be lost."""
        self._publish_ends()

    def _publish_ends(self) -> None:
        for entry in self._entries.values():
            if entry.result is not None:
                self._publish_end(entry, entry.result)

    def clean_up(self, *, crashed: bool) -> None:
        """The pool goes down with its queue, and the broker delivers again."""
        instruments.queue_depth_of(self._language).set(0)
        LIVE.queues.pop(self._language, None)

    # ---------------------------------------------------------------- delivery

    def job_delivered(self, message: JobDelivered) -> None:
        """Take a lease into the backlog; a job that is here already goes on."""
        lease = message.lease
        known = self._entries.get(lease.job.id)
        if known is not None and known.is_held_beside(lease):
            self._choose(known, lease)
        elif known is not None and not was_elsewhere(known.lease.delivered, lease):
            known.lease, known.stale = lease, False
        elif self._has_ended(lease):
            self._remember(lease)
            self.tell(self._consumer, AckJob(lease))
        elif self._returning:
            self.tell(self._consumer, ReturnJob(lease))
        else:
            if known is not None:  # whatever was done here is void
                self._let_go(known)
            self._take(lease)

    def _choose(self, known: Entry, lease: Lease) -> None:
        """Keep one of two messages: that of the newer attempt, which is what counts."""
        if lease.attempt <= known.attempt:
            self.tell(self._consumer, AckJob(lease))
        elif self._returning:
            self.tell(self._consumer, ReturnJob(lease))
        else:
            self.tell(self._consumer, AckJob(known.lease))
            self._let_go(known)
            self._take(lease)

    def _has_ended(self, lease: Lease) -> bool:
        """Tell whether this is a job that ended here, and nobody has begun since."""
        delivered_before = self._ended.get(lease.job.id)
        if delivered_before is None or not lease.delivered:
            return False
        return not was_elsewhere(delivered_before, lease)

    def _take(self, lease: Lease) -> None:
        job = lease.job
        entry = Entry(lease, lease.attempt, self.now(), lease.begun)
        self._entries[job.id] = entry
        self._ended.pop(job.id, None)
        self._push(entry)
        opening = acceptance(job)
        if entry.begun >= self._attempts_max:
            self._remove(entry)
            self._publish(entry, opening)
            self._give_up(entry)
            return
        position = self._backlog.position(job.client, job.id) or 1
        first = entry.attempt == 1
        self._publish(entry, opening, Queued(position) if first else Restarted())
        for control in self._early.take(job.id, self.now()):
            self._control(entry, control)

    def _let_go(self, entry: Entry) -> None:
        """Keep nothing of the job but what was said to it: it may come again."""
        job = entry.lease.job
        if entry.state == "waiting":
            self._remove(entry)
        elif entry.state == "running":
            self.tell(entry.container, CancelJob(job.id, job.language))
        del self._entries[job.id]
        for stdin in entry.stdin:
            self._early.keep(stdin, self.now())
        if entry.cancelled:
            self._early.keep(CancelJob(job.id, job.language), self.now())

    def leases_lost(self, message: LeasesLost) -> None:
        """Let go of what waits; what runs or ends is to be delivered again."""
        for entry in list(self._entries.values()):
            entry.stale = True
            if entry.state == "waiting":
                self._let_go(entry)

    def return_waiting(self, message: ReturnWaiting) -> None:
        """Give back what is not begun, now and from now on."""
        self._returning = True
        for entry in list(self._entries.values()):
            if entry.state == "waiting":
                self._return(entry)

    def _return(self, entry: Entry) -> None:
        self._let_go(entry)
        if not entry.stale:
            self.tell(self._consumer, ReturnJob(entry.lease))

    def find_position(self, message: FindPosition) -> int | Literal["running"] | None:
        """Answer with the job's turn, if it waits here, or that it waits no more."""
        entry = self._entries.get(message.job_id)
        if entry is None:
            return None
        if entry.container:
            return "running"
        return self._backlog.position(entry.lease.job.client, message.job_id)

    def report_state(self, message: ReportState) -> None:
        """Tell a new scheduler whose jobs wait."""
        self._tell_all()

    def _tell_all(self) -> None:
        self._changes.clear()
        self._first = ""
        every = tuple(self._backlog.counts())
        self.tell(self._scheduler, JobsWaiting(self._language, every, is_all=True))

    def settle(self) -> None:
        """Make known what has changed: events, the depth, and who waits."""
        self._publish_now()
        count = len(self._backlog)
        if count != self._told:
            self._told = count
            instruments.queue_depth_of(self._language).set(count)
            first = self._backlog.first()
            since = None if first is None else self._entries[first].since
            LIVE.queues[self._language] = QueueFact(count, since)
        if self._changes:
            changes = tuple(one for one in self._changes.items() if one[1])
            self._changes.clear()
            first_client, self._first = self._first, ""
            if changes:
                waiting = JobsWaiting(self._language, changes, first_client)
                self.tell(self._scheduler, waiting)

    def _push(self, entry: Entry, *, front: bool = False) -> None:
        job = entry.lease.job
        self._backlog.push(job.client, job.id, front=front)
        self._changes[job.client] += 1
        if front:
            self._first = job.client

    def _remove(self, entry: Entry) -> None:
        job = entry.lease.job
        if self._backlog.remove(job.client, job.id):
            self._changes[job.client] -= 1

    # ---------------------------------------------------------------- dispatch

    def dispatch_job(self, message: DispatchJob) -> None:
        """Hand the client's next job to the container."""
        container = message.container
        job_id = self._backlog.take(message.client)
        if job_id is None:
            declined = DispatchDeclined(container, self._language, message.client)
            self.settle()  # for what has changed before counts before
            self.tell(self._scheduler, declined)
            return
        entry = self._entries[job_id]
        queued_s = self.now() - entry.since
        asks = message.others_wait, message.is_guest
        run = RunJob(entry.lease, entry.attempt, queued_s, *asks)
        if self.tell(container, run):
            entry.state, entry.container = "running", container
            self._dispatched[container] = job_id
            for stdin in entry.stdin:
                self.tell(container, stdin)
        else:
            self._wait_again(entry)  # it died; its slot is freed by its death

    def _wait_again(self, entry: Entry) -> None:
        entry.state, entry.container = "waiting", ""
        self._push(entry, front=True)
        if entry.stale or self._returning:
            self._return(entry)

    def job_returned(self, message: JobReturned) -> None:
        """The container could not take it: it is the next in turn again."""
        entry = self._entries.get(message.job_id)
        if entry is None or entry.container != message.container:
            return  # stale: it is elsewhere by now
        if entry.cancelled:
            self._finish(entry, CANCELLED)
            return
        self._wait_again(entry)

    def container_gone(self, message: ContainerGone) -> None:
        """Have the job that died with its container run again."""
        job_id = self._dispatched.pop(message.container, "")
        entry = self._entries.get(job_id)
        if (
            entry is not None
            and entry.state == "running"
            and entry.container == message.container
        ):
            self._restart(entry)

    def _restart(self, entry: Entry) -> None:
        entry.begun += 1
        if entry.cancelled:
            self._finish(entry, CANCELLED)
        elif entry.begun >= self._attempts_max:
            self._give_up(entry)
        else:
            entry.attempt = max(entry.attempt, entry.lease.attempt) + 1
            self._publish(entry, Restarted())
            self._wait_again(entry)

    # --------------------------------------------------------------------- end

    def job_finished(self, message: JobFinished) -> None:
        """Make a job's end known."""
        entry = self._entries.get(message.job_id)
        if entry is None or entry.state != "running":
            return  # its end is known already
        if entry.attempt != message.attempt:
            return  # an attempt that was given up
        entry.rest = message.rest
        self._finish(entry, message.result)

    def _give_up(self, entry: Entry) -> None:
        text = f"what ran the job died, {entry.begun} times"
        if entry.state == "waiting":
            text = f"the job was begun {entry.begun} times without an end"
        log.error("job %s: %s", entry.lease.job.id, text)
        self._finish(entry, JobResult(Outcome.INTERNAL_ERROR, message=text))

    def _finish(self, entry: Entry, result: JobResult) -> None:
        entry.state, entry.result = "ending", result
        self._publish_end(entry, result)

    def _publish_end(self, entry: Entry, result: JobResult) -> None:
        self._publish_now()  # what has happened before
        events = (*entry.rest, *entry.events(Finished(result)))
        self.tell(self._broker, PublishEvents(events, confirm_to=self.name))

    def events_confirmed(self, message: EventsConfirmed) -> None:
        """The end is in the stream for good: the broker may forget the job."""
        for event in message.events:
            entry = self._entries.get(event.job_id)
            if (
                entry is not None
                and entry.state == "ending"
                and entry.attempt == event.attempt
            ):
                del self._entries[event.job_id]
                self.tell(self._consumer, AckJob(entry.lease))
                self._remember(entry.lease)
                measure(self._language, entry, self.now())

    def _remember(self, lease: Lease) -> None:
        self._ended[lease.job.id] = lease.delivered
        if len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)

    def _publish(self, entry: Entry, *bodies: EventBody) -> None:
        self._events += entry.events(*bodies)

    def _publish_now(self) -> None:
        """Hand over what is to be published, of many jobs together."""
        while self._events:
            events = tuple(self._events[:EVENTS_MAX])
            del self._events[:EVENTS_MAX]
            self.tell(self._broker, PublishEvents(events))

    # ---------------------------------------------------------------- controls

    def cancel_job(self, message: CancelJob) -> None:
        """End the job if it waits, else have its container stop it."""
        self._hear(message)

    def send_stdin(self, message: SendStdin) -> None:
        """Keep the bytes, in case the job has to start again, and pass them on."""
        self._hear(message)

    def _hear(self, message: JobControl) -> None:
        entry = self._entries.get(message.job_id)
        if entry is not None:
            self._control(entry, message)
        elif message.job_id not in self._ended:
            # It waits in the broker, or elsewhere, and may come here yet.
            self._early.keep(message, self.now())

    def _control(self, entry: Entry, message: JobControl) -> None:
        if entry.state == "ending":
            return  # it has ended by itself
        if isinstance(message, CancelJob):
            self._cancel(entry, message)
        elif not entry.keep_stdin(message):
            self._refuse_stdin(entry)
        elif entry.state == "running":
            self.tell(entry.container, message)

    def _refuse_stdin(self, entry: Entry) -> None:
        """End the job: it was said of this stdin that it would come."""
        job = entry.lease.job
        if entry.state == "running":
            self.tell(entry.container, CancelJob(job.id, job.language))
        else:
            self._remove(entry)
        text = f"it was sent more than {STDIN_BYTES_MAX >> 20} MiB of stdin"
        self._finish(entry, JobResult(Outcome.INTERNAL_ERROR, message=text))

    def _cancel(self, entry: Entry, message: CancelJob) -> None:
        if entry.state == "running":
            entry.cancelled = True
            self.tell(entry.container, message)
            return
        self._remove(entry)
        usage = Usage(queue_ms=round((self.now() - entry.since) * 1e3, 3))
        text = cause.CANCELLED_WAITING
        self._finish(entry, JobResult(Outcome.CANCELLED, usage=usage, message=text))
