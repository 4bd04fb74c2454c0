"""RabbitMQ fails in every way that it has, and what was promised is kept."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import time_ns
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from amqp_world import (
    BROKER,
    CONSUMER,
    CONTROLS,
    EVENTS_NAME,
    PATIENCE_S,
    QUEUE,
    RELAY,
    AmqpProcess,
    amqp_process,
    dead_letters,
    new_job,
    raw,
)
from gevent.event import AsyncResult, Event
from gevent.queue import Queue
from samples import make_job
from stage import wait_until

from actors.acceptance import acceptance
from actors.admission import Admission
from actors.broker.amqp import AmqpConnection
from actors.broker.event_codec import encode_events
from actors.broker.job_schema import encode_job
from actors.broker.probe import probe
from actors.broker.publisher import DOUBT_S
from actors.broker.topology import (
    DEAD,
    DELIVERIES_MAX,
    EVENTS,
    Step,
    control_queue_of,
    queue_of,
)
from actors.messages import (
    Accepted,
    AckJob,
    BeginDrain,
    BrokerStarted,
    CancelJob,
    DescribeBroker,
    EventsConfirmed,
    EventsReceived,
    Finished,
    Job,
    JobDelivered,
    JobEvent,
    JobResult,
    LanguageStatus,
    LeasesLost,
    Outcome,
    Output,
    PublisherStarted,
    PublishEvents,
    PublishJob,
    PublishReply,
    PublishReport,
    ReturnJob,
    ReturnWaiting,
    SendStdin,
    Started,
    WorkerReport,
    WorkerReported,
)
from metrics.instruments import REGISTRY

if TYPE_CHECKING:
    from rabbitmq_server import RabbitServer

    from actors.actor import Context
    from actors.broker.link import Link

pytestmark = pytest.mark.rabbitmq
END = Finished(JobResult(Outcome.SUCCESS))
RECONNECTS = 1000
SPOKEN_MIN = 300
Make = Callable[..., AmqpProcess]


def gauge() -> float | None:
    return REGISTRY.get_sample_value("warmbox_broker_up")


@pytest.fixture
def make(rabbitmq: RabbitServer) -> Iterator[Make]:
    """Return what makes one more process beside the others."""
    processes: list[AmqpProcess] = []
    rabbitmq.renew()

    def make_one(**options: Any) -> AmqpProcess:
        processes.append(amqp_process(rabbitmq, **options))
        return processes[-1]

    yield make_one
    for process in processes:
        for name in process.refs:
            process.stop(name)


@pytest.fixture
def process(make: Make) -> AmqpProcess:
    found = make()
    found.read()
    found.subscribe()
    return found


# ---------------------------------------------------------------- lost connections


def cut_all(server: RabbitServer) -> None:
    server.ctl("close_all_connections", "--vhost", server.vhost, "a test")


def test_closed_connections_come_back_with_all_that_was_asked(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    # Given a job that runs
    job = process.accepted()
    old = process.lease()
    # When all connections are closed
    cut_all(rabbitmq)
    process.queue.wait(LeasesLost)
    # Then the job comes again, as a newer attempt with a lease that counts
    new = process.lease(2)
    assert new.job == job
    assert new.attempt == 1001
    assert new.delivered == 1
    process.tell(CONSUMER, AckJob(old))
    process.wait_state(BROKER)
    process.emit(job, END)
    process.queue.wait(EventsConfirmed)
    process.tell(CONSUMER, AckJob(new))
    # And its stream goes on where it was
    assert process.wait_streamed(job, 2)[-1] == END
    # And there is nothing left to deliver
    process.subscribe()
    last = process.accepted()
    assert process.lease(3).job == last
    assert gauge() == 1


def while_cut(server: RabbitServer, say: Callable[[int], object]) -> int:
    """Speak without a pause while all connections are cut; return how often."""
    cut = gevent.spawn(cut_all, server)
    count = 0
    while not cut.ready() or count < SPOKEN_MIN:
        say(count)
        count += 1
        gevent.sleep(0.001)
    cut.get()
    return count


def output(number: int) -> Output:
    return Output("run", "stdout", str(number).encode())


def test_events_around_a_loss_arrive_once_and_in_order(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    job = process.accepted()
    process.wait_streamed(job, 1)
    count = while_cut(rabbitmq, lambda number: process.emit(job, output(number)))
    streamed = process.wait_streamed(job, count + 1)
    assert streamed[1:] == [output(number) for number in range(count)]
    assert len(process.queue.wait(EventsConfirmed, count)) == count


def test_controls_around_a_loss_arrive_once_and_in_order(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    def stdin(number: int) -> SendStdin:
        return SendStdin("j", "python", str(number).encode(), end=False)

    count = while_cut(rabbitmq, lambda number: process.tell(BROKER, stdin(number)))
    expected = [stdin(number) for number in range(count)]
    assert process.queue.wait(SendStdin, count) == expected


def test_jobs_around_a_loss_are_all_answered_and_the_accepted_are_there(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    replies: Queue[tuple[Job, str]] = Queue()

    def publish(_: int) -> None:
        job = new_job()
        message = PublishJob(job, lambda one: replies.put((job, one.status)))
        process.tell(BROKER, message)

    count = while_cut(rabbitmq, publish)
    with gevent.Timeout(PATIENCE_S):
        answers = [replies.get() for _ in range(count)]
    assert replies.empty()
    statuses = {status for _, status in answers}
    assert {"accepted"} < statuses
    assert statuses <= {"accepted", "unavailable", "unknown", "queue_full"}
    for job, status in answers:
        if status == "accepted":
            assert process.wait_streamed(job, 1) == [acceptance(job)]


class Flapping(AmqpConnection):
    """Loses each connection as soon as it has it: by turns in order and not."""

    def __init__(self, context: Context, link: Link, done: Event) -> None:
        super().__init__(context, link)
        self._done = done
        self._descriptors: list[int] = []

    def _steps(self) -> list[Step]:
        return []

    def _opened(self) -> None:
        self._descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
        count = len(self._descriptors)
        if count > RECONNECTS:
            self._done.set()
        elif count % 2:
            self._fail("a test")
        else:
            transport: Any = self._open_wire._connection._transport  # noqa: SLF001
            transport._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001

    def describe_broker(self, message: DescribeBroker) -> Any:  # noqa: ARG002
        return self._descriptors


def test_a_thousand_reconnects_leak_no_descriptor(rabbitmq: RabbitServer) -> None:
    process, done = AmqpProcess(rabbitmq.url), Event()
    link = replace(process.link, backoff=lambda _: 0.0)
    process.start(Flapping, "flapping", link, done)
    assert done.wait(120)
    counts = process.directory.ask("flapping", DescribeBroker(), PATIENCE_S)
    # Usually: a connection that was lost may close a moment after the next has opened.
    assert median(counts[-100:]) <= median(counts[:100])
    process.stop("flapping")


def test_a_server_that_is_restarted_loses_nothing(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    # Given two jobs, one of them with the worker
    first, second = process.accepted(), process.accepted(language="c")
    process.lease()
    rabbitmq.stop()
    process.wait_state(BROKER, "backing_off")
    # When the server is away, then a post is refused, and what is told is kept
    assert process.publish(new_job()).status == "unavailable"
    assert gauge() == 0
    process.emit(first, Started(), END)
    assert process.queue.of(EventsConfirmed) == []
    # And when it is back, all goes on
    rabbitmq.start()
    process.queue.wait(EventsConfirmed)
    assert process.wait_streamed(first, 3)[1:] == [Started(), END]
    process.tell(CONSUMER, AckJob(process.lease(2)))
    assert process.wait_streamed(second, 1)
    for name in (BROKER, CONSUMER, EVENTS_NAME):
        process.wait_state(name)
    assert process.publish(new_job()).status == "accepted"


def test_a_server_that_is_away_at_the_start_is_waited_for(
    rabbitmq: RabbitServer,
) -> None:
    rabbitmq.renew()
    nobody = "amqp://guest:guest@127.0.0.1:1/"
    process = AmqpProcess(nobody)
    process.start_publisher()
    status = process.wait_state(BROKER, "backing_off")
    assert "refused" in status.reason
    assert process.publish(new_job()).status == "unavailable"
    process.stop(BROKER)


def test_several_addresses_are_tried_in_turn(rabbitmq: RabbitServer) -> None:
    rabbitmq.renew()
    process = AmqpProcess(
        "amqp://guest:guest@127.0.0.1:1/",
        rabbitmq.url.replace("guest:guest", "guest:wrong"),
        rabbitmq.url,
    )
    process.start_publisher()
    process.wait_state(BROKER)
    process.stop(BROKER)


def test_tls_is_spoken_and_certificates_are_checked(rabbitmq: RabbitServer) -> None:
    rabbitmq.renew()
    address = f"amqps://guest:guest@localhost:{rabbitmq.tls_port}/{rabbitmq.vhost}"
    options = f"?ssl_options={{'cafile':'{rabbitmq.certificate}'}}"
    trusting, doubting = AmqpProcess(address + options), AmqpProcess(address)
    for process in (trusting, doubting):
        process.start_publisher()
    trusting.wait_state(BROKER)
    assert trusting.publish(new_job()).status == "accepted"
    status = doubting.wait_state(BROKER, "backing_off")
    assert "certificate verify failed" in status.reason
    for process in (trusting, doubting):
        process.stop(BROKER)


# -------------------------------------------------------------------- declarations


def test_other_arguments_are_a_state_that_names_them(
    rabbitmq: RabbitServer, make: Make
) -> None:
    make(queue_max=10)
    other = AmqpProcess(rabbitmq.url, queue_max=11)
    other.start_publisher()
    status = other.wait_state(BROKER, "backing_off")
    assert "x-max-length" in status.reason
    assert "warmbox.jobs.python" in status.reason
    assert other.publish(new_job()).status == "unavailable"
    # And it heals when somebody has deleted the queues
    with raw(rabbitmq) as connection:
        for language in ("python", "c"):
            connection.channel().queue_delete(queue_of(language))
    other.wait_state(BROKER)
    other.stop(BROKER)


def test_the_doctor_sees_the_broker_and_what_differs(
    rabbitmq: RabbitServer, make: Make
) -> None:
    process = make(queue_max=10)
    topology = process.link.topology
    findings = probe((rabbitmq.url,), topology, 5)
    assert all(ok for _, ok, _, _ in findings)
    assert findings[0][2].startswith("RabbitMQ ")
    bad = [
        one
        for one in probe((rabbitmq.url,), replace(topology, queue_max=9), 5)
        if not one[1]
    ]
    assert [subject for subject, *_ in bad] == [
        "queue warmbox.jobs.python",
        "queue warmbox.jobs.c",
    ]
    assert all("x-max-length" in evidence for _, _, evidence, _ in bad)
    assert "delete_queue warmbox.jobs.c" in bad[1][3]
    wrong = rabbitmq.url.replace("guest:guest", "guest:wrong")
    nobody = "amqp://guest:guest@127.0.0.1:1/"
    for url, word in ((wrong, "ACCESS_REFUSED"), (nobody, "refused")):
        ((subject, ok, evidence, mend),) = probe((url,), topology, 5)
        assert subject.startswith("broker 127.0.0.1:")
        assert (ok, word in evidence, bool(mend)) == (False, True, True)


def test_a_deleted_queue_is_declared_anew(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    with raw(rabbitmq) as connection:
        connection.channel().queue_delete(queue_of("c"))
        connection.channel().queue_delete(queue_of("python"))
    assert process.publish(new_job(language="c")).status == "unavailable"
    process.queue.wait(LeasesLost)
    process.wait_state(BROKER)
    job = process.accepted()
    assert process.lease().job == job


def test_a_stream_that_is_made_anew_is_read(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    for _ in range(20):
        job = process.accepted()
    process.wait_streamed(job, 1)
    with raw(rabbitmq) as connection:
        connection.channel().queue_delete(EVENTS)
    # the queue has it, but no stream tells of it: that is no acceptance yet
    assert process.publish(new_job()).status == "unknown"
    process.wait_state(BROKER)
    end = process.accepted_again()
    process.emit(end, END)
    assert process.wait_streamed(end, 2)[-1] == END


# ------------------------------------------------------------------------- alarms


@pytest.fixture
def alarm(rabbitmq: RabbitServer) -> Iterator[Callable[[], None]]:
    yield lambda: set_watermark(rabbitmq, "0.00001")
    set_watermark(rabbitmq, "0.4")


def set_watermark(server: RabbitServer, fraction: str) -> None:
    server.ctl("set_vm_memory_high_watermark", fraction)


def test_a_memory_alarm_is_an_answer_at_once_and_heals(
    rabbitmq: RabbitServer, process: AmqpProcess, alarm: Callable[[], None]
) -> None:
    alarm()
    # The first that is published finds out
    assert process.publish(new_job()).status == "unknown"
    status = process.wait_state(BROKER, "blocked")
    assert "memory" in status.reason
    assert gauge() == 0
    assert process.publish(new_job()).status == "unavailable"
    job = new_job()
    process.emit(job, Started(), END)
    set_watermark(rabbitmq, "0.4")
    process.wait_state(BROKER)
    process.queue.wait(EventsConfirmed)
    assert process.wait_streamed(job, 2) == [Started(), END]
    assert process.publish(new_job()).status == "accepted"
    assert gauge() == 1


# -------------------------------------------------------------------- dead letters


def put(server: RabbitServer, *bodies: bytes, language: str = "python") -> None:
    with raw(server) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", queue_of(language), body)


def test_what_is_no_job_goes_to_the_dead_with_the_reason(
    rabbitmq: RabbitServer, process: AmqpProcess, caplog: pytest.LogCaptureFixture
) -> None:
    newer = json.loads(encode_job(make_job("j1"))) | {"v": 2}
    foreign = encode_job(make_job("j2", language="cobol"))
    nameless = json.loads(encode_job(make_job("j3")))
    del nameless["files"]
    bodies = [
        b"\xff no JSON",
        json.dumps(newer).encode(),
        foreign,
        json.dumps(nameless).encode(),
    ]
    with caplog.at_level(logging.ERROR, "warmbox.broker"):
        put(rabbitmq, *bodies)
        letters = dead_letters(rabbitmq, len(bodies))
    reasons = {body: reason for reason, body in letters}
    assert "not JSON" in reasons[bodies[0]]
    assert "unknown schema version 2" in reasons[bodies[1]]
    assert "unknown language 'cobol'" in reasons[bodies[2]]
    assert "files is missing" in reasons[bodies[3]]
    # Each was logged once
    told = [record.getMessage() for record in caplog.records]
    assert len([one for one in told if "goes to the dead" in one]) == len(bodies)
    # And the worker lives, and has acknowledged them all
    job = process.accepted()
    assert process.lease().job == job
    process.subscribe()
    process.lease(2)
    with raw(rabbitmq) as connection:
        state = connection.channel().queue_declare(DEAD, passive=True)
        assert state.method.message_count == 0


def test_a_job_that_was_delivered_too_often_ends(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    job = process.accepted()
    for count in range(1, DELIVERIES_MAX + 1):
        process.tell(CONSUMER, ReturnJob(process.lease(count)))
    ((reason, body),) = dead_letters(rabbitmq, 1)
    assert reason == f"delivered {DELIVERIES_MAX} times without an end"
    assert body == encode_job(job)
    *_, again, end = process.wait_streamed(job, 3)
    assert isinstance(again, Accepted)
    assert isinstance(end, Finished)
    assert end.result.outcome is Outcome.INTERNAL_ERROR
    assert len(process.queue.of(JobDelivered)) == DELIVERIES_MAX


# ------------------------------------------------------------------ several workers


def test_two_workers_share_and_prefetch_little(
    process: AmqpProcess, make: Make
) -> None:
    other = make(worker_id="w2")
    other.subscribe()
    jobs = [process.accepted() for _ in range(10)]
    mine, theirs = (
        process.queue.wait(JobDelivered, 3),
        other.queue.wait(JobDelivered, 3),
    )
    assert len(mine) + len(theirs) == 2 * process.prefetch
    for worker in (process, other):
        worker.tell(CONSUMER, AckJob(worker.lease(1)))
    process.queue.wait(JobDelivered, 4)
    other.queue.wait(JobDelivered, 4)
    delivered = [*process.queue.of(JobDelivered), *other.queue.of(JobDelivered)]
    ids = {one.lease.job.id for one in delivered}
    assert len(ids) == len(delivered)
    assert ids <= {job.id for job in jobs}


def test_all_workers_hear_what_is_said_to_a_job(
    process: AmqpProcess, make: Make
) -> None:
    other = make(worker_id="w2")
    other.subscribe()
    cancel = CancelJob("j1", "python")
    process.tell(BROKER, cancel)
    assert process.queue.wait(CancelJob) == other.queue.wait(CancelJob) == [cancel]


def test_what_was_said_to_a_worker_that_was_away_waits_for_it(
    process: AmqpProcess,
) -> None:
    # Given a worker that is known by name, and stops
    process.stop(CONTROLS)
    cancel = CancelJob("j1", "python")
    process.tell(BROKER, cancel)
    process.emit(new_job(), Started())
    process.queue.wait(EventsConfirmed)
    # When it is there again, then nothing is lost
    process.start_controls()
    assert process.queue.wait(CancelJob) == [cancel]


def test_what_was_said_waits_for_a_queue_that_is_being_started(
    process: AmqpProcess,
) -> None:
    """And none is lost with the connection, nor with the actor that has it."""
    said = [SendStdin("j1", "python", bytes([n]), end=False) for n in range(6)]
    process.directory.strike(QUEUE, process.queue.ref)
    process.tell(BROKER, *said[:2])
    process.emit(new_job(), Started(), confirm_to=RELAY)
    process.relay.wait(EventsConfirmed)
    process.crash(CONTROLS)
    process.tell(BROKER, *said[2:4])
    process.start_controls()
    process.wait_state(CONTROLS)
    process.tell(BROKER, *said[4:])
    process.directory.enter(QUEUE, process.queue.ref)
    process.queue.wait(SendStdin, len(said))
    assert process.queue.of(SendStdin) == said


def test_jobs_are_taken_where_nothing_can_be_said_to_them(
    rabbitmq: RabbitServer,
) -> None:
    # Given a control queue that can't be declared
    rabbitmq.renew()
    with raw(rabbitmq) as connection:
        name = control_queue_of("w9")
        connection.channel().queue_declare(name, durable=True)
    deaf = AmqpProcess(rabbitmq.url, worker_id="w9")
    for start in (deaf.start_publisher, deaf.start_consumer, deaf.start_controls):
        start()
    deaf.wait_state(BROKER)
    deaf.subscribe()
    # When a job is there, then it comes
    job = deaf.accepted()
    assert deaf.lease().job == job
    assert "PRECONDITION_FAILED" in deaf.status(CONTROLS).reason
    for name in deaf.refs:
        deaf.stop(name)


def test_a_draining_worker_gives_back_what_waits(
    process: AmqpProcess, make: Make
) -> None:
    # Given a worker with one job that runs and one that waits
    running, waiting = process.accepted(), process.accepted()
    process.lease(2)
    by_id = {one.lease.job.id: one.lease for one in process.queue.of(JobDelivered)}
    other = make(worker_id="w2")
    other.subscribe()
    # When it drains
    drained = Event()
    process.tell(CONSUMER, BeginDrain(drained.set))
    assert process.queue.wait(ReturnWaiting) == [ReturnWaiting("python")]
    process.tell(CONSUMER, ReturnJob(by_id[waiting.id]))
    # Then the other gets what waits, and all that is new
    assert other.lease().job == waiting
    new = other.accepted()
    assert other.lease(2).job == new
    # And it is done when the last is
    assert not drained.is_set()
    process.tell(CONSUMER, AckJob(by_id[running.id]))
    assert drained.wait(PATIENCE_S)


def test_a_drain_outlives_the_consumer(process: AmqpProcess) -> None:
    # Given a worker that drains, with jobs that wait
    jobs = [process.accepted() for _ in range(3)]
    process.lease(3)
    drained = Event()
    process.tell(CONSUMER, BeginDrain(drained.set))
    process.queue.wait(ReturnWaiting)
    # When its consumer crashes, and the queue subscribes with the successor
    process.crash(CONSUMER)
    process.start_consumer()
    process.wait_state(CONSUMER)
    process.subscribe()
    # Then that takes nothing, and nothing of it is left to wait for
    assert process.queue.wait(ReturnWaiting, 2)
    assert drained.wait(PATIENCE_S)
    assert len(process.queue.of(JobDelivered)) == len(jobs)


def test_reports_reach_the_fleet(process: AmqpProcess) -> None:
    status = LanguageStatus("python", "3.13", 5, 0, "")
    report = WorkerReport("w1", 12.5, (status,))
    process.tell(BROKER, PublishReport(report))
    assert process.fleet.wait(WorkerReported) == [WorkerReported(report)]


def test_what_cannot_be_read_in_the_stream_is_skipped(
    rabbitmq: RabbitServer, process: AmqpProcess, caplog: pytest.LogCaptureFixture
) -> None:
    job = new_job()
    odd = {"job": job.id, "attempt": 1, "is": "accepted", "language": ["python"]}
    good = json.loads(encode_events([JobEvent(job.id, 1, Started())]))["events"]
    mixed = json.dumps({"v": 1, "events": [odd, 3, *good]}).encode()
    before = unreadable_events()
    with raw(rabbitmq) as connection:
        for body in (b"?", b'{"v": 2}', b'{"v": 1, "events": 3}', mixed):
            connection.channel().basic_publish("", EVENTS, body)
    # What is an event is heard, though it came along with what is none
    assert process.wait_streamed(job, 1) == [Started()]
    # And each of the others is counted, and one told of
    assert unreadable_events() - before == 5
    told = [one for one in caplog.records if "skips" in one.getMessage()]
    assert len(told) == 1


def unreadable_events() -> float:
    labels = {"kind": "event"}
    return REGISTRY.get_sample_value("warmbox_unreadable_total", labels) or 0


# ------------------------------------------------------------------------- crashes


def test_a_publisher_that_crashed_has_left_all_to_its_successor(
    process: AmqpProcess,
) -> None:
    answer: AsyncResult[PublishReply] = AsyncResult()
    job = process.accepted()
    events = (JobEvent(job.id, 1, Started()), JobEvent(job.id, 1, END))
    process.crash(
        BROKER,
        PublishEvents(events, QUEUE),
        PublishJob(new_job(), answer.set),
    )
    process.start_publisher()
    assert process.queue.wait(EventsConfirmed) == [EventsConfirmed(events)]
    assert process.wait_streamed(job, 3)[1:] == [Started(), END]
    assert process.queue.wait(PublisherStarted, 2)
    assert answer.get(timeout=PATIENCE_S) == PublishReply("unavailable")


def test_a_consumer_that_crashed_is_asked_anew(process: AmqpProcess) -> None:
    job = process.accepted()
    process.lease()
    process.crash(CONSUMER)
    process.queue.wait(LeasesLost)
    process.start_consumer()
    process.queue.wait(BrokerStarted, 2)
    process.subscribe()
    assert process.lease(2).job == job


def test_a_stream_reader_that_crashed_goes_on_where_it_was_told(
    process: AmqpProcess,
) -> None:
    first = process.accepted()
    process.wait_streamed(first, 1)
    next_offset = process.relay.told[-1].next_offset
    process.crash(EVENTS_NAME)
    second = process.accepted()
    process.start_stream()
    process.relay.wait(BrokerStarted, 2)
    process.relay.forget()
    process.read(next_offset)
    assert process.wait_streamed(second, 1)
    assert process.streamed(first) == []


def test_a_stream_reader_hears_all_once_whatever_comes_in_turns(
    rabbitmq: RabbitServer, process: AmqpProcess
) -> None:
    jobs = [process.accepted() for _ in range(8)]
    for is_crash in (True, False, True, False, True):
        assert process.wait_streamed(jobs[-1], 1)
        if is_crash:
            process.crash(EVENTS_NAME)
            started = len(process.relay.of(BrokerStarted))
            process.start_stream()
            process.relay.wait(BrokerStarted, started + 1)
            process.read(process.relay.of(EventsReceived)[-1].next_offset)
        else:
            cut_all(rabbitmq)
        jobs += [process.accepted_again() for _ in range(2)]
    assert process.wait_streamed(jobs[-1], 1)
    assert [len(process.streamed(job)) for job in jobs] == [1] * len(jobs)


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_clock_that_is_set_does_not_stop_the_reader(
    rabbitmq: RabbitServer,
    process: AmqpProcess,
    monkeypatch: pytest.MonkeyPatch,
    step_s: float,
) -> None:
    first = process.accepted()
    assert process.wait_streamed(first, 1)
    wait_counted(rabbitmq)
    set_clock(monkeypatch, step_s)
    cut_all(rabbitmq)
    second = process.accepted_again()
    assert process.wait_streamed(second, 1)
    set_clock(monkeypatch, 0)
    cut_all(rabbitmq)
    third = process.accepted_again()
    assert process.wait_streamed(third, 1)
    assert [len(process.streamed(one)) for one in (first, second, third)] == [1] * 3


def wait_counted(server: RabbitServer) -> None:
    """Wait until the server says that there is something in the stream."""
    with raw(server) as connection:
        channel = connection.channel()
        wait_until(
            lambda: channel.queue_declare(EVENTS, passive=True).method.message_count,
            PATIENCE_S,
            "the stream is counted",
        )


def set_clock(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    """Set what `time.time` tells, as who sets the host's clock does."""
    monkeypatch.setattr(time, "time", lambda: time_ns() / 1e9 + step_s)


def with_full_queue(make: Make) -> AmqpProcess:
    process = make(queue_max=2)
    while process.publish(new_job()).status != "queue_full":
        pass
    return process


def test_who_is_refused_where_few_wait_opens_another_channel(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a queue that takes nothing, though by the stream there are few jobs
    other = with_full_queue(make)
    admission = Admission(1000, 1 << 30, 1)
    process = make(queue_max=2, admission=admission)
    # When jobs are refused for a while
    began = time.monotonic()
    reason = "jobs are refused where few wait"
    while reason not in caplog.text:
        assert process.publish(new_job()).status in {"unavailable", "unknown"}
        assert time.monotonic() - began < PATIENCE_S
    # Then the channel has stood for some time, and the next one takes jobs again
    assert time.monotonic() - began >= DOUBT_S - 1
    other.subscribe()
    for lease in [one.lease for one in other.queue.wait(JobDelivered, 1)]:
        other.tell(other.consumer, AckJob(lease))
    wait_until(
        lambda: process.publish(new_job()).status == "accepted", PATIENCE_S, "a job"
    )


def test_who_is_refused_where_many_wait_keeps_the_channel(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with_full_queue(make)
    admission = Admission(10, 1 << 30, 1)
    for number in range(6):
        admission.add(f"j{number}", acceptance(new_job()))
    process = make(queue_max=2, admission=admission)
    began = time.monotonic()
    while time.monotonic() - began < DOUBT_S + 1:
        assert process.publish(new_job()).status == "queue_full"
    assert "few wait" not in caplog.text
