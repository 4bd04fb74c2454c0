"""What every broker promises, held by the embedded one and by RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from amqp_world import Process, amqp_process, embedded_process, new_job
from gevent.event import Event
from samples import make_job

from actors.acceptance import acceptance
from actors.messages import (
    Accepted,
    AckJob,
    BeginDrain,
    CancelJob,
    EndUnfinished,
    EventsConfirmed,
    EventsReceived,
    Finished,
    JobDelivered,
    JobResult,
    Outcome,
    Output,
    PublishReply,
    Queued,
    SendStdin,
    Started,
)

if TYPE_CHECKING:
    from rabbitmq_server import RabbitServer

END = Finished(JobResult(Outcome.SUCCESS))
HELLO = Output("run", "stdout", b"hello \xff")
Make = Callable[..., Process]


@pytest.fixture(
    params=["embedded", pytest.param("amqp", marks=pytest.mark.rabbitmq)],
)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Return what makes a process with a broker of either kind, and all of it new."""
    processes: list[Process] = []

    def make_one(**options: Any) -> Process:
        if request.param == "embedded":
            processes.append(embedded_process(**options))
        else:
            server: RabbitServer = request.getfixturevalue("rabbitmq")
            server.renew()
            processes.append(amqp_process(server, **options))
        return processes[-1]

    yield make_one
    for process in processes:
        for name in process.refs:
            process.stop(name)


@pytest.fixture
def process(make: Make) -> Process:
    found = make()
    found.read()
    return found


def accepted(fingerprint: str = "") -> Accepted:
    return acceptance(make_job(fingerprint=fingerprint))


def test_a_broker_that_is_there_says_so(process: Process) -> None:
    status = process.status(process.broker)
    assert (status.state, status.reason) == ("open", "")


# ----------------------------------------------------------------------------- jobs


def test_a_published_job_is_delivered_as_it_was(process: Process) -> None:
    process.subscribe()
    job = process.accepted(stdin=b"\x00\xff", args=("a", ""), env=(("A", "ü"),))
    lease = process.lease()
    assert lease.job == job
    assert (lease.attempt, lease.begun, lease.delivered) == (1, 0, 0)


def test_a_job_waits_for_a_subscriber(process: Process) -> None:
    job = process.accepted()
    process.subscribe()
    assert process.lease().job == job


def test_an_accepted_job_is_told_of_in_the_stream(process: Process) -> None:
    job = process.accepted(fingerprint="abc")
    assert process.wait_streamed(job, 1) == [accepted("abc")]


def test_the_same_id_again_is_a_duplicate(process: Process) -> None:
    process.subscribe()
    job = process.accepted(fingerprint="abc")
    assert process.publish(job) == PublishReply("duplicate", "abc")
    process.accepted()
    assert process.lease(2).job != job
    assert len(process.queue.of(JobDelivered)) == 2


def test_a_full_queue_refuses_and_takes_again(make: Make) -> None:
    process = make(queue_max=2)
    statuses = [process.publish(new_job()).status for _ in range(6)]
    assert statuses[:2] == ["accepted", "accepted"]
    assert statuses[-1] == "queue_full"
    assert process.publish(new_job(language="c")) == PublishReply("accepted")
    process.subscribe()
    for count in range(1, statuses.count("accepted") + 1):
        process.tell(process.consumer, AckJob(process.lease(count)))
    assert process.publish(new_job()) == PublishReply("accepted")


# ---------------------------------------------------------------------------- leases


def test_an_acked_job_does_not_come_again(process: Process) -> None:
    process.subscribe()
    process.accepted()
    process.tell(process.consumer, AckJob(process.lease()))
    second = process.accepted()
    process.lease(2)
    process.subscribe()
    assert process.lease(3).job == second


def test_a_job_that_is_not_acked_comes_again_as_a_new_lease(process: Process) -> None:
    process.subscribe()
    job = process.accepted()
    old = process.lease()
    process.subscribe()
    new = process.lease(2)
    assert new.job == job
    assert new.generation != old.generation


def test_a_stale_lease_acks_nothing(process: Process) -> None:
    process.subscribe()
    job = process.accepted()
    old = process.lease()
    process.subscribe()
    process.lease(2)
    process.tell(process.consumer, AckJob(old))
    process.subscribe()
    assert process.lease(3).job == job


def test_a_job_that_was_begun_comes_as_a_newer_attempt(process: Process) -> None:
    process.subscribe()
    job = process.accepted()
    process.lease()
    process.emit(job, Started())
    process.queue.wait(EventsConfirmed)
    process.subscribe()
    assert process.lease(2).attempt > 1


# ---------------------------------------------------------------------------- events


def test_events_are_confirmed_and_streamed_in_order(process: Process) -> None:
    job = process.accepted()
    first = process.emit(job, Queued(1), Started())
    second = process.emit(job, HELLO, END)
    confirmed = process.queue.wait(EventsConfirmed, 2)
    assert [one.events for one in confirmed] == [first, second]
    streamed = process.wait_streamed(job, 5)
    assert streamed == [accepted(), Queued(1), Started(), HELLO, END]


def test_what_is_received_follows_without_a_gap(process: Process) -> None:
    for _ in range(3):
        job = process.accepted()
        process.emit(job, Started(), HELLO)
        process.wait_streamed(job, 3)
    offset = 0
    for received in process.relay.of(EventsReceived):
        assert received.offset == offset
        offset = received.next_offset
    assert offset > 0


def test_a_new_subscriber_gets_what_was_before(process: Process) -> None:
    job = process.accepted()
    process.emit(job, Started(), END)
    process.wait_streamed(job, 3)
    process.relay.forget()
    process.read()
    assert process.wait_streamed(job, 3) == [accepted(), Started(), END]


# -------------------------------------------------------------------------- controls


def test_controls_reach_the_queue_in_order(process: Process) -> None:
    process.subscribe()
    job = process.accepted()
    process.lease()
    process.queue.forget()
    controls = [
        SendStdin(job.id, "python", b"\x00a", end=False),
        SendStdin(job.id, "python", b"", end=True),
        CancelJob(job.id, "python"),
    ]
    process.tell(process.broker, CancelJob(job.id, "cobol"), *controls)
    process.queue.wait_until(lambda: len(process.queue.told) >= len(controls))
    assert process.queue.told == controls


# ----------------------------------------------------------------------------- drain


def test_a_drain_refuses_jobs_and_ends_with_the_last(process: Process) -> None:
    process.subscribe()
    job = process.accepted()
    lease = process.lease()
    drained = {name: Event() for name in {process.broker, process.consumer}}
    for name, event in drained.items():
        process.tell(name, BeginDrain(event.set))
    assert process.publish(new_job()) == PublishReply("draining")
    process.emit(job, END)
    process.queue.wait(EventsConfirmed)
    assert not drained[process.consumer].is_set()
    process.tell(process.consumer, AckJob(lease))
    assert all(event.wait(10) for event in drained.values())


def test_what_is_left_over_is_counted(process: Process) -> None:
    process.subscribe()
    process.accepted()
    process.lease()
    counts: list[int] = []
    told = Event()
    process.tell(process.consumer, EndUnfinished(counts.append))
    process.tell(process.consumer, EndUnfinished(lambda _: told.set()))
    assert told.wait(10)
    assert counts == [1]
