"""A real broker and its customers: in real time, and everything waits for events."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, TypeVar

import pika
import pykka
from gevent.event import AsyncResult, Event
from samples import make_job

from actors.actor import Context
from actors.broker.consumer import AmqpConsumer
from actors.broker.controls import AmqpControls
from actors.broker.embedded import EmbeddedBroker
from actors.broker.embedded_store import EmbeddedStore
from actors.broker.link import BrokerHealth, Link
from actors.broker.outbox import Outbox
from actors.broker.publisher import AmqpPublisher
from actors.broker.stream import AmqpStream, Reading
from actors.broker.topology import DEAD, Topology
from actors.directory import AnyRef, Directory
from actors.messages import (
    BrokerStatus,
    DescribeBroker,
    EventsReceived,
    Job,
    JobDelivered,
    JobEvent,
    Lease,
    PublishEvents,
    PublishJob,
    PublishReply,
    SubscribeEvents,
    SubscribeJobs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rabbitmq_server import RabbitServer

    from actors.admission import Admission
    from actors.messages import EventBody

M = TypeVar("M")
PATIENCE_S = 20.0
TTL_S = 60.0
REFUSALS_MAX = 10
PREFETCH = 3
BROKER, CONSUMER, EVENTS_NAME = "root/broker", "root/consumer", "root/events"
CONTROLS = "root/controls"
QUEUE, RELAY, FLEET = "root/languages/python/queue", "root/relay", "root/fleet"


class Customer(pykka.ThreadingActor):
    """Remembers what it is told, and rings."""

    use_daemon_thread = True

    def __init__(self, told: list[Any], rung: Event) -> None:
        super().__init__()
        self._told, self._rung = told, rung

    def on_receive(self, message: object) -> None:
        self._told.append(message)
        self._rung.set()


class Ear:
    """An actor of a name, whose mail a test can wait for."""

    def __init__(self, directory: Directory, name: str) -> None:
        self.name = name
        self.told: list[Any] = []
        self._rung = Event()
        self.ref: AnyRef = Customer.start(self.told, self._rung)
        directory.enter(name, self.ref)

    def of(self, kind: type[M]) -> list[M]:
        return [one for one in self.told if isinstance(one, kind)]

    def wait(self, kind: type[M], count: int = 1) -> list[M]:
        """Return what of this kind was told, once it is that much."""
        self.wait_until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            self._rung.clear()
            left = end - time.monotonic()
            assert left > 0, f"{self.name} has got {self.told}"
            self._rung.wait(left)

    def forget(self) -> None:
        self.told.clear()


class Process:
    """One process of the service, as far as its broker goes."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.refs: dict[str, AnyRef] = {}
        self.contexts: dict[str, Context] = {}
        self.queue = Ear(self.directory, QUEUE)
        self.relay = Ear(self.directory, RELAY)
        self.fleet = Ear(self.directory, FLEET)
        self.broker, self.consumer, self.events = BROKER, CONSUMER, EVENTS_NAME

    def start(self, kind: Any, name: str, *args: Any) -> None:
        self.contexts[name] = Context(name, self.directory)
        self.refs[name] = kind.start(self.contexts[name], *args)

    def stop(self, name: str) -> None:
        self.refs[name].stop(timeout=PATIENCE_S)

    def crash(self, name: str, *mail: object) -> None:
        """End an actor by what is no message, with mail that it has not read."""
        for message in (object(), *mail):
            self.refs[name].tell(message)
        assert self.contexts[name].gone.wait(PATIENCE_S)

    def tell(self, name: str, *messages: object) -> None:
        for message in messages:
            assert self.directory.tell(name, message), f"there is no {name}"

    def status(self, name: str) -> BrokerStatus:
        found = self.directory.ask(name, DescribeBroker(), PATIENCE_S)
        assert isinstance(found, BrokerStatus)
        return found

    # ------------------------------------------------------- what customers do

    def subscribe(self) -> None:
        self.tell(self.consumer, SubscribeJobs("python", QUEUE))

    def read(self, offset: int = 0) -> None:
        self.tell(self.events, SubscribeEvents(RELAY, offset))

    def publish(self, job: Job) -> PublishReply:
        answer: AsyncResult[PublishReply] = AsyncResult()
        self.tell(self.broker, PublishJob(job, answer.set))
        reply = answer.get(timeout=PATIENCE_S)
        assert reply is not None
        return reply

    def accepted(self, **changes: Any) -> Job:
        """Return a job that the broker has."""
        job = new_job(**changes)
        assert self.publish(job) == PublishReply("accepted")
        return job

    def lease(self, count: int = 1) -> Lease:
        """Return the newest lease, once there have been so many."""
        return self.queue.wait(JobDelivered, count)[-1].lease

    def emit(
        self, job: Job, *bodies: EventBody, attempt: int = 1, confirm_to: str = QUEUE
    ) -> tuple[JobEvent, ...]:
        events = tuple(JobEvent(job.id, attempt, body) for body in bodies)
        self.tell(self.broker, PublishEvents(events, confirm_to))
        return events

    def streamed(self, job: Job) -> list[object]:
        """Return what the relay has got of the job so far."""
        return [
            event.body
            for received in self.relay.of(EventsReceived)
            for event in received.events
            if event.job_id == job.id
        ]

    def wait_streamed(self, job: Job, count: int) -> list[object]:
        self.relay.wait_until(lambda: len(self.streamed(job)) >= count)
        return self.streamed(job)


def new_job(**changes: Any) -> Job:
    return make_job(secrets.token_hex(8), **changes)


def embedded_process(queue_max: int = 1000) -> Process:
    process = Process()
    store = EmbeddedStore(queue_max, TTL_S, 1 << 20)
    process.start(EmbeddedBroker, BROKER, store)
    process.consumer = process.events = BROKER
    return process


class AmqpProcess(Process):
    """A gateway and a worker in one."""

    def __init__(
        self,
        *urls: str,
        queue_max: int = 1000,
        worker_id: str = "w1",
        prefetch: int = PREFETCH,
        admission: Admission | None = None,
    ) -> None:
        super().__init__()
        self.admission = admission
        self.health = BrokerHealth()
        topology = Topology(("python", "c"), queue_max, TTL_S)
        self.link = Link(urls, topology, lambda _: 0.05, self.health)
        self.outbox = Outbox()
        self.reading = Reading()
        self.worker_id, self.prefetch = worker_id, prefetch

    def start_all(self) -> None:
        self.start_publisher()
        self.start_consumer()
        self.start_controls()
        self.start_stream()
        for name in (BROKER, CONSUMER, CONTROLS, EVENTS_NAME):
            self.wait_state(name)

    def start_publisher(self) -> None:
        arguments = (self.link, self.outbox, "root/", self.admission)
        self.start(AmqpPublisher, BROKER, *arguments)

    def start_consumer(self) -> None:
        arguments = (self.link, self.prefetch, BROKER, CONTROLS)
        self.start(AmqpConsumer, CONSUMER, *arguments)

    def start_controls(self) -> None:
        queues = {"python": QUEUE, "c": "root/languages/c/queue"}
        arguments = (self.link, self.worker_id, queues, CONSUMER)
        self.start(AmqpControls, CONTROLS, *arguments)

    def start_stream(self) -> None:
        self.start(AmqpStream, EVENTS_NAME, self.link, self.reading, TTL_S, FLEET)

    def wait_state(self, name: str, state: str = "open") -> BrokerStatus:
        """Ask until the connection is in this state: nobody tells when it is."""
        end = time.monotonic() + 2 * PATIENCE_S
        while (status := self.status(name)).state != state:
            assert time.monotonic() < end, status
            time.sleep(0.01)
        return status

    def accepted_again(self) -> Job:
        """Return a job that the broker has, once its connection is mended for good.

        It may be open, and lost once more: a server refuses for a while to declare
        what it is still deleting.
        """
        for _ in range(REFUSALS_MAX):
            job = new_job()
            if self.publish(job) == PublishReply("accepted"):
                return job
            self.wait_state(BROKER)
        raise AssertionError(f"refused {REFUSALS_MAX} times")


def amqp_process(server: RabbitServer, **options: Any) -> AmqpProcess:
    process = AmqpProcess(server.url, **options)
    process.start_all()
    return process


def raw(server: RabbitServer) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.URLParameters(server.url))


def dead_letters(server: RabbitServer, count: int) -> list[tuple[str, bytes]]:
    """Return reasons and bodies of the dead, once there are so many."""
    found: list[tuple[str, bytes]] = []
    with raw(server) as connection:
        channel = connection.channel()
        for _, properties, body in channel.consume(
            DEAD, inactivity_timeout=PATIENCE_S, auto_ack=True
        ):
            assert body is not None, f"no more than {found}"
            headers = properties.headers or {}
            found.append((headers.get("x-warmbox-reason", ""), body))
            if len(found) == count:
                return found
    return found
