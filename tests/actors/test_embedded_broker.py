"""The embedded broker: takes jobs, delivers them, and goes on after a crash."""

from __future__ import annotations

from typing import Any

import pytest
from actor_world import Probe, World, settle
from samples import bodies, make_job

from actors.acceptance import acceptance
from actors.broker.embedded import EmbeddedBroker
from actors.broker.embedded_store import EmbeddedStore
from actors.messages import (
    AckJob,
    BeginDrain,
    BrokerStarted,
    CancelJob,
    EndUnfinished,
    EventsConfirmed,
    EventsReceived,
    Finished,
    JobDelivered,
    JobEvent,
    JobResult,
    Lease,
    Outcome,
    Output,
    PublishEvents,
    PublishJob,
    PublishReply,
    Queued,
    SendStdin,
    Started,
    SubscribeEvents,
    SubscribeJobs,
)
from metrics.instruments import REGISTRY

END = Finished(JobResult(Outcome.SUCCESS))
LAST = Output("run", "stdout", b"last")
ACCEPTED = acceptance(make_job())
QUEUE = "root/languages/python/queue"


class Broker:
    """A broker with a queue and a relay."""

    def __init__(self, world: World, queue_max: int = 2) -> None:
        self.world = world
        self.store = EmbeddedStore(queue_max, 600, 1_000_000)
        self.replies: list[PublishReply] = []
        self.queue = world.probe(QUEUE)
        self.relay = world.probe("root/relay")
        self.start()

    def start(self) -> None:
        self.world.start(EmbeddedBroker, "root/broker", self.store)

    def tell(self, *messages: object) -> None:
        self.world.tell("root/broker", *messages)

    def publish(self, job_id: str = "j1", **changes: Any) -> PublishReply:
        job = make_job(job_id, **changes)
        self.tell(PublishJob(job, self.replies.append))
        return self.replies[-1]

    def subscribe(self) -> None:
        self.tell(SubscribeJobs("python", QUEUE))

    def leases(self) -> list[Lease]:
        """Return what was delivered since the last time."""
        told = self.queue.take()
        return [one.lease for one in told if isinstance(one, JobDelivered)]

    def emit(
        self, body: Any, job_id: str = "j1", confirm_to: str | None = None
    ) -> None:
        self.tell(PublishEvents((JobEvent(job_id, 1, body),), confirm_to))

    def streamed(self, probe: Probe | None = None) -> list[object]:
        """Return the bodies that a subscriber has got since the last time."""
        told = (probe or self.relay).take()
        received = [one for one in told if isinstance(one, EventsReceived)]
        return [body for one in received for body in bodies(list(one.events))]


@pytest.fixture
def broker(world: World) -> Broker:
    return Broker(world)


# --------------------------------------------------------------------- publishing


def test_an_accepted_job_is_in_the_stream_before_its_customer_knows(
    world: World,
) -> None:
    broker = Broker(world)
    broker.tell(SubscribeEvents("root/relay", 0))
    broker.streamed()
    seen: list[object] = []
    job = make_job()
    broker.tell(PublishJob(job, lambda _: seen.append(broker.store.events_from(0))))
    assert seen == [(JobEvent("j1", 1, ACCEPTED),)]
    assert broker.streamed() == [ACCEPTED]


def test_a_job_is_delivered_once_somebody_has_subscribed(broker: Broker) -> None:
    assert broker.publish() == PublishReply("accepted")
    assert broker.leases() == []
    broker.subscribe()
    (lease,) = broker.leases()
    assert (lease.job, lease.attempt) == (make_job(), 1)
    broker.publish("j2")
    assert [one.job.id for one in broker.leases()] == ["j2"]


def test_a_job_that_is_known_is_a_duplicate(broker: Broker) -> None:
    broker.publish(fingerprint="abc")
    assert broker.publish(fingerprint="xyz") == PublishReply("duplicate", "abc")
    broker.subscribe()
    assert len(broker.leases()) == 1


def test_a_duplicate_is_known_after_its_end_and_in_a_drain(broker: Broker) -> None:
    broker.subscribe()
    broker.publish(fingerprint="abc")
    broker.emit(END)
    broker.tell(AckJob(broker.leases()[0]))
    broker.tell(BeginDrain(lambda: None))
    assert broker.publish() == PublishReply("duplicate", "abc")


def test_a_full_queue_refuses_its_own_language_only(broker: Broker) -> None:
    broker.publish("j1")
    broker.publish("j2")
    assert broker.publish("j3") == PublishReply("queue_full")
    assert broker.publish("k1", language="c") == PublishReply("accepted")
    broker.subscribe()
    assert len(broker.leases()) == 2
    assert broker.store.fingerprint("j3") is None


def test_an_acked_job_makes_room(broker: Broker) -> None:
    broker.subscribe()
    broker.publish("j1")
    broker.publish("j2")
    broker.tell(AckJob(broker.leases()[0]))
    assert broker.publish("j3") == PublishReply("accepted")


# -------------------------------------------------------------------- subscribing


def test_a_subscription_delivers_all_unfinished_jobs_anew(broker: Broker) -> None:
    broker.subscribe()
    broker.publish("j1")
    broker.publish("j2")
    first, second = broker.leases()
    broker.tell(AckJob(first))
    broker.subscribe()
    (again,) = broker.leases()
    assert again.job == second.job
    assert again.generation > second.generation


def test_a_stale_lease_acks_nothing(broker: Broker) -> None:
    broker.subscribe()
    broker.publish()
    (old,) = broker.leases()
    broker.subscribe()
    broker.tell(AckJob(old))
    broker.subscribe()
    lease = broker.leases()[-1]
    broker.tell(AckJob(lease))
    broker.subscribe()
    assert broker.leases() == []


def test_a_job_that_was_begun_is_delivered_as_the_next_attempt(broker: Broker) -> None:
    broker.subscribe()
    broker.publish()
    broker.leases()
    broker.emit(Started())
    broker.subscribe()
    (lease,) = broker.leases()
    assert lease.attempt == 2


def test_a_job_whose_end_is_in_the_stream_is_not_delivered_again(
    broker: Broker,
) -> None:
    # Given a job that has ended, but whose queue died before it could ack
    broker.subscribe()
    broker.publish()
    broker.leases()
    broker.emit(END)
    # When its successor subscribes
    broker.subscribe()
    # Then there is nothing to do
    assert broker.leases() == []
    assert broker.store.unfinished() == []


def test_a_queue_that_is_away_gets_the_job_when_it_subscribes(
    world: World, broker: Broker
) -> None:
    broker.subscribe()
    world.directory.strike(QUEUE, broker.queue.ref)
    assert broker.publish() == PublishReply("accepted")
    broker.queue = world.probe(QUEUE)
    broker.subscribe()
    assert len(broker.leases()) == 1


def test_controls_go_to_who_holds_the_job(broker: Broker) -> None:
    cancel = CancelJob("j1", "python")
    stdin = SendStdin("j1", "python", b"x", end=False)
    broker.tell(cancel)
    assert broker.queue.take() == [BrokerStarted()]
    broker.subscribe()
    broker.tell(cancel, stdin, CancelJob("j1", "cobol"))
    assert broker.queue.take() == [cancel, stdin]


# ------------------------------------------------------------------------- stream


def test_an_event_is_streamed_and_confirmed(world: World, broker: Broker) -> None:
    asker = world.probe("asker")
    broker.publish()
    broker.tell(SubscribeEvents("root/relay", 0))
    broker.emit(Queued(1), confirm_to="asker")
    assert asker.take() == [EventsConfirmed((JobEvent("j1", 1, Queued(1)),))]
    assert broker.streamed() == [ACCEPTED, Queued(1)]


def test_a_subscriber_reads_from_its_offset_and_then_live(broker: Broker) -> None:
    broker.publish()
    broker.emit(Queued(1))
    broker.relay.take()
    broker.tell(SubscribeEvents("root/relay", 1))
    broker.emit(Started())
    assert broker.relay.take() == [
        EventsReceived((JobEvent("j1", 1, Queued(1)),), 1, 2),
        EventsReceived((JobEvent("j1", 1, Started()),), 2, 3),
    ]


def test_a_subscriber_is_told_each_event_once(broker: Broker) -> None:
    broker.publish()
    for _ in range(3):
        broker.tell(SubscribeEvents("root/relay", 1))
    broker.relay.take()
    broker.emit(Started())
    assert broker.streamed() == [Started()]


def test_every_subscriber_gets_the_stream(world: World, broker: Broker) -> None:
    other = world.probe("other")
    broker.tell(SubscribeEvents("root/relay", 0), SubscribeEvents("other", 0))
    broker.publish()
    assert broker.streamed() == broker.streamed(other) == [ACCEPTED]


def test_an_end_that_is_published_twice_is_streamed_once(
    world: World, broker: Broker
) -> None:
    asker = world.probe("asker")
    broker.tell(SubscribeEvents("root/relay", 0))
    broker.publish()
    broker.emit(END, confirm_to="asker")
    broker.emit(END, confirm_to="asker")
    assert broker.streamed() == [ACCEPTED, END]
    assert len(asker.take()) == 2


# -------------------------------------------------------------------------- drain


def test_a_drain_refuses_new_jobs_and_ends_with_the_last(broker: Broker) -> None:
    drained: list[bool] = []
    broker.subscribe()
    broker.publish()
    broker.tell(BeginDrain(lambda: drained.append(True)))
    assert broker.publish("j2") == PublishReply("draining")
    assert drained == []
    broker.emit(END)
    broker.tell(AckJob(broker.leases()[0]))
    assert drained == [True]


def test_without_jobs_a_drain_is_over_at_once(broker: Broker) -> None:
    drained: list[bool] = []
    broker.tell(BeginDrain(lambda: drained.append(True)))
    assert drained == [True]


def test_what_is_unfinished_when_the_drain_is_over_ends_as_our_fault(
    broker: Broker,
) -> None:
    # Given a job that has ended, and one in its second attempt
    broker.tell(SubscribeEvents("root/relay", 0))
    broker.publish("j1")
    broker.publish("j2")
    broker.emit(END, "j1")
    broker.tell(PublishEvents((JobEvent("j2", 2, Started()),)))
    broker.relay.take()
    # When no more time is given
    counts: list[int] = []
    broker.tell(EndUnfinished(counts.append))
    # Then both are done with, and the second has an end in its attempt
    assert counts == [2]
    (received,) = broker.relay.take()
    (end,) = received.events
    assert (end.job_id, end.attempt) == ("j2", 2)
    assert end.body.result.outcome is Outcome.INTERNAL_ERROR
    assert broker.store.unfinished() == []


def test_a_late_end_is_no_second_one(broker: Broker) -> None:
    broker.publish()
    broker.tell(EndUnfinished(lambda _: None), SubscribeEvents("root/relay", 0))
    broker.relay.take()
    broker.emit(END)
    assert broker.streamed() == []


# ------------------------------------------------------------------------ crashes


def gauge() -> float | None:
    return REGISTRY.get_sample_value("warmbox_broker_up")


def test_a_broker_calls_its_customers_when_it_starts(world: World) -> None:
    pool = world.probe("root/languages/python/pool")
    broker = Broker(world)
    assert broker.queue.take() == [BrokerStarted()]
    assert broker.relay.take() == [BrokerStarted()]
    assert pool.take() == []
    assert gauge() == 1


def test_a_broker_that_is_down_is_seen(world: World, broker: Broker) -> None:
    world.crash("root/broker")
    assert not world.is_alive("root/broker")
    assert gauge() == 0
    broker.start()
    assert gauge() == 1


def test_a_successor_goes_on_with_nothing_lost(world: World, broker: Broker) -> None:
    # Given a broker that crashes with a job, events and a subscription unread
    broker.subscribe()
    broker.tell(SubscribeEvents("root/relay", 0))
    broker.publish("j1")
    ref = world.directory._refs["root/broker"]  # noqa: SLF001 - to fill its mailbox
    for message in (
        object(),
        PublishJob(make_job("j2"), broker.replies.append),
        PublishEvents((JobEvent("j1", 1, Started()),), "root/relay"),
        PublishJob(make_job("j2"), broker.replies.append),
    ):
        ref.tell(message)
    settle()
    assert not ref.is_alive()
    assert len(broker.replies) == 1
    broker.queue.take()
    broker.relay.take()
    # and one that comes before its successor
    broker.tell(PublishEvents((JobEvent("j1", 1, LAST),), "root/relay"))
    # When that starts, and its customers subscribe again
    broker.start()
    broker.subscribe()
    broker.tell(SubscribeEvents("root/relay", 0))
    # Then all that was mailed has been done, in its order
    assert [reply.status for reply in broker.replies] == [
        "accepted",
        "accepted",
        "duplicate",
    ]
    assert [lease.job.id for lease in broker.leases()] == ["j1", "j2"]
    assert broker.relay.of(EventsConfirmed) != []
    assert broker.streamed() == [ACCEPTED, ACCEPTED, Started(), LAST]


def test_what_was_accepted_before_a_crash_is_in_the_stream(broker: Broker) -> None:
    broker.tell(SubscribeEvents("root/relay", 0))
    broker.streamed()
    job = PublishJob(make_job(), broker.replies.append)
    # Both are in the mailbox before the first is read
    broker.tell(job, object())
    assert broker.replies == [PublishReply("accepted")]
    assert broker.streamed() == [ACCEPTED]


def test_output_that_is_told_around_crashes_comes_in_order(
    world: World, broker: Broker
) -> None:
    """Before one, behind one, and before its successor has had its first turn."""
    broker.publish("j1")
    broker.tell(SubscribeEvents("root/relay", 0))
    broker.relay.take()
    said = [Output("run", "stdout", bytes([n])) for n in range(30)]
    for number, body in enumerate(said):
        message = PublishEvents((JobEvent("j1", 1, body),), "root/relay")
        if number % 5 == 2:
            world.directory._refs["root/broker"].tell(object())  # noqa: SLF001 - a crash
        broker.tell(message)
        if number % 5 == 3:
            settle()
        if number % 5 == 4:
            broker.start()
    settle()
    broker.relay.take()
    broker.tell(SubscribeEvents("root/relay", 0))
    assert broker.streamed()[1:] == said


def test_a_drain_outlives_a_crash(world: World, broker: Broker) -> None:
    drained: list[str] = []
    broker.publish("j1")
    broker.tell(BeginDrain(lambda: drained.append("drained")))
    world.crash("root/broker")
    broker.start()
    assert broker.publish("j2").status == "draining"
    assert drained == []


@pytest.mark.usefixtures("broker")
def test_an_orderly_stop_leaves_no_mail(world: World) -> None:
    world.stop("root/broker")
    assert not world.directory.tell("root/broker", SubscribeEvents("root/relay", 0))


def test_leases_of_a_crashed_broker_are_stale(world: World, broker: Broker) -> None:
    broker.subscribe()
    broker.publish()
    (old,) = broker.leases()
    world.crash("root/broker")
    broker.start()
    broker.tell(AckJob(old))
    broker.subscribe()
    assert len(broker.leases()) == 1
