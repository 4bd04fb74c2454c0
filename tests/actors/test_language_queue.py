"""The language queue: every lease from its delivery to its ack."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from actor_world import settle
from samples import make_job, make_lease

from actors.acceptance import acceptance
from actors.language_queue import LanguageQueue
from actors.messages import (
    Accepted,
    AckJob,
    BrokerStarted,
    CancelJob,
    ContainerGone,
    DispatchDeclined,
    DispatchJob,
    EventsConfirmed,
    FindPosition,
    Finished,
    JobDelivered,
    JobEvent,
    JobFinished,
    JobResult,
    JobReturned,
    JobsWaiting,
    Lease,
    LeasesLost,
    Outcome,
    Output,
    PublisherStarted,
    PublishEvents,
    Queued,
    ReportState,
    Restarted,
    ReturnJob,
    ReturnWaiting,
    RunJob,
    SendStdin,
    SubscribeJobs,
    Usage,
)
from actors.queue_entry import STDIN_BYTES_MAX
from metrics.instruments import REGISTRY
from metrics.live import LIVE, QueueFact

if TYPE_CHECKING:
    from actor_world import World

SUCCESS = JobResult(Outcome.SUCCESS, usage=Usage(queue_ms=1, wall_ms=2))
CANCEL = CancelJob("j1", "python")


class Queue:
    """A language queue between a broker, a scheduler and two containers."""

    names: tuple[str, str, str] = ("broker", "broker", "scheduler")

    def __init__(self, world: World, attempts_max: int = 3) -> None:
        self.world = world
        self.broker = world.probe("broker")
        self.scheduler = world.probe("scheduler")
        self.one = world.probe("one")
        self.two = world.probe("two")
        world.start(LanguageQueue, "queue", "python", *self.names, attempts_max)

    def tell(self, *messages: object) -> None:
        self.world.tell("queue", *messages)

    def deliver(self, job_id: str = "j1", client: str = "ann", **lease: Any) -> Lease:
        one = make_lease(make_job(job_id, client=client), **lease)
        self.tell(JobDelivered(one))
        return one

    def run(self, job_id: str = "j1") -> None:
        """Have the job delivered and handed to the first container."""
        self.deliver(job_id)
        self.tell(DispatchJob("one", "ann"))

    def forget(self) -> None:
        """Let the probes forget what they were told so far."""
        for probe in (self.broker, self.scheduler, self.one, self.two):
            probe.take()

    def events(self) -> list[JobEvent]:
        """Return the events that the broker was given, but for the acceptances."""
        return [
            event for event in self.all_events() if not isinstance(event.body, Accepted)
        ]

    def all_events(self) -> list[JobEvent]:
        published = self.broker.of(PublishEvents)
        return [event for message in published for event in message.events]

    def confirm(self) -> None:
        """Play the broker: confirm what is to be confirmed."""
        for message in self.broker.of(PublishEvents):
            if message.confirm_to is not None:
                self.world.tell(message.confirm_to, EventsConfirmed(message.events))

    def ends(self) -> list[Outcome]:
        """Return the outcomes that were made known."""
        return [
            event.body.result.outcome
            for event in self.events()
            if isinstance(event.body, Finished)
        ]

    def waiting(self) -> int:
        """Return how many wait."""
        settle()
        return LIVE.queues["python"].waiting


@pytest.fixture
def queue(world: World) -> Queue:
    return Queue(world)


def gauge() -> float | None:
    return REGISTRY.get_sample_value("warmbox_queue_depth", {"language": "python"})


# ----------------------------------------------------------------------- delivery


def test_a_new_queue_asks_the_broker_for_its_jobs(queue: Queue) -> None:
    assert queue.broker.take() == [SubscribeJobs("python", "queue")]
    assert queue.scheduler.take() == [JobsWaiting("python", (), is_all=True)]


def test_since_when_the_next_in_turn_waits_is_known(world: World, queue: Queue) -> None:
    assert LIVE.queues["python"] == QueueFact(0, None)
    began = world.clock.now()
    for job_id in ("j1", "j2"):
        queue.deliver(job_id)
        world.clock.advance(2)
    assert LIVE.queues["python"] == QueueFact(2, began)
    queue.tell(DispatchJob("one", "ann"))
    assert LIVE.queues["python"] == QueueFact(1, began + 2)
    queue.tell(DispatchJob("two", "ann"))
    assert LIVE.queues["python"] == QueueFact(0, None)
    world.stop("queue")
    assert "python" not in LIVE.queues


def test_a_delivered_job_waits_and_its_position_is_told(queue: Queue) -> None:
    queue.forget()
    for job_id in ("j1", "j2"):
        queue.deliver(job_id)
    assert queue.events() == [
        JobEvent("j1", 1, Queued(1)),
        JobEvent("j2", 1, Queued(2)),
    ]
    assert queue.scheduler.take() == [
        JobsWaiting("python", (("ann", 1),)),
        JobsWaiting("python", (("ann", 1),)),
    ]
    assert gauge() == 2


def test_what_a_crashed_queue_has_not_published_its_successor_does(
    world: World, queue: Queue
) -> None:
    # Given a queue that crashes with what it has not yet told of
    lease = make_lease(make_job())
    queue.tell(JobDelivered(lease), object())
    assert queue.all_events() == []
    # When the broker delivers to the next one
    world.start(LanguageQueue, "queue", "python", *queue.names, 3)
    queue.tell(JobDelivered(lease))
    assert queue.events() == [JobEvent("j1", 1, Queued(1))]


def test_a_job_begun_before_is_told_to_be_restarted(queue: Queue) -> None:
    queue.deliver(attempt=2)
    assert queue.events() == [JobEvent("j1", 2, Restarted())]
    queue.tell(DispatchJob("one", "ann"))
    (run,) = queue.one.of(RunJob)
    assert run.attempt == 2


def test_a_job_begun_too_often_ends_and_does_not_wait(queue: Queue) -> None:
    lease = queue.deliver(attempt=4, begun=3)
    assert queue.ends() == [Outcome.INTERNAL_ERROR]
    assert queue.waiting() == 0
    (event,) = queue.events()
    assert isinstance(event.body, Finished)
    assert "begun 3 times" in event.body.result.message
    queue.confirm()
    assert queue.broker.of(AckJob) == [AckJob(lease)]


def test_a_position_is_the_turn_of_a_waiting_job(world: World, queue: Queue) -> None:
    queue.deliver("j1")
    queue.deliver("j2")
    queue.deliver("k1", client="bob")
    found = [
        world.ask("queue", FindPosition(job_id))
        for job_id in ("j1", "j2", "k1", "unknown")
    ]
    assert found == [1, 3, 2, None]
    queue.tell(DispatchJob("one", "ann"))
    assert world.ask("queue", FindPosition("j1")) == "running"
    assert world.ask("queue", FindPosition("j2")) == 2


# ----------------------------------------------------------------------- dispatch


def test_a_dispatched_job_goes_to_the_container(world: World, queue: Queue) -> None:
    lease = queue.deliver()
    queue.forget()
    world.clock.advance(1.5)
    queue.tell(DispatchJob("one", "ann", others_wait=True))
    assert queue.one.take() == [RunJob(lease, 1, 1.5, others_wait=True)]
    assert queue.scheduler.take() == []  # it knows
    assert gauge() == 0


def test_clients_take_turns(queue: Queue) -> None:
    for number in range(3):
        queue.deliver(f"a{number}", client="ann")
    queue.deliver("b", client="bob")
    queue.tell(DispatchJob("one", "ann"))
    # Whose turn it is the scheduler says, and whose it is after that the round
    assert queue.world.ask("queue", FindPosition("b")) == 1
    queue.tell(*[DispatchJob("one", one) for one in ("ann", "bob", "ann")])
    runs = queue.one.of(RunJob)
    assert [run.lease.job.id for run in runs] == ["a0", "a1", "b", "a2"]


def test_a_guests_container_is_told_to_say_what_it_may_use(queue: Queue) -> None:
    queue.deliver()
    queue.tell(DispatchJob("one", "ann", is_guest=True))
    assert [run.is_guest for run in queue.one.of(RunJob)] == [True]


def test_with_nothing_to_run_the_container_is_given_back(queue: Queue) -> None:
    queue.deliver("k1", client="bob")
    queue.forget()
    queue.tell(DispatchJob("one", "ann"))
    assert queue.scheduler.take() == [DispatchDeclined("one", "python", "ann")]
    assert queue.waiting() == 1


def test_a_job_for_a_dead_container_is_next_again(world: World, queue: Queue) -> None:
    queue.deliver("j1")
    queue.deliver("j2")
    queue.forget()
    queue.tell(DispatchJob("nobody", "ann"))
    assert world.ask("queue", FindPosition("j1")) == 1
    assert queue.events() == []
    # The scheduler, which counts one less since it has matched, is told
    again = JobsWaiting("python", (("ann", 1),), first="ann")
    assert queue.scheduler.take() == [again]
    queue.tell(DispatchJob("one", "ann"))
    (run,) = queue.one.of(RunJob)
    assert (run.lease.job.id, run.attempt) == ("j1", 1)


def test_a_job_that_a_container_gives_back_is_next_again(queue: Queue) -> None:
    queue.run("j1")
    queue.deliver("j2")
    queue.tell(JobReturned("j1", "one"))
    assert queue.waiting() == 2
    queue.tell(DispatchJob("two", "ann"))
    (run,) = queue.two.of(RunJob)
    assert (run.lease.job.id, run.attempt) == ("j1", 1)


def test_a_job_is_given_back_only_by_who_has_it(queue: Queue) -> None:
    queue.run()
    queue.tell(JobReturned("j1", "two"), JobReturned("unknown", "one"))
    assert queue.waiting() == 0


def test_a_new_scheduler_is_told_whose_jobs_wait(queue: Queue) -> None:
    for job_id, client in (("j1", "ann"), ("k1", "bob"), ("j2", "ann")):
        queue.deliver(job_id, client)
    queue.tell(DispatchJob("one", "ann"))
    queue.forget()
    queue.tell(ReportState())
    told = JobsWaiting("python", (("bob", 1), ("ann", 1)), is_all=True)
    assert queue.scheduler.take() == [told]


def test_what_changes_nothing_is_not_told(queue: Queue) -> None:
    queue.forget()
    queue.deliver(attempt=4, begun=3)
    assert queue.scheduler.take() == []


# -------------------------------------------------------------- containers that die


def test_a_job_whose_container_died_is_restarted_first(queue: Queue) -> None:
    queue.run("j1")
    queue.deliver("j2")
    queue.forget()
    queue.tell(ContainerGone("one", "python"))
    assert queue.events() == [JobEvent("j1", 2, Restarted())]
    assert queue.waiting() == 2
    queue.tell(DispatchJob("two", "ann"))
    (run,) = queue.two.of(RunJob)
    assert (run.lease.job.id, run.attempt) == ("j1", 2)


def test_another_containers_death_changes_nothing(queue: Queue) -> None:
    queue.run("j1")
    queue.forget()
    queue.tell(ContainerGone("two", "python"))
    assert queue.events() == []
    assert queue.scheduler.take() == []


def test_after_so_many_deaths_the_job_ends(world: World) -> None:
    queue = Queue(world, attempts_max=2)
    queue.deliver()
    for _ in range(2):
        queue.tell(DispatchJob("one", "ann"), ContainerGone("one", "python"))
    assert queue.ends() == [Outcome.INTERNAL_ERROR]
    event = queue.events()[-1]
    assert event.attempt == 2
    assert isinstance(event.body, Finished)
    assert "died, 2 times" in event.body.result.message
    assert queue.waiting() == 0


def test_the_end_of_a_given_up_attempt_means_nothing(queue: Queue) -> None:
    queue.run()
    queue.tell(ContainerGone("one", "python"))
    queue.tell(JobFinished("j1", 1, SUCCESS), JobFinished("unknown", 1, SUCCESS))
    assert queue.ends() == []
    assert queue.waiting() == 1


# ---------------------------------------------------------------------------- ends


def test_a_job_is_acked_only_after_its_end_is_confirmed(queue: Queue) -> None:
    lease = queue.deliver()
    queue.tell(DispatchJob("one", "ann"))
    queue.forget()
    queue.tell(JobFinished("j1", 1, SUCCESS))
    events = (JobEvent("j1", 1, Finished(SUCCESS)),)
    assert queue.broker.take() == [PublishEvents(events, confirm_to="queue")]
    queue.tell(EventsConfirmed(events))
    assert queue.broker.take() == [AckJob(lease)]
    queue.tell(EventsConfirmed(events))
    assert queue.broker.take() == []


def test_an_end_is_told_once(queue: Queue) -> None:
    queue.run()
    queue.tell(JobFinished("j1", 1, SUCCESS), JobFinished("j1", 1, SUCCESS))
    queue.tell(ContainerGone("one", "python"))
    assert queue.ends() == [Outcome.SUCCESS]


def test_a_confirm_of_another_event_ends_nothing(queue: Queue) -> None:
    queue.run()
    queue.forget()
    queue.tell(EventsConfirmed((JobEvent("j1", 1, Queued(1)),)))
    queue.tell(EventsConfirmed((JobEvent("unknown", 1, Queued(1)),)))
    queue.tell(JobFinished("j1", 1, SUCCESS))
    assert queue.ends() == [Outcome.SUCCESS]


def test_ends_and_their_phases_are_counted(world: World, queue: Queue) -> None:
    def value(name: str, **labels: str) -> float:
        found = REGISTRY.get_sample_value(name, {"language": "python", **labels})
        return found or 0

    def counts() -> list[float]:
        ended = value("warmbox_jobs_total", outcome="success")
        seconds = "warmbox_job_seconds_sum"
        phases = ("queue", "run", "total", "compile")
        return [ended, *(value(seconds, phase=phase) for phase in phases)]

    before = counts()
    queue.run()
    world.clock.advance(3)
    queue.tell(JobFinished("j1", 1, SUCCESS))
    queue.confirm()
    assert [
        round(now - then, 6) for now, then in zip(counts(), before, strict=True)
    ] == [1, 0.001, 0.002, 3, 0]


# -------------------------------------------------------------------------- cancel


def test_a_waiting_job_ends_cancelled_at_once(world: World, queue: Queue) -> None:
    queue.deliver()
    world.clock.advance(2)
    queue.tell(CANCEL)
    assert queue.ends() == [Outcome.CANCELLED]
    body = queue.events()[-1].body
    assert isinstance(body, Finished)
    assert body.result.usage == Usage(queue_ms=2000)
    assert queue.waiting() == 0
    queue.tell(DispatchJob("one", "ann"))
    assert queue.one.take() == []


def test_a_running_job_is_cancelled_by_its_container(queue: Queue) -> None:
    queue.run()
    queue.forget()
    queue.tell(CANCEL)
    assert queue.one.take() == [CANCEL]
    assert queue.ends() == []


def test_a_cancelled_job_is_not_restarted(queue: Queue) -> None:
    queue.run()
    queue.tell(CANCEL, ContainerGone("one", "python"))
    assert queue.ends() == [Outcome.CANCELLED]
    assert queue.waiting() == 0


def test_a_cancelled_job_that_is_given_back_does_not_wait_again(queue: Queue) -> None:
    # Given a container that could not take a job which was cancelled meanwhile
    queue.run()
    queue.tell(CANCEL)
    queue.tell(JobReturned("j1", "one"))
    # Then the job is not run for nobody
    assert queue.ends() == [Outcome.CANCELLED]
    assert queue.waiting() == 0


def test_an_ending_or_unknown_job_cannot_be_cancelled(queue: Queue) -> None:
    queue.run()
    queue.tell(JobFinished("j1", 1, SUCCESS))
    queue.tell(CANCEL, CancelJob("unknown", "python"))
    assert queue.ends() == [Outcome.SUCCESS]


# --------------------------------------------------------------------------- stdin


def stdin(data: bytes, *, end: bool = False) -> SendStdin:
    return SendStdin("j1", "python", data, end)


def test_stdin_goes_to_who_runs_the_job(queue: Queue) -> None:
    queue.run()
    queue.tell(stdin(b"a"), stdin(b"", end=True))
    assert queue.one.take()[1:] == [stdin(b"a"), stdin(b"", end=True)]


def test_stdin_of_a_waiting_job_follows_it_into_the_container(queue: Queue) -> None:
    queue.deliver()
    queue.tell(stdin(b"a"), stdin(b"b", end=True), DispatchJob("one", "ann"))
    assert [type(message) for message in queue.one.told] == [
        RunJob,
        SendStdin,
        SendStdin,
    ]


def test_stdin_is_sent_again_with_a_restart(queue: Queue) -> None:
    queue.run()
    queue.tell(stdin(b"a"), ContainerGone("one", "python"), stdin(b"b"))
    queue.tell(DispatchJob("two", "ann"))
    assert queue.two.of(SendStdin) == [stdin(b"a"), stdin(b"b")]


def test_stdin_that_nobody_reads_is_dropped(queue: Queue) -> None:
    queue.run()
    queue.tell(JobFinished("j1", 1, SUCCESS))
    queue.forget()
    queue.tell(stdin(b"a"), SendStdin("unknown", "python", b"a", end=True))
    assert queue.one.take() == []


def test_stdin_that_is_too_much_ends_its_job_aloud(queue: Queue) -> None:
    whole = stdin(b"x" * STDIN_BYTES_MAX)
    queue.run()
    queue.tell(whole, stdin(b"x"))
    assert queue.one.of(SendStdin) == [whole]
    assert queue.one.of(CancelJob) == [CancelJob("j1", "python")]
    queue.deliver("j2")
    queue.tell(replace(whole, job_id="j2"), replace(stdin(b"x"), job_id="j2"))
    ends = [
        event.body.result
        for published in queue.broker.of(PublishEvents)
        for event in published.events
        if isinstance(event.body, Finished)
    ]
    assert [end.outcome for end in ends] == [Outcome.INTERNAL_ERROR] * 2
    assert "8 MiB of stdin" in ends[0].message


def test_an_end_without_bytes_is_never_too_much(queue: Queue) -> None:
    queue.run()
    queue.tell(stdin(b"x" * STDIN_BYTES_MAX), SendStdin("j1", "python", b"", end=True))
    assert [one.end for one in queue.one.of(SendStdin)] == [False, True]


# ---------------------------------------------------------------- broker restarted


def test_a_restarted_broker_is_asked_anew_and_given_the_ends_again(
    queue: Queue,
) -> None:
    # Given a job whose end is not confirmed, one that runs and one that waits
    queue.run("j1")
    queue.deliver("j2")
    queue.tell(DispatchJob("two", "ann"))
    queue.deliver("j3")
    queue.tell(JobFinished("j1", 1, SUCCESS))
    queue.forget()
    # When the broker was restarted
    queue.tell(BrokerStarted())
    # Then nothing but the end is told again
    end = (JobEvent("j1", 1, Finished(SUCCESS)),)
    assert queue.broker.take() == [
        SubscribeJobs("python", "queue"),
        PublishEvents(end, confirm_to="queue"),
    ]


def test_what_comes_with_an_end_is_published_with_it_each_time(queue: Queue) -> None:
    queue.run()
    queue.forget()
    # When the container's last events come with the end
    last = JobEvent("j1", 1, Output("run", "stdout", b"1"))
    queue.tell(JobFinished("j1", 1, SUCCESS, (last,)))
    # Then they are published before it, in one
    whole = PublishEvents((last, JobEvent("j1", 1, Finished(SUCCESS))), "queue")
    assert queue.broker.take() == [whole]
    # And again when the broker may have lost them
    queue.tell(BrokerStarted())
    assert queue.broker.of(PublishEvents) == [whole]
    queue.confirm()
    assert len(queue.broker.of(AckJob)) == 1


@pytest.mark.parametrize("state", ["waiting", "running", "ending"])
def test_a_redelivered_job_joins_the_one_that_is_here(queue: Queue, state: str) -> None:
    queue.deliver()
    if state != "waiting":
        queue.tell(DispatchJob("one", "ann"))
    if state == "ending":
        queue.tell(JobFinished("j1", 1, SUCCESS))
    queue.forget()
    # When the broker delivers the job again
    anew = queue.deliver(tag=9, generation=2, attempt=2)
    # Then nothing happens twice
    assert queue.broker.take() == []
    assert queue.scheduler.take() == []
    # And it is the new lease that is acked
    if state == "waiting":
        queue.tell(DispatchJob("one", "ann"))
    if state != "ending":
        queue.tell(JobFinished("j1", 1, SUCCESS))
        queue.confirm()
    else:
        queue.tell(EventsConfirmed((JobEvent("j1", 1, Finished(SUCCESS)),)))
    assert queue.broker.of(AckJob) == [AckJob(anew)]


def test_a_queue_that_ends_leaves_no_depth_behind(world: World, queue: Queue) -> None:
    queue.deliver()
    assert gauge() == 1
    world.crash("queue")
    assert gauge() == 0


# ------------------------------------------------------------------ several workers


class Worker(Queue):
    """A queue whose consumer is another connection than its broker."""

    def __init__(self, world: World, attempts_max: int = 3) -> None:
        self.consumer = world.probe("consumer")
        super().__init__(world, attempts_max)

    names = ("broker", "consumer", "scheduler")

    def redeliver(self, job_id: str = "j1", *, delivered: int) -> Lease:
        """Deliver as RabbitMQ does, on a new connection."""
        return self.deliver(
            job_id,
            tag=delivered,
            generation=delivered + 1,
            attempt=delivered * 1000 + 1,
            delivered=delivered,
        )

    def acks(self) -> list[Lease]:
        return [message.lease for message in self.consumer.of(AckJob)]


@pytest.fixture
def worker(world: World) -> Worker:
    return Worker(world)


LOST = LeasesLost("python")


def test_the_consumer_is_asked_and_acked_and_the_broker_told(worker: Worker) -> None:
    assert worker.consumer.take() == [SubscribeJobs("python", "queue")]
    worker.run()
    worker.tell(JobFinished("j1", 1, SUCCESS))
    worker.confirm()
    assert len(worker.acks()) == 1
    assert worker.broker.of(AckJob) == []


def test_an_acceptance_is_told_again_with_the_delivery(worker: Worker) -> None:
    job = make_job(fingerprint="abc")
    worker.tell(JobDelivered(make_lease(job)))
    assert worker.all_events() == [
        JobEvent("j1", 1, acceptance(job)),
        JobEvent("j1", 1, Queued(1)),
    ]


def test_what_waits_is_let_go_with_its_lease(worker: Worker) -> None:
    worker.deliver("j1")
    worker.deliver("j2")
    worker.tell(LOST)
    assert worker.waiting() == 0
    worker.tell(DispatchJob("one", "ann"))
    assert worker.one.of(RunJob) == []
    worker.redeliver("j2", delivered=1)
    worker.tell(DispatchJob("one", "ann"))
    (run,) = worker.one.of(RunJob)
    assert (run.lease.job.id, run.attempt) == ("j2", 1001)


def test_what_runs_joins_its_redelivery(worker: Worker) -> None:
    worker.run()
    worker.tell(LOST)
    lease = worker.redeliver(delivered=1)
    assert worker.waiting() == 0
    worker.tell(JobFinished("j1", 1, SUCCESS))
    worker.confirm()
    assert worker.ends() == [Outcome.SUCCESS]
    assert worker.acks() == [lease]


def test_what_ended_with_a_lost_lease_is_acked_when_it_comes(worker: Worker) -> None:
    worker.run()
    worker.tell(LOST, JobFinished("j1", 1, SUCCESS))
    worker.confirm()
    stale = worker.acks()
    for delivered in (1, 2):
        lease = worker.redeliver(delivered=delivered)
        assert worker.acks()[-1] == lease
    assert len(worker.acks()) == len(stale) + 2
    assert worker.ends() == [Outcome.SUCCESS]


def test_an_ended_job_that_another_has_begun_since_runs_again(worker: Worker) -> None:
    worker.run()
    worker.tell(LOST, JobFinished("j1", 1, SUCCESS))
    worker.confirm()
    # The second delivery was elsewhere: its events have made ours void
    worker.redeliver(delivered=2)
    worker.tell(DispatchJob("two", "ann"))
    (run,) = worker.two.of(RunJob)
    assert run.attempt == 2001


@pytest.mark.parametrize("state", ["running", "ending"])
def test_a_run_is_void_when_another_has_had_the_job(worker: Worker, state: str) -> None:
    worker.run()
    worker.tell(LOST)
    if state == "ending":
        worker.tell(JobFinished("j1", 1, SUCCESS))
    lease = worker.redeliver(delivered=2)
    assert worker.waiting() == 1
    if state == "running":
        assert worker.one.of(CancelJob) == [CANCEL]
    # What the old run still says means nothing
    worker.tell(JobFinished("j1", 1, JobResult(Outcome.CANCELLED)))
    worker.tell(EventsConfirmed((JobEvent("j1", 1, Finished(SUCCESS)),)))
    worker.tell(ContainerGone("one", "python"))
    assert worker.waiting() == 1
    worker.broker.take()
    worker.tell(DispatchJob("two", "ann"), JobFinished("j1", 2001, SUCCESS))
    worker.confirm()
    assert worker.ends() == [Outcome.SUCCESS]
    assert worker.acks() == [lease]


def test_a_second_message_of_a_job_that_is_here_is_acked(worker: Worker) -> None:
    first = worker.deliver(tag=1)
    second = worker.deliver(tag=2)
    assert worker.acks() == [second]
    worker.tell(DispatchJob("one", "ann"), JobFinished("j1", 1, SUCCESS))
    worker.confirm()
    assert worker.acks() == [second, first]


def test_a_second_message_that_was_begun_elsewhere_is_the_one_that_counts(
    worker: Worker,
) -> None:
    # Given a job that runs here, of which a client's second try made two messages
    first = worker.deliver(tag=1)
    worker.tell(DispatchJob("one", "ann"))
    # When the other comes from a worker that had begun with it, and died
    second = worker.deliver(tag=2, attempt=2001, delivered=2)
    # Then the stream may have followed that one: ours is void
    assert worker.acks() == [first]
    assert worker.one.of(CancelJob) == [CANCEL]
    worker.tell(DispatchJob("two", "ann"), JobFinished("j1", 2001, SUCCESS))
    worker.confirm()
    assert worker.acks() == [first, second]


def test_the_same_id_after_its_end_is_a_new_job(worker: Worker) -> None:
    worker.run()
    worker.tell(JobFinished("j1", 1, SUCCESS))
    worker.confirm()
    worker.deliver(tag=2)
    assert worker.waiting() == 1


def test_a_container_that_dies_with_a_lost_lease_leaves_the_job_to_others(
    worker: Worker,
) -> None:
    worker.run()
    worker.tell(LOST, ContainerGone("one", "python"))
    assert worker.waiting() == 0
    assert worker.ends() == []
    assert worker.consumer.of(ReturnJob) == []
    worker.redeliver(delivered=1)
    assert worker.waiting() == 1


def test_an_attempt_after_a_joined_delivery_is_newer_than_it(worker: Worker) -> None:
    worker.run()
    worker.tell(LOST)
    worker.redeliver(delivered=1)
    worker.tell(ContainerGone("one", "python"), DispatchJob("two", "ann"))
    (run,) = worker.two.of(RunJob)
    assert run.attempt == 1002


def test_starts_are_counted_and_not_the_numbers_of_attempts(world: World) -> None:
    worker = Worker(world, attempts_max=2)
    worker.redeliver(delivered=5)
    assert worker.ends() == []
    worker.tell(DispatchJob("one", "ann"), ContainerGone("one", "python"))
    assert worker.ends() == []
    worker.tell(DispatchJob("one", "ann"), ContainerGone("one", "python"))
    assert worker.ends() == [Outcome.INTERNAL_ERROR]


def test_a_restarted_publisher_is_given_the_ends_again(worker: Worker) -> None:
    worker.run()
    worker.tell(JobFinished("j1", 1, SUCCESS))
    worker.forget()
    worker.tell(PublisherStarted())
    assert worker.ends() == [Outcome.SUCCESS]


# --------------------------------------------------------------------- the drain


def test_a_draining_worker_returns_what_waits_and_runs_what_runs(
    worker: Worker,
) -> None:
    worker.run("j1")
    waiting = worker.deliver("j2", tag=2)
    worker.tell(ReturnWaiting("python"))
    late = worker.deliver("j3", tag=3)
    assert worker.consumer.of(ReturnJob) == [ReturnJob(waiting), ReturnJob(late)]
    assert worker.waiting() == 0
    worker.tell(JobFinished("j1", 1, SUCCESS))
    worker.confirm()
    assert len(worker.acks()) == 1


@pytest.mark.parametrize(
    "message", [JobReturned("j1", "one"), ContainerGone("one", "python")]
)
def test_what_would_wait_again_is_returned(worker: Worker, message: object) -> None:
    worker.run()
    worker.tell(ReturnWaiting("python"), message)
    (returned,) = worker.consumer.of(ReturnJob)
    assert returned.lease.job.id == "j1"
    assert worker.waiting() == 0


# ----------------------------------------------------------------- early controls


def test_a_cancel_that_is_early_ends_the_job_when_it_comes(worker: Worker) -> None:
    worker.tell(CANCEL)
    worker.deliver()
    assert worker.ends() == [Outcome.CANCELLED]
    assert worker.waiting() == 0


def test_stdin_that_is_early_follows_the_job(worker: Worker) -> None:
    worker.tell(stdin(b"a"), stdin(b"b", end=True))
    worker.run()
    assert worker.one.of(SendStdin) == [stdin(b"a"), stdin(b"b", end=True)]


def test_what_was_said_to_a_job_is_kept_when_it_is_let_go(worker: Worker) -> None:
    worker.deliver()
    worker.tell(stdin(b"a"), LOST, stdin(b"b"))
    worker.redeliver(delivered=1)
    worker.tell(DispatchJob("one", "ann"))
    assert worker.one.of(SendStdin) == [stdin(b"a"), stdin(b"b")]


def test_a_cancelled_job_that_was_let_go_is_cancelled_when_it_comes(
    worker: Worker,
) -> None:
    worker.run()
    worker.tell(CANCEL, LOST)
    worker.redeliver(delivered=2)
    assert worker.ends() == [Outcome.CANCELLED]
