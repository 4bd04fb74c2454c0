"""The whole tree on one page.

root                     one_for_one; its failure ends the process
|-- broker               publishes jobs, events and controls    with the embedded
|-- consumer     worker  consumes jobs                          broker, the first is
|-- controls     worker  hears stdin and cancels                all four
|-- events      gateway  reads the event stream
|-- fleet                what can run where
|-- relay       gateway  job events to watchers
|-- scheduler    worker  waiting jobs to idle containers
|-- languages    worker  one_for_one
|   `-- <name>           rest_for_one: a queue's pool goes down with it
|       |-- queue        the leases
|       `-- pool         the containers
|-- buckets     gateway  rate limits
`-- gateway              last in, first out; a worker's tells only how it stands

The role `all` has both what a worker and what a gateway has.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.admission import Admission
from actors.broker.consumer import AmqpConsumer
from actors.broker.controls import AmqpControls
from actors.broker.embedded import EmbeddedBroker
from actors.broker.embedded_store import EmbeddedStore
from actors.broker.link import BrokerHealth, Link
from actors.broker.outbox import Outbox
from actors.broker.publisher import AmqpPublisher
from actors.broker.stream import AmqpStream, Reading
from actors.broker.topology import Topology
from actors.container import Container, EnginePort
from actors.event_relay import EventRelay
from actors.fleet import Fleet
from actors.language_queue import LanguageQueue
from actors.scheduler import Scheduler
from actors.slots import Budget
from actors.stdin_room import StdinRoom
from supervisors.backoff import Backoff
from supervisors.bucket_supervisor import BucketSupervisor
from supervisors.child_spec import ChildSpec, Strategy
from supervisors.languages import language_defaults
from supervisors.pool_supervisor import PoolSize, PoolSupervisor
from supervisors.supervisor import Supervisor

if TYPE_CHECKING:
    from actors.actor import Context
    from actors.directory import AnyRef
    from images.catalog import Catalog, Language
    from supervisors.settings_model import Settings

ROOT = "root"
BROKER = "root/broker"
CONSUMER = "root/consumer"
CONTROLS = "root/controls"
EVENTS = "root/events"
FLEET = "root/fleet"
RELAY = "root/relay"
SCHEDULER = "root/scheduler"
LANGUAGES = "root/languages/"
GATEWAY = "root/gateway"
MIB = 1 << 20
RECONNECT_S_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the tree is made of.

    engine: what containers run on; None for a gateway, which has none.
    versions: of the languages whose images are here.
    admission: which jobs are too many; the embedded broker keeps it, or the relay.
    listener: starts the gateway's actor.
    """

    settings: Settings
    catalog: Catalog
    engine: EnginePort | None
    listener: Callable[[Context], AnyRef]
    versions: Mapping[str, str]
    worker_id: str
    admission: Admission

    @property
    def reads_events(self) -> bool:
        """Whether clients can ask for jobs here."""
        return self.settings.role != "worker"

    @property
    def consumer(self) -> str:
        """Who delivers jobs."""
        return CONSUMER if self.settings.broker_urls else BROKER

    @property
    def events(self) -> str:
        """Who delivers events."""
        return EVENTS if self.settings.broker_urls else BROKER


def tree(
    settings: Settings,
    catalog: Catalog,
    engine: EnginePort | None,
    listener: Callable[[Context], AnyRef],
    versions: Mapping[str, str] | None = None,
) -> list[ChildSpec]:
    """Return the root's children. The catalog has just the languages to serve."""
    worker_id = settings.worker_id or secrets.token_hex(8)
    admission = Admission(
        settings.queue_max, settings.queue_mb_max * MIB, settings.client_share
    )
    plan = Plan(
        settings, catalog, engine, listener, versions or {}, worker_id, admission
    )
    return [
        *(amqp_specs(plan) if settings.broker_urls else embedded_specs(plan)),
        fleet_spec(plan),
        *(relay_specs(plan) if plan.reads_events else ()),
        *(work_specs(plan, engine) if engine is not None else ()),
        *(bucket_specs(plan) if plan.reads_events else ()),
        ChildSpec("gateway", listener),
    ]


def queue_name(language: str) -> str:
    """Return the actor that owns the language's jobs."""
    return f"{LANGUAGES}{language}/queue"


# ------------------------------------------------------------------- brokers


def embedded_specs(plan: Plan) -> Iterator[ChildSpec]:
    """Yield the broker within this process."""
    settings = plan.settings
    bytes_max = settings.results_mb_max * MIB
    store = EmbeddedStore(settings.queue_max, settings.result_ttl_s, bytes_max)
    yield ChildSpec(
        "broker", lambda c: EmbeddedBroker.start(c, store, admission=plan.admission)
    )


def amqp_specs(plan: Plan) -> Iterator[ChildSpec]:
    """Yield the connections to RabbitMQ that this role needs."""
    settings = plan.settings
    ttl_s = settings.result_ttl_s
    link = Link(
        turned(settings.broker_urls, plan.worker_id),
        Topology(tuple(plan.catalog.languages), settings.queue_max, ttl_s),
        Backoff(max_s=RECONNECT_S_MAX).delay_s,
        BrokerHealth(),
    )
    outbox = Outbox()
    # What can run here at once, and one more so that no slot waits for the next.
    prefetch = min(settings.pool.max, settings.running_max) + 1
    yield ChildSpec(
        "broker",
        lambda c: AmqpPublisher.start(c, link, outbox, admission=plan.admission),
    )
    if plan.engine is not None:
        yield ChildSpec(
            "consumer",
            lambda c: AmqpConsumer.start(c, link, prefetch, BROKER, CONTROLS),
        )
        queues = {name: queue_name(name) for name in plan.catalog.languages}
        yield ChildSpec(
            "controls",
            lambda c: AmqpControls.start(c, link, plan.worker_id, queues, CONSUMER),
        )
    if plan.reads_events:
        reading = Reading()
        yield ChildSpec(
            "events", lambda c: AmqpStream.start(c, link, reading, ttl_s, FLEET)
        )


def turned(urls: tuple[str, ...], worker_id: str) -> tuple[str, ...]:
    """Return the nodes as this process tries them: not all begin with the same one."""
    first = zlib.crc32(worker_id.encode()) % len(urls)
    return urls[first:] + urls[:first]


# --------------------------------------------------------------------- parts


def fleet_spec(plan: Plan) -> ChildSpec:
    """Return who knows what can run where."""
    # without containers here there is nothing to tell others
    versions = {} if plan.engine is None else plan.versions
    to = BROKER if plan.settings.broker_urls else None
    return ChildSpec(
        "fleet", lambda c: Fleet.start(c, plan.worker_id, versions, LANGUAGES, to)
    )


def relay_specs(plan: Plan) -> Iterator[ChildSpec]:
    """Yield who keeps the jobs' logs."""
    settings = plan.settings
    yield ChildSpec(
        "relay",
        lambda c: EventRelay.start(
            c,
            plan.events,
            settings.result_ttl_s,
            settings.results_mb_max * MIB,
            counts_queued=bool(settings.broker_urls),
            is_answered=not settings.broker_urls,
            fleet=FLEET if settings.broker_urls else "",
            admission=plan.admission if settings.broker_urls else None,
            stdin_room=StdinRoom(
                settings.http.job_stdin_kb_max * 1024,
                settings.http.stdins_mb_max * MIB,
                settings.client_share,
            ),
        ),
    )


def work_specs(plan: Plan, engine: EnginePort) -> Iterator[ChildSpec]:
    """Yield what runs jobs."""
    budget = budget_of(plan.settings)
    specs = [
        language_spec(language, plan, engine)
        for language in plan.catalog.languages.values()
    ]
    yield ChildSpec("scheduler", lambda c: Scheduler.start(c, LANGUAGES, budget))
    yield ChildSpec("languages", lambda c: Supervisor.start(c, specs), shutdown_s=20)


def budget_of(settings: Settings) -> Budget:
    """Return how much may run at once."""
    return Budget(
        settings.running_max,
        settings.guests_max,
        settings.guests_mb_max,
        max(settings.caps.memory_mb, settings.caps.compile.memory_mb),
        settings.pool.max,
    )


def bucket_specs(plan: Plan) -> Iterator[ChildSpec]:
    """Yield the rate limits."""
    rate = plan.settings.rate
    yield ChildSpec(
        "buckets",
        lambda c: BucketSupervisor.start(
            c, rate.per_second, rate.burst, rate.clients_max
        ),
    )


def language_spec(language: Language, plan: Plan, engine: EnginePort) -> ChildSpec:
    """Return one language: its queue, and the pool that goes down with it."""
    settings = plan.settings
    pool = settings.pool
    size = PoolSize(pool.warm, pool.max, pool.idle_s, settings.guests_max)
    queue = queue_name(language.name)
    specs = [
        ChildSpec(
            "queue",
            lambda c: LanguageQueue.start(
                c,
                language.name,
                BROKER,
                plan.consumer,
                SCHEDULER,
                settings.attempts_max,
            ),
        ),
        ChildSpec(
            "pool",
            lambda c: PoolSupervisor.start(
                c,
                language.name,
                size,
                container_starter(language, engine, queue),
                SCHEDULER,
                Backoff(),
                FLEET,
            ),
            shutdown_s=10,
        ),
    ]
    return ChildSpec(
        language.name,
        lambda c: Supervisor.start(c, specs, Strategy.REST_FOR_ONE),
        shutdown_s=15,
    )


def container_starter(
    language: Language, engine: EnginePort, queue: str
) -> Callable[[Context], AnyRef]:
    """Return what starts one container actor of the language."""
    defaults = language_defaults(language)
    return lambda c: Container.start(c, defaults, engine, queue, SCHEDULER, BROKER)
