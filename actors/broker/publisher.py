"""The connection that publishes: jobs, events, controls, reports and dead letters.

Confirms are pipelined: what is published is remembered under its number on the
channel until the server confirms it, one by one or many at once.

A job is answered for exactly once, and at once when it can't be known to arrive: a
client rather tries again than waits. It is accepted when its queue has it and then the
stream tells of it, so that every gateway that has read the stream knows it. Everything
else waits in the outbox until it has arrived. A message that the server refuses, or
finds no queue for, ends the connection in an orderly way: the next declares everything
anew, and publishes all again in order.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from actors.acceptance import acceptance
from actors.broker.amqp import AmqpConnection
from actors.broker.draining import going_on
from actors.broker.event_codec import encode_control, encode_events, encode_report
from actors.broker.job_schema import encode_job
from actors.broker.outbox import Parcel
from actors.broker.topology import CONTROL, DEAD, EVENTS, queue_of
from actors.messages import (
    BeginDrain,
    CancelJob,
    DeadPublished,
    EndUnfinished,
    EventsConfirmed,
    Job,
    JobControl,
    JobEvent,
    PublishDead,
    PublisherStarted,
    PublishEvents,
    PublishJob,
    PublishReply,
    SendStdin,
)

if TYPE_CHECKING:
    from actors.actor import Context
    from actors.admission import Admission
    from actors.broker.connection_messages import PublishSettled, PublishUnroutable
    from actors.broker.link import Link
    from actors.broker.outbox import Outbox
    from actors.messages import Boot, PublishReport

log = logging.getLogger("warmbox.broker")

JSON = "application/json"
MAIL = (
    PublishJob,
    PublishEvents,
    PublishDead,
    CancelJob,
    SendStdin,
    BeginDrain,
    EndUnfinished,
)
"""What a successor does in the place of one that crashed."""

DOUBT_FILL = 0.5
DOUBT_S = 3.0
"""A queue that is not so full refuses nothing; a channel that has stood so long and
says otherwise is opened anew."""

Reply = Callable[[PublishReply], None]
Refusal = Literal["queue_full", "unavailable", "unknown"]


@dataclass(slots=True)
class PendingJob:
    """A job on its way to the server."""

    job: Job
    reply: Reply
    repeated: list[Reply] = field(default_factory=list)
    """Of those who have published it too, meanwhile."""


class AmqpPublisher(AmqpConnection):
    """outbox: what a predecessor has left, and a successor will find.

    customers: prefix of the actors that must hear of a restart.
    admission: says which jobs are too many for their client; without, none is.
    """

    def __init__(
        self,
        context: Context,
        link: Link,
        outbox: Outbox,
        customers: str = "root/",
        admission: Admission | None = None,
    ) -> None:
        super().__init__(context, link)
        self._outbox = outbox
        self._admission = admission
        self._customers = customers
        self._tag = 0
        self._in_flight: OrderedDict[int, Parcel | PendingJob | None] = OrderedDict()
        """None is what nobody waits for any more."""
        self._jobs: dict[str, int] = {}
        self._untold: dict[str, PendingJob] = {}
        """Jobs that their queue has, and the stream does not tell of yet."""
        self._drained: Callable[[], None] | None = None
        self._controls_full = False

    def boot(self, message: Boot) -> None:
        """Go on where a predecessor has ended."""
        for name in self.directory.names(self._customers):
            if name.endswith("/queue"):
                self.tell(name, PublisherStarted())
        super().boot(message)

    def clean_up(self, *, crashed: bool) -> None:
        """Answer for every job, and leave the unread mail to a successor."""
        if crashed:
            self.leave_mail(MAIL, first=going_on(self._drained))
        self._refuse_jobs()
        super().clean_up(crashed=crashed)

    # ----------------------------------------------------------------- the wire

    def _opened(self) -> None:
        self._open_wire.confirm_publishes()
        self._tag = 0
        self._outbox.rewind()
        self._settle()

    def _lost(self) -> None:
        self._refuse_jobs()
        self._in_flight.clear()

    def _blocking_changed(self) -> None:
        if self._blocked:
            self._refuse_jobs()
        self._settle()

    @property
    def _can_send(self) -> bool:
        return self._is_usable and not self._blocked

    def _send(
        self,
        item: Parcel | PendingJob | None,
        address: tuple[str, str],
        body: bytes,
        **properties: Any,
    ) -> None:
        self._tag += 1
        self._in_flight[self._tag] = item
        self._open_wire.publish(*address, body, content_type=JSON, **properties)

    def publish_settled(self, message: PublishSettled) -> None:
        """Settle what the server speaks of, one or many."""
        if self._is_stale(message.generation):
            return
        tags = [message.tag]
        if message.multiple:
            up_to = message.tag
            tags = list(takewhile(lambda tag: tag <= up_to, self._in_flight))
        for tag in tags:
            item = self._in_flight.pop(tag, None)
            if isinstance(item, PendingJob) and message.taken:
                self._told(item)
            elif isinstance(item, PendingJob):
                self._turned_away(item)
            elif item is not None and message.taken:
                self._arrived(item)
            elif item is not None:
                self._fail(f"the broker refused {item.kind}")
                return
        self._settle()

    def publish_unroutable(self, message: PublishUnroutable) -> None:
        """There is no queue: somebody has deleted it, and it is declared anew."""
        if self._is_stale(message.generation):
            return
        tag = self._jobs.get(message.message_id)
        item = None if tag is None else self._in_flight[tag]
        if tag is not None and isinstance(item, PendingJob):
            self._in_flight[tag] = None
            self._refuse(item, "unavailable")
            if item.job.language not in self._link.topology.languages:
                return  # it is not ours to declare
        self._fail("a queue is gone")

    def _settle(self) -> None:
        """Send what may be sent, and say so when a drain has nothing left."""
        while self._can_send and (parcel := self._outbox.take()) is not None:
            self._send_parcel(parcel)
        if self._drained is not None and not self._jobs and self._outbox.is_empty:
            self._drained()

    def _send_parcel(self, parcel: Parcel) -> None:
        headers: dict[str, object] = {
            "publisher": self._outbox.publisher,
            "seq": parcel.seq,
        }
        if parcel.reason:
            headers["x-warmbox-reason"] = parcel.reason
        address = parcel.exchange, parcel.routing_key
        self._send(parcel, address, parcel.body, type=parcel.kind, headers=headers)

    def _arrived(self, parcel: Parcel) -> None:
        self._outbox.confirm(parcel)
        self._controls_full = False
        if parcel.receipt is not None:
            self.tell(*parcel.receipt)

    # --------------------------------------------------------------------- jobs

    def publish_job(self, message: PublishJob) -> None:
        """Send a job on its way, or refuse it at once."""
        job = message.job
        known = self._outbox.fingerprint(job.id)
        if job.id in self._untold:
            self._untold[job.id].repeated.append(message.reply)
        elif known is not None and self._can_send:
            message.reply(PublishReply("duplicate", known))
        elif job.id in self._jobs:
            pending = self._in_flight[self._jobs[job.id]]
            assert isinstance(pending, PendingJob)  # noqa: S101 - see `_jobs`
            pending.repeated.append(message.reply)
        elif self._drained is not None:
            message.reply(PublishReply("draining"))
        elif not self._can_send:
            message.reply(PublishReply("unavailable"))
        elif self._admission and (refusal := self._admission.refusal(job)):
            message.reply(PublishReply(refusal))
        else:
            self._send_job(PendingJob(job, message.reply))

    def _send_job(self, pending: PendingJob) -> None:
        job = pending.job
        address = "", queue_of(job.language)
        self._send(pending, address, encode_job(job), type="job", message_id=job.id)
        self._jobs[job.id] = self._tag
        if self._admission is not None:  # once it is where `_refuse` will find it
            self._admission.add(job.id, acceptance(job))

    def _turned_away(self, pending: PendingJob) -> None:
        """Refuse a job that its queue has not taken, and ask whether that is true.

        Who opens a channel while its queue has no leader, as when a node has just died,
        is refused by RabbitMQ for as long as that channel lives (seen with 3.10: the
        server's side of it waits for a word of a leader that does not know it).
        """
        fill = 1.0 if self._admission is None else self._admission.fill(pending.job)
        self._refuse(pending, "queue_full" if fill > DOUBT_FILL else "unavailable")
        stood_s = self.now() - self._open_since
        if fill <= DOUBT_FILL and stood_s >= DOUBT_S and self._is_usable:
            self._fail("jobs are refused where few wait")

    def _told(self, pending: PendingJob) -> None:
        """The queue has it: next the stream is to tell of it."""
        job = pending.job
        del self._jobs[job.id]
        if job.fingerprint:
            self._outbox.remember(job.id, job.fingerprint)
        self._untold[job.id] = pending
        self._post_events((JobEvent(job.id, 1, acceptance(job)),), self.name)

    def events_confirmed(self, message: EventsConfirmed) -> None:
        """The stream tells of a job: now it is accepted."""
        for event in message.events:
            pending = self._untold.pop(event.job_id, None)
            if pending is not None:
                pending.reply(PublishReply("accepted"))
                for reply in pending.repeated:
                    reply(PublishReply("duplicate", pending.job.fingerprint))

    def _refuse(self, pending: PendingJob, status: Refusal) -> None:
        self._jobs.pop(pending.job.id, None)
        if self._admission is not None:
            self._admission.remove(pending.job.id)
        for reply in (pending.reply, *pending.repeated):
            reply(PublishReply(status))

    def _refuse_jobs(self) -> None:
        """What is not confirmed by now may never be: no client has to wait for it."""
        for tag in list(self._jobs.values()):
            pending, self._in_flight[tag] = self._in_flight[tag], None
            assert isinstance(pending, PendingJob)  # noqa: S101 - see `_jobs`
            self._refuse(pending, "unknown")
        while self._untold:  # they will run, and whoever repeats a key finds them
            _, pending = self._untold.popitem()
            self._refuse(pending, "unknown")

    # --------------------------------------------------------- everything else

    def publish_events(self, message: PublishEvents) -> None:
        """Append to the stream, now or when the broker is back."""
        self._post_events(message.events, message.confirm_to)
        self._settle()

    def _post_events(
        self, events: tuple[JobEvent, ...], confirm_to: str | None
    ) -> None:
        receipt = confirm_to and (confirm_to, EventsConfirmed(events))
        body = encode_events(events)
        self._outbox.add("events", ("", EVENTS), body, receipt or None)

    def publish_dead(self, message: PublishDead) -> None:
        """Keep a copy among the dead."""
        receipt = message.confirm_to, DeadPublished(message.tag, message.generation)
        self._outbox.add("dead", ("", DEAD), message.body, receipt, message.reason)
        self._settle()

    def cancel_job(self, message: CancelJob) -> None:
        """Tell all workers; one of them has the job, or will have it."""
        self._control(message, "cancel")

    def send_stdin(self, message: SendStdin) -> None:
        """Tell all workers; one of them has the job, or will have it."""
        self._control(message, "stdin")

    def _control(self, message: JobControl, kind: str) -> None:
        kept = self._outbox.add_control(kind, CONTROL, encode_control(message))
        if not kept and not self._controls_full:
            self._controls_full = True
            log.error("%s: too many controls wait; new ones are dropped", self.name)
        self._settle()

    def publish_report(self, message: PublishReport) -> None:
        """Tell all gateways, if that can be done now: the next will be newer."""
        if self._can_send:
            body = encode_report(message.report)
            self._send(None, ("", EVENTS), body, type="report")

    # -------------------------------------------------------------------- drain

    def begin_drain(self, message: BeginDrain) -> None:
        """Take no more jobs, and say when nothing is unconfirmed."""
        self._drained = message.reply
        self._settle()

    def end_unfinished(self, message: EndUnfinished) -> None:
        """No job is held here: the broker has them all."""
        message.reply(0)
