"""The embedded broker: the broker's contract within one process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from actors.acceptance import acceptance
from actors.actor import Actor, Context
from actors.broker.draining import going_on
from actors.messages import (
    BrokerStarted,
    BrokerStatus,
    EventsConfirmed,
    EventsReceived,
    Finished,
    JobControl,
    JobDelivered,
    JobEvent,
    JobResult,
    Outcome,
    PublishReply,
)
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.admission import Admission
    from actors.broker.embedded_store import EmbeddedStore
    from actors.messages import (
        AckJob,
        BeginDrain,
        Boot,
        CancelJob,
        DescribeBroker,
        EndUnfinished,
        Job,
        PublishEvents,
        PublishJob,
        SendStdin,
        SubscribeEvents,
        SubscribeJobs,
    )

log = logging.getLogger("warmbox.broker")


class EmbeddedBroker(Actor):
    """Takes jobs, delivers them to language queues, and keeps the event stream.

    customers: prefix of the actors that must subscribe again when it is restarted.
    admission: says which jobs are too many for their client; without, none is.
    """

    def __init__(
        self,
        context: Context,
        store: EmbeddedStore,
        customers: str = "root/",
        admission: Admission | None = None,
    ) -> None:
        super().__init__(context)
        self._store = store
        self._admission = admission
        self._customers = customers
        self._consumers: dict[str, tuple[str, int]] = {}
        self._subscribers: list[str] = []
        self._untold: list[JobEvent] = []
        """The last of the stream, which subscribers have not been sent."""
        self._drained: Callable[[], None] | None = None

    def boot(self, message: Boot) -> None:
        """Go on where a predecessor ended, and call its customers back."""
        instruments.broker_up.set(1)
        for name in self.directory.names(self._customers):
            if name.endswith(("/queue", "/relay")):
                self.tell(name, BrokerStarted())

    def clean_up(self, *, crashed: bool) -> None:
        """Leave the unread mail to a successor: it holds jobs and events."""
        instruments.broker_up.set(0)
        if crashed:
            self.settle()  # who was told that a job is accepted asks for it now
            self.leave_mail(first=going_on(self._drained))

    def describe_broker(self, message: DescribeBroker) -> BrokerStatus:
        """Answer that all is well: where this actor lives, its broker does."""
        return BrokerStatus("open", "", is_up=True)

    # -------------------------------------------------------------------- jobs

    def publish_job(self, message: PublishJob) -> None:
        """Take the job or say why not."""
        job = message.job
        known = self._store.fingerprint(job.id)
        if known is not None:
            message.reply(PublishReply("duplicate", known))
        elif self._drained is not None:
            message.reply(PublishReply("draining"))
        elif self._store.is_full(job.language):
            message.reply(PublishReply("queue_full"))
        elif self._admission and (refusal := self._admission.refusal(job)):
            message.reply(PublishReply(refusal))
        else:
            self._accept(job)
            message.reply(PublishReply("accepted"))

    def _accept(self, job: Job) -> None:
        opening = acceptance(job)
        if self._admission is not None:
            self._admission.add(job.id, opening)
        self._store.add(job)
        self._append((JobEvent(job.id, 1, opening),))
        self._deliver(job)

    def subscribe_jobs(self, message: SubscribeJobs) -> None:
        """Deliver all unfinished jobs of the language, then each new one."""
        generation = self._store.next_generation()
        self._consumers[message.language] = (message.queue_name, generation)
        for job in self._store.unfinished(message.language):
            self._deliver(job)

    def _deliver(self, job: Job) -> None:
        name, generation = self._consumers.get(job.language, ("", 0))
        if self._store.has_ended(job.id):
            self._finish(job)
        elif name:
            self.tell(name, JobDelivered(self._store.lease(job, generation)))

    def ack_job(self, message: AckJob) -> None:
        """Let the job go, unless the lease is one of an earlier subscription."""
        job = message.lease.job
        _, generation = self._consumers.get(job.language, ("", 0))
        if message.lease.generation == generation:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        self._store.finish(job)
        if self._admission is not None:
            self._admission.remove(job.id)
        self._end_drain()

    def cancel_job(self, message: CancelJob) -> None:
        """Pass it to whoever holds the job."""
        self._control(message)

    def send_stdin(self, message: SendStdin) -> None:
        """Pass it to whoever holds the job."""
        self._control(message)

    def _control(self, message: JobControl) -> None:
        name, _ = self._consumers.get(message.language, ("", 0))
        if name:
            self.tell(name, message)

    # ------------------------------------------------------------------ events

    def publish_events(self, message: PublishEvents) -> None:
        """Append and pass on; appended is confirmed."""
        self._append(message.events)
        if message.confirm_to is not None:
            self.tell(message.confirm_to, EventsConfirmed(message.events))

    def _append(self, events: tuple[JobEvent, ...]) -> None:
        self._untold += self._store.append(events, self.now())

    def settle(self) -> None:
        """Pass on what was appended: before anybody can ask for it."""
        if self._untold:
            events, self._untold = tuple(self._untold), []
            end = self._store.next_offset
            received = EventsReceived(events, end - len(events), end)
            for name in self._subscribers:
                self.tell(name, received)

    def subscribe_events(self, message: SubscribeEvents) -> None:
        """Send what the stream holds, and what comes."""
        self.settle()
        events = self._store.events_from(message.offset)
        received = EventsReceived(events, message.offset, self._store.next_offset)
        self.tell(message.subscriber, received)
        if message.subscriber not in self._subscribers:
            self._subscribers.append(message.subscriber)

    # ------------------------------------------------------------------- drain

    def begin_drain(self, message: BeginDrain) -> None:
        """Take no more jobs, and say when the last has ended."""
        self._drained = message.reply
        self._end_drain()

    def _end_drain(self) -> None:
        if self._drained is not None and not self._store.unfinished():
            self._drained()

    def end_unfinished(self, message: EndUnfinished) -> None:
        """Nothing outlives the process here, so no job may be left without an end."""
        result = JobResult(
            Outcome.INTERNAL_ERROR, message="the service was stopped before its end"
        )
        jobs = self._store.unfinished()
        for job in jobs:
            if not self._store.has_ended(job.id):
                attempt = self._store.attempt(job.id)
                self._append((JobEvent(job.id, attempt, Finished(result)),))
            self._store.finish(job)
        message.reply(len(jobs))
