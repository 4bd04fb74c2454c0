"""The connection that consumes a worker's jobs.

A delivery that is a job becomes a lease of its language's queue; it stays
unacknowledged until that queue says so. One that is no job, or has killed worker after
worker, ends here: among the dead, with the reason, and is acknowledged once the copy
is there for good.

prefetch counts per language: what this worker can run of it at once, and one more, so
that no slot waits for the network. What is not prefetched waits in RabbitMQ, for
whichever worker is free first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from actors.acceptance import acceptance
from actors.broker.amqp import AmqpConnection
from actors.broker.codec import CodecError
from actors.broker.deliveries import (
    Subscription,
    Unacked,
    delivery_count,
    first_attempt,
    lease_of,
)
from actors.broker.draining import going_on
from actors.broker.job_schema import decode_job
from actors.broker.topology import (
    DELIVERIES_MAX,
    queue_of,
)
from actors.messages import (
    BeginDrain,
    BrokerStarted,
    EndUnfinished,
    Finished,
    Job,
    JobDelivered,
    JobEvent,
    JobResult,
    Lease,
    LeasesLost,
    Outcome,
    PublishDead,
    PublishEvents,
    ReturnWaiting,
    SubscribeJobs,
)
from metrics import instruments

if TYPE_CHECKING:
    from actors.actor import Context
    from actors.broker.connection_messages import ConsumerCancelled, MessageArrived
    from actors.broker.link import Link
    from actors.messages import (
        AckJob,
        Boot,
        ControlsHeard,
        DeadPublished,
        EventsConfirmed,
        ReturnJob,
    )

log = logging.getLogger("warmbox.broker")

CONTROLS_WAIT_S = 3.0
"""What our ear gets to be there before jobs are taken without it: what is said to them
until then is lost, but nothing runs without them."""
RETRY_S = 1.0
"""Until the publisher, which is being started anew, is told again."""
MAIL = (SubscribeJobs, BeginDrain, EndUnfinished)
"""What a successor does in the place of one that crashed."""


class AmqpConsumer(AmqpConnection):
    """A worker's connection.

    publisher_name: the actor that publishes what ends here.
    controls_name: the actor that hears what is said to jobs.
    """

    def __init__(
        self,
        context: Context,
        link: Link,
        prefetch: int,
        publisher_name: str,
        controls_name: str,
        customers: str = "root/",
    ) -> None:
        super().__init__(context, link)
        self._prefetch = prefetch
        self._publisher = publisher_name
        self._controls = controls_name
        self._is_heard = False
        """Whether what is said to jobs is kept, or has been waited for in vain."""
        self._customers = customers
        self._subscriptions: dict[str, Subscription] = {}
        self._unacked: dict[int, Unacked] = {}
        self._to_publish: list[PublishDead | PublishEvents] = []
        self._drained: Callable[[], None] | None = None

    def boot(self, message: Boot) -> None:
        """Connect, and have the queues subscribe, which a predecessor knew."""
        for name in self.directory.names(self._customers):
            if name.endswith("/queue"):
                self.tell(name, BrokerStarted())
        self.tell(self._controls, BrokerStarted())
        self.set_timer("controls", CONTROLS_WAIT_S)
        super().boot(message)

    def clean_up(self, *, crashed: bool) -> None:
        """What is not acknowledged is delivered again, to somebody."""
        if crashed:
            self.leave_mail(MAIL, first=going_on(self._drained))
        super().clean_up(crashed=crashed)
        self._lost()

    # ----------------------------------------------------------------- the wire

    def controls_heard(self, message: ControlsHeard) -> None:
        """Take jobs, now that what is said to them is kept."""
        self._take_jobs()

    def _take_jobs(self) -> None:
        self.cancel_timer("controls")
        if not self._is_heard:
            self._is_heard = True
            if self._is_usable:
                self._opened()

    def _opened(self) -> None:
        for subscription in self._subscriptions.values():
            self._consume(subscription)

    def _lost(self) -> None:
        self._unacked.clear()
        for subscription in self._subscriptions.values():
            self.tell(subscription.queue_name, LeasesLost(subscription.language))
        self._settle()

    def consumer_cancelled(self, message: ConsumerCancelled) -> None:
        """A queue was deleted or moved: a new connection declares it anew."""
        if not self._is_stale(message.generation):
            self._fail("a queue is gone")

    def time_out(self, name: str) -> None:
        """Tell the publisher again, or take jobs without an ear for them."""
        if name == "controls":
            log.warning("%s: jobs are taken, but nothing said to them", self.name)
            self._take_jobs()
        elif name == "publish":
            waiting, self._to_publish = self._to_publish, []
            for message in waiting:
                self._publish(message)
        else:
            super().time_out(name)

    # --------------------------------------------------------------------- jobs

    def subscribe_jobs(self, message: SubscribeJobs) -> None:
        """Consume the language's jobs; what a predecessor held is handed back."""
        language = message.language
        known = self._subscriptions.get(language)
        if known is not None and self._is_usable and self._drained is None:
            self._open_wire.cancel(known.consumer)
        if known is not None:
            self._hand_back_all(known)
        subscription = Subscription(language, message.queue_name)
        self._subscriptions[language] = subscription
        if self._drained is not None:
            self.tell(subscription.queue_name, ReturnWaiting(language))
        elif self._is_usable:
            self._consume(subscription)

    def _consume(self, subscription: Subscription) -> None:
        subscription.renew()
        if self._drained is None and self._is_heard:
            self._open_wire.consume(
                queue_of(subscription.language),
                subscription.consumer,
                self._prefetch,
                {},
            )

    def _hand_back_all(self, subscription: Subscription) -> None:
        for tag, unacked in list(self._unacked.items()):
            if unacked.generation == subscription.generation:
                self._hand_back(tag)

    def _hand_back(self, tag: int) -> None:
        self._unacked.pop(tag, None)
        if self._is_usable:
            self._open_wire.hand_back(tag)
        self._settle()

    def message_arrived(self, message: MessageArrived) -> None:
        """Take in a job."""
        if self._is_stale(message.generation) or not self._is_usable:
            return
        language, _, generation = message.consumer.rpartition(".")
        subscription = self._subscriptions.get(language)
        if (
            subscription is None
            or str(subscription.generation) != generation
            or self._drained is not None
        ):
            self._hand_back(message.tag)  # it had left before its consumer was ended
        else:
            self._unacked[message.tag] = Unacked(language, subscription.generation)
            self._deliver(message, subscription)

    def _deliver(self, message: MessageArrived, subscription: Subscription) -> None:
        language, generation = subscription.language, subscription.generation
        try:
            job = decode_job(message.body)
        except CodecError as error:
            instruments.unreadable_total.labels("job").inc()
            self._bury(message.tag, message.body, str(error))
            return
        if job.language != language:
            reason = f"unknown language {job.language!r} in the queue of {language}"
            self._bury(message.tag, message.body, reason)
            return
        delivered = delivery_count(message.headers)
        if delivered >= DELIVERIES_MAX:
            self._end(message.tag, job, message.body, delivered)
            return
        lease = lease_of(job, message.tag, generation, delivered)
        if not self.tell(subscription.queue_name, JobDelivered(lease)):
            # Its queue is being started anew, and will subscribe: then it is handed
            # back with the others.
            log.debug("%s is away for a moment", subscription.queue_name)

    def ack_job(self, message: AckJob) -> None:
        """Let the server forget the job, unless the lease is stale."""
        if self._holds(message.lease):
            self._ack(message.lease.tag)

    def return_job(self, message: ReturnJob) -> None:
        """Let somebody else have the job, unless the lease is stale."""
        if self._holds(message.lease):
            self._hand_back(message.lease.tag)

    def _holds(self, lease: Lease) -> bool:
        unacked = self._unacked.get(lease.tag)
        return unacked is not None and unacked.generation == lease.generation

    def _ack(self, tag: int) -> None:
        self._unacked.pop(tag, None)
        if self._is_usable:
            self._open_wire.ack(tag)
        self._settle()

    # ----------------------------------------------------------------- the dead

    def _bury(self, tag: int, body: bytes, reason: str) -> None:
        log.error("%s: a message goes to the dead: %s", self.name, reason)
        generation = self._unacked[tag].generation
        self._publish(PublishDead(body, reason, tag, generation, self.name))

    def dead_published(self, message: DeadPublished) -> None:
        """The copy is there for good: the server may forget the message."""
        unacked = self._unacked.get(message.tag)
        if unacked is not None and unacked.generation == message.generation:
            self._ack(message.tag)

    def _end(self, tag: int, job: Job, body: bytes, delivered: int) -> None:
        """End a job that was delivered too often; its end is confirmed first."""
        self._unacked[tag].ending = job, body, delivered
        text = f"the job was delivered {delivered} times without an end"
        result = JobResult(Outcome.INTERNAL_ERROR, message=text)
        attempt = first_attempt(delivered)
        events = (
            JobEvent(job.id, attempt, acceptance(job)),
            JobEvent(job.id, attempt, Finished(result)),
        )
        self._publish(PublishEvents(events, self.name))

    def events_confirmed(self, message: EventsConfirmed) -> None:
        """A job's end is known: keep its message among the dead."""
        ended = message.events[-1].job_id
        for tag, unacked in self._unacked.items():
            if unacked.ending is not None and unacked.ending[0].id == ended:
                _, body, delivered = unacked.ending
                unacked.ending = None
                self._bury(tag, body, f"delivered {delivered} times without an end")
                return

    def _publish(self, message: PublishDead | PublishEvents) -> None:
        if not self.tell(self._publisher, message):
            self._to_publish.append(message)
            self.set_timer("publish", RETRY_S)

    # -------------------------------------------------------------------- drain

    def begin_drain(self, message: BeginDrain) -> None:
        """Take nothing more, give back what waits, and say when the last has ended."""
        for subscription in self._subscriptions.values():
            if self._is_usable and self._drained is None:
                self._open_wire.cancel(subscription.consumer)
            self.tell(subscription.queue_name, ReturnWaiting(subscription.language))
        self._drained = message.reply
        self._settle()

    def _settle(self) -> None:
        if self._drained is not None and not self._unacked:
            self._drained()

    def end_unfinished(self, message: EndUnfinished) -> None:
        """Hand everything back: the end of the channel does."""
        count = len(self._unacked)
        self._close()
        self._unacked.clear()
        message.reply(count)
