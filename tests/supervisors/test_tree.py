"""The whole tree on an engine twin: whatever crashes, each job ends exactly once."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
import pytest
from actor_world import World, settle
from child_twin import Log
from engine_twin import RunningEngineTwin
from samples import LIMITS, PYTHON, C, make_job

from actors.directory import Directory
from actors.messages import (
    CancelJob,
    DescribePool,
    EndUnfinished,
    Finished,
    NumberedEvent,
    Outcome,
    Output,
    PublishJob,
    PublishReply,
    Restarted,
    SourceFile,
    TakeToken,
    TokenReply,
    WatchJob,
)
from images.catalog import Catalog
from supervisors.service import Service
from supervisors.settings_model import Caps, CompileCaps, Pool, Settings
from supervisors.supervisor import Supervisor
from supervisors.tree import LANGUAGES, ROOT, budget_of, tree, turned

if TYPE_CHECKING:
    from supervisors.child_spec import ChildSpec

CATALOG = Catalog(Path("images"), [C, PYTHON])
QUEUE = f"{LANGUAGES}python/queue"
POOL = f"{LANGUAGES}python/pool"
PATIENT = replace(LIMITS, wall_time_s=1e6)
"""Time passes for restarts; no job shall be too slow for it."""


class Watcher:
    """Follows one job as a client does: when it is sent away, it comes again."""

    def __init__(self, directory: Directory, job_id: str) -> None:
        self.directory = directory
        self.job_id = job_id
        self.events: list[NumberedEvent] = []
        self.sent_away = True

    def deliver(self, batch: tuple[NumberedEvent, ...]) -> bool:
        self.sent_away = not batch
        self.events += batch
        return True

    def follow(self) -> None:
        """Watch, unless that is under way."""
        if self.sent_away:
            self.sent_away = False
            watch = WatchJob(self.job_id, len(self.events), self.deliver)
            try:
                known = self.directory.ask("root/relay", watch, 5)
            except LookupError:
                known = False  # the relay is being restarted
            self.sent_away = self.sent_away or not known

    def has_ended(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1].event.body, Finished)

    def assert_ended_once(self, outcome: Outcome = Outcome.SUCCESS) -> None:
        """Nothing was missed, seen twice or said after the end."""
        assert [event.id for event in self.events] == [*range(1, len(self.events) + 1)]
        attempts = [event.event.attempt for event in self.events]
        assert attempts == sorted(attempts)
        ends = [
            event.event.body.result
            for event in self.events
            if isinstance(event.event.body, Finished)
        ]
        assert [end.outcome for end in ends] == [outcome], self.job_id
        assert self.has_ended()

    def output(self) -> bytes:
        """Return the output of the last attempt."""
        last = self.events[-1].event.attempt
        return b"".join(
            event.event.body.data
            for event in self.events
            if isinstance(event.event.body, Output) and event.event.attempt == last
        )


class Tree:
    """The tree with two languages, and clients that follow their jobs."""

    def __init__(self, world: World, warm: int = 2, attempts_max: int = 50) -> None:
        self.world = world
        self.engine = RunningEngineTwin()
        self.gateways = Log()
        self.watchers: list[Watcher] = []
        self.replies: list[PublishReply] = []
        settings = Settings(
            pool=Pool(warm=warm, max=3), running_max=3, attempts_max=attempts_max
        )
        specs = tree(settings, CATALOG, self.engine, self.gateways.start)
        world.start(Supervisor, ROOT, specs)

    def submit(self, language: str = "python", client: str = "ann") -> Watcher:
        watcher = self.publish(language, client)
        assert watcher is not None
        settle()
        assert self.replies[-1].status == "accepted"
        self.follow()
        return watcher

    def publish(self, language: str, client: str) -> Watcher | None:
        """Mail a job that prints its id; None when there is no broker just now."""
        name = "main.py" if language == "python" else "main.c"
        job_id = f"j{len(self.watchers)}"
        job = make_job(
            job_id,
            language=language,
            client=client,
            files=(SourceFile(name, job_id.encode()),),
            limits=PATIENT,
        )
        message = PublishJob(job, self.replies.append)
        if not self.world.directory.tell("root/broker", message):
            return None
        self.watchers.append(Watcher(self.world.directory, job_id))
        return self.watchers[-1]

    def submit_some(self) -> None:
        """Submit more jobs than can run at once, in two languages."""
        for number in range(5):
            self.submit("python", f"client{number % 2}")
        self.submit("c")

    def follow(self) -> None:
        for watcher in self.watchers:
            watcher.follow()

    def finish(self) -> None:
        """Let everything come to its end."""
        self.engine.hold = False
        for _ in range(200):
            self.engine.release()
            self.follow()
            settle()
            if all(watcher.has_ended() for watcher in self.watchers):
                break
            self.world.clock.advance(1)

    def assert_all_ended_once(self) -> None:
        for watcher in self.watchers:
            watcher.assert_ended_once()
            assert watcher.output() == watcher.job_id.encode()

    def containers(self) -> list[str]:
        names = self.world.directory.names(LANGUAGES)
        return [name for name in names if name.rsplit("/", 1)[-1].isdigit()]


@pytest.fixture
def forest(world: World) -> Tree:
    return Tree(world)


def test_jobs_run_and_end(forest: Tree) -> None:
    forest.submit_some()
    forest.assert_all_ended_once()
    assert forest.engine.runs == 6
    assert all(watcher.events[-1].event.attempt == 1 for watcher in forest.watchers)


def test_all_that_the_design_names_is_there(world: World, forest: Tree) -> None:
    assert set(world.directory.names()) == {
        "root",
        "root/broker",
        "root/fleet",
        "root/relay",
        "root/scheduler",
        "root/languages",
        "root/buckets",
        "root/gateway",
        *(
            f"{LANGUAGES}{language}{part}"
            for language in ("c", "python")
            for part in ("", "/queue", "/pool", "/pool/1", "/pool/2")
        ),
    }
    assert len(forest.engine.living()) == 4


@pytest.mark.parametrize(
    ("role", "parts"),
    [
        (
            "all",
            "broker consumer controls events fleet relay scheduler languages buckets",
        ),
        ("gateway", "broker events fleet relay buckets"),
        ("worker", "broker consumer controls fleet scheduler languages"),
    ],
)
def test_with_a_shared_broker_each_role_has_its_parts(role: str, parts: str) -> None:
    settings = Settings.model_validate({"broker": "amqp://q", "role": role})
    engine = None if role == "gateway" else RunningEngineTwin()
    specs = tree(settings, CATALOG, engine, Log().start, {"python": "3.13"})
    assert [spec.name for spec in specs] == [*parts.split(), "gateway"]


def test_not_all_processes_begin_with_the_same_node() -> None:
    urls = ("amqp://a", "amqp://b", "amqp://c")
    turns = {turned(urls, str(number)) for number in range(50)}
    assert {turn[0] for turn in turns} == set(urls)
    assert all(sorted(turn) == sorted(urls) for turn in turns)


@pytest.mark.parametrize(("program", "compiler"), [(512, 2048), (2048, 512)])
def test_a_job_may_have_what_its_program_or_its_compiler_may(
    program: int, compiler: int
) -> None:
    caps = Caps(memory_mb=program, compile=CompileCaps(memory_mb=compiler))
    assert budget_of(Settings(caps=caps)).job_mb_max == 2048


def test_a_pool_without_warm_containers_grows_on_demand(world: World) -> None:
    forest = Tree(world, warm=0)
    assert forest.engine.started == []
    forest.submit_some()
    forest.finish()
    forest.assert_all_ended_once()
    assert 2 <= len(forest.engine.started) <= 6
    world.clock.advance(200)
    assert forest.containers() == []
    assert forest.engine.living() == []


def test_a_pool_grows_up_to_the_slots_and_shrinks_again(
    world: World, forest: Tree
) -> None:
    forest.engine.hold = True
    for _ in range(5):
        forest.submit()
    world.clock.advance(2)  # as none of them ends
    # One more waits for somebody who has nothing running
    assert world.ask(POOL, DescribePool()).ready == 4
    assert len(forest.engine.held) == 3
    forest.finish()
    world.clock.advance(200)
    assert world.ask(POOL, DescribePool()).ready == 2
    forest.assert_all_ended_once()


def test_an_engine_that_is_away_is_an_outage_and_not_a_crash(
    world: World, forest: Tree
) -> None:
    # Given a language whose containers have all died, and no engine to make others
    forest.engine.fault = "daemon away"
    for attached in list(forest.engine.living()):
        attached.die()
    watcher = forest.submit()
    world.clock.advance(100)
    assert world.ask(POOL, DescribePool()).paused == "daemon away"
    assert not watcher.has_ended()
    # When it comes back
    forest.engine.fault = ""
    forest.finish()
    # Then the job is run
    forest.assert_all_ended_once()
    assert world.is_alive(ROOT)


def test_a_cancelled_job_ends_wherever_it_is(world: World, forest: Tree) -> None:
    forest.engine.hold = True
    for _ in range(5):
        forest.submit()
    # j0 runs, j4 waits
    world.tell("root/broker", CancelJob("j0", "python"), CancelJob("j4", "python"))
    for number in (0, 4):
        forest.watchers[number].assert_ended_once(Outcome.CANCELLED)
    forest.finish()
    for number in (1, 2, 3):
        forest.watchers[number].assert_ended_once()


# ------------------------------------------------------------------------- crashes

CRASHES = {
    "the broker": "root/broker",
    "the fleet": "root/fleet",
    "the relay": "root/relay",
    "the scheduler": "root/scheduler",
    "a queue": QUEUE,
    "a pool": POOL,
    "a container": f"{POOL}/2",
    "the other container": f"{POOL}/1",
    "the buckets": "root/buckets",
    "the gateway": "root/gateway",
    "a language": f"{LANGUAGES}python",
    "all languages": "root/languages",
}


@pytest.mark.parametrize("name", CRASHES.values(), ids=CRASHES)
def test_whatever_crashes_each_job_ends_exactly_once(
    world: World, forest: Tree, name: str
) -> None:
    # Given jobs that run and jobs that wait
    forest.engine.hold = True
    forest.submit_some()
    assert len(forest.engine.held) == 3
    # When something crashes
    world.crash(name)
    # Then all of them come to their end, once, and later ones too
    forest.finish()
    forest.submit_some()
    forest.finish()
    forest.assert_all_ended_once()
    world.clock.advance(5)
    assert world.is_alive(name)
    assert world.is_alive(ROOT)
    assert len(forest.engine.living()) == len(forest.containers())


@pytest.mark.parametrize("name", CRASHES.values(), ids=CRASHES)
def test_without_warm_containers_too(world: World, name: str) -> None:
    forest = Tree(world, warm=0)
    forest.engine.hold = True
    forest.submit_some()
    if world.is_alive(name):
        world.crash(name)
    forest.finish()
    forest.assert_all_ended_once()


@pytest.mark.parametrize("name", CRASHES.values(), ids=CRASHES)
def test_a_crash_in_the_moment_of_the_ends(
    world: World, forest: Tree, name: str
) -> None:
    # Given jobs that end in the same moment in which something crashes
    forest.engine.hold = True
    forest.submit_some()
    for attached in list(forest.engine.held):
        forest.engine.held.remove(attached)
        forest.engine._end(attached)  # noqa: SLF001 - not yet read by the host
    assert world.directory.tell(name, object())
    # Then they end once all the same
    forest.finish()
    forest.assert_all_ended_once()


def test_only_what_died_is_run_again(world: World, forest: Tree) -> None:
    forest.engine.hold = True
    first, second = forest.submit(), forest.submit()
    held = {one.id for one in forest.engine.held}
    world.crash(f"{POOL}/1")
    assert len(held) == 2
    forest.finish()
    attempts = sorted(one.events[-1].event.attempt for one in (first, second))
    assert attempts == [1, 2]
    assert forest.engine.runs == 3
    restarted = [
        event
        for one in (first, second)
        for event in one.events
        if isinstance(event.event.body, Restarted)
    ]
    assert len(restarted) == 1


def test_a_crash_of_broker_relay_or_scheduler_runs_nothing_twice(
    world: World, forest: Tree
) -> None:
    forest.engine.hold = True
    forest.submit_some()
    for name in ("root/broker", "root/relay", "root/scheduler"):
        world.crash(name)
    forest.finish()
    forest.assert_all_ended_once()
    assert forest.engine.runs == 6


def test_after_attempts_max_a_job_ends_as_our_fault(world: World) -> None:
    forest = Tree(world, attempts_max=2)
    forest.engine.hold = True
    watcher = forest.submit()
    for _ in range(2):
        forest.engine.held.pop().die()
        forest.follow()
    watcher.assert_ended_once(Outcome.INTERNAL_ERROR)


def test_a_job_that_takes_its_queue_down_is_given_up_as_well(world: World) -> None:
    forest = Tree(world, attempts_max=2)
    forest.engine.hold = True
    watcher = forest.submit()
    for _ in range(2):
        world.crash(QUEUE)
    forest.follow()
    watcher.assert_ended_once(Outcome.INTERNAL_ERROR)


def test_buckets_answer_again_after_their_crash(world: World, forest: Tree) -> None:
    replies: list[TokenReply] = []
    world.crash("root/buckets")
    world.tell("root/buckets", TakeToken("ann", replies.append))
    assert [reply.granted for reply in replies] == [True]
    assert forest.gateways.take() == ["start gateway"]


def test_crashes_without_end_end_the_root(world: World, forest: Tree) -> None:
    for _ in range(6):
        world.crash("root/broker")
    assert not world.is_alive(ROOT)
    assert [notice.name for notice in world.exits()] == [ROOT]
    assert world.directory.names() == []
    assert forest.engine.living() == []


class Chaos:
    """Does anything at any moment, by dice that fall the same for each seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a test that can be repeated
        self.world = world
        self.forest = Tree(world, warm=self.dice.randrange(3))
        self.forest.engine.hold = True

    def step(self) -> None:
        action = self.dice.choice(
            [self.submit, self.submit, self.release, self.crash, self.wait]
        )
        action()
        if self.dice.random() < 0.5:
            settle()
        self.go_on()

    def go_on(self) -> None:
        """Let everybody do a little, but not all there is to do."""
        for _ in range(self.dice.randrange(12)):
            gevent.sleep(0)

    def submit(self) -> None:
        self.forest.publish(self.dice.choice(["python", "c"]), self.dice.choice("ab"))

    def release(self) -> None:
        self.forest.engine.release(self.dice.randrange(3))

    def crash(self) -> None:
        """Crash two at once, but not more often than supervisors bear."""
        names = self.world.directory.names("root/")
        for name in self.dice.sample(names, 2):
            self.world.directory.tell(name, object())
            self.go_on()
        settle()
        self.world.clock.advance(20)

    def wait(self) -> None:
        settle()
        self.world.clock.advance(self.dice.choice([0.01, 1, 40]))


@pytest.mark.parametrize("seed", range(40))
def test_any_crashes_at_any_moment_lose_and_repeat_nothing(
    world: World, seed: int
) -> None:
    chaos = Chaos(world, seed)
    forest = chaos.forest
    for _ in range(30):
        chaos.step()
        forest.follow()
    assert [one.status for one in forest.replies] == ["accepted"] * len(forest.watchers)
    forest.finish()
    forest.assert_all_ended_once()
    assert len(forest.engine.living()) == len(forest.containers())


# --------------------------------------------------------------------------- service


def specs_of(engine: RunningEngineTwin, gateways: Log) -> list[ChildSpec]:
    settings = Settings(pool=Pool(warm=1))
    return tree(settings, CATALOG, engine, gateways.start)


@pytest.fixture
def engine() -> RunningEngineTwin:
    return RunningEngineTwin()


def test_a_service_is_started_and_stopped_as_a_whole(engine: RunningEngineTwin) -> None:
    gateways = Log()
    service = Service(Directory())
    service.start(specs_of(engine, gateways))
    settle()
    assert len(engine.living()) == 2
    assert not service.wait(0)
    assert service.stop()
    assert service.wait(0)
    assert engine.living() == []
    assert service.directory.names() == []
    assert gateways.take() == ["start gateway", "stop gateway"]


def test_a_service_has_stopped_when_its_parts_have(engine: RunningEngineTwin) -> None:
    gateways = Log(blocking={"gateway"})
    service = Service(Directory())
    service.start(specs_of(engine, gateways))
    settle()
    stopping = gevent.spawn(service.stop)
    gevent.idle()
    assert not stopping.ready()
    assert service.directory.names("root/broker") == ["root/broker"]
    gateways.gate.set()
    assert stopping.get(timeout=5)
    assert engine.living() == []


def test_a_drain_waits_for_the_jobs_and_refuses_others(
    engine: RunningEngineTwin,
) -> None:
    service = Service(Directory())
    service.start(specs_of(engine, Log()))
    engine.hold = True
    replies: list[PublishReply] = []

    def publish(job_id: str) -> None:
        settle()
        message = PublishJob(make_job(job_id), replies.append)
        service.directory.tell("root/broker", message)
        settle()

    publish("j1")
    draining = gevent.spawn(service.drain, 5)
    publish("j2")
    assert not draining.ready()
    engine.release()
    assert draining.get(timeout=5) == 0
    assert [reply.status for reply in replies] == ["accepted", "draining"]
    assert service.stop()


def test_a_drain_waits_for_both_who_publishes_and_who_consumes(world: World) -> None:
    service = Service(world.directory)
    publisher, consumer = world.probe("root/broker"), world.probe("root/consumer")
    draining = gevent.spawn(service.drain, 5)
    for probe in (publisher, consumer):
        gevent.idle()
        assert not draining.ready()
        (message,) = probe.take()
        message.reply()
    assert draining.get(timeout=5) == 0


def test_who_is_late_lets_go_of_what_it_has(world: World) -> None:
    service = Service(world.directory)
    publisher, consumer = world.probe("root/broker"), world.probe("root/consumer")
    draining = gevent.spawn(service.drain, 0.01)
    gevent.idle()
    publisher.take()[0].reply()
    while not (told := consumer.of(EndUnfinished)):
        gevent.sleep(0.001)
    told[0].reply(3)
    assert draining.get(timeout=5) == 3
    assert publisher.take() == []


def test_what_does_not_end_in_the_drain_is_ended(engine: RunningEngineTwin) -> None:
    service = Service(Directory())
    service.start(specs_of(engine, Log()))
    engine.hold = True
    settle()
    service.directory.tell("root/broker", PublishJob(make_job(), lambda _: None))
    watcher = Watcher(service.directory, "j1")
    settle()
    watcher.follow()
    assert service.drain(0.001) == 1
    settle()
    watcher.assert_ended_once(Outcome.INTERNAL_ERROR)
    assert service.stop()


def test_a_service_without_a_broker_has_nothing_to_drain() -> None:
    service = Service(Directory())
    service.start([])
    assert service.drain(5) == 0
    assert service.stop()
