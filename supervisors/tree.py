"""The whole tree on one page.

root                     one_for_one; its failure ends the process
|-- broker               takes jobs, delivers them, keeps the event stream
|-- relay                job events to watchers
|-- scheduler            waiting jobs to idle containers
|-- languages            one_for_one
|   `-- <name>           rest_for_one: a queue's pool goes down with it
|       |-- queue        the leases
|       `-- pool         the containers
|-- buckets              rate limits
`-- gateway              last in, first out
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.broker.embedded import EmbeddedBroker
from actors.broker.embedded_store import EmbeddedStore
from actors.container import Container, EnginePort
from actors.event_relay import EventRelay
from actors.language_queue import LanguageQueue
from actors.scheduler import Scheduler
from supervisors.backoff import Backoff
from supervisors.bucket_supervisor import BucketSupervisor
from supervisors.child_spec import ChildSpec, Strategy
from supervisors.languages import language_defaults
from supervisors.pool_supervisor import PoolSize, PoolSupervisor
from supervisors.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.actor import Context
    from actors.directory import AnyRef
    from images.catalog import Catalog, Language
    from supervisors.settings_model import Settings

ROOT = "root"
BROKER = "root/broker"
RELAY = "root/relay"
SCHEDULER = "root/scheduler"
LANGUAGES = "root/languages/"
MIB = 1 << 20


def tree(
    settings: Settings,
    catalog: Catalog,
    engine: EnginePort,
    gateway: Callable[[Context], AnyRef],
) -> list[ChildSpec]:
    """Return the root's children. The catalog has just the languages to serve."""
    bytes_max = settings.results_mb_max * MIB
    store = EmbeddedStore(settings.queue_max, settings.result_ttl_s, bytes_max)
    rate = settings.rate
    return [
        ChildSpec("broker", lambda c: EmbeddedBroker.start(c, store)),
        ChildSpec(
            "relay",
            lambda c: EventRelay.start(c, BROKER, settings.result_ttl_s, bytes_max),
        ),
        ChildSpec(
            "scheduler", lambda c: Scheduler.start(c, LANGUAGES, settings.running_max)
        ),
        ChildSpec(
            "languages",
            lambda c: Supervisor.start(
                c,
                [
                    language_spec(language, settings, engine)
                    for language in catalog.languages.values()
                ],
            ),
            shutdown_s=20,
        ),
        ChildSpec(
            "buckets",
            lambda c: BucketSupervisor.start(
                c, rate.per_second, rate.burst, rate.clients_max
            ),
        ),
        ChildSpec("gateway", gateway),
    ]


def language_spec(
    language: Language, settings: Settings, engine: EnginePort
) -> ChildSpec:
    """Return one language: its queue, and the pool that goes down with it."""
    queue = f"{LANGUAGES}{language.name}/queue"
    specs = [
        ChildSpec(
            "queue",
            lambda c: LanguageQueue.start(
                c, language.name, BROKER, SCHEDULER, settings.attempts_max
            ),
        ),
        ChildSpec(
            "pool",
            lambda c: PoolSupervisor.start(
                c,
                language.name,
                PoolSize(settings.pool.warm, settings.pool.max, settings.pool.idle_s),
                container_starter(language, engine, queue),
                SCHEDULER,
                Backoff(),
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
