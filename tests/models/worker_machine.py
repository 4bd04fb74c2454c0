"""A worker's queues, scheduler, pools and containers, driven at random.

Real actors under their real supervisors; only the broker and what is inside the
containers are models. A step is something that may happen to a worker. Now and then
several happen before anybody has come to react to the first (`at_once`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pykka
from actor_world import World, settle
from broker_model import BrokerModel, Ear
from engine_model import EngineModel
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from reckoning import misreckoned
from samples import CONFIG, LIMITS, PYTHON, C, make_job

from actors.admission import Admission
from actors.messages import DescribePool, Outcome, SourceFile
from actors.scheduler import SPOILS_S
from images.catalog import Catalog
from metrics.live import LIVE
from supervisors.settings_model import Pool, Settings
from supervisors.supervisor import Supervisor
from supervisors.tree import BROKER, LANGUAGES, ROOT, Plan, work_specs

if TYPE_CHECKING:
    from broker_model import Message
    from engine_twin import AttachedTwin

RUNNING_MAX = 2
GUESTS_MAX = 1
POOL_MAX = 3
ATTEMPTS_MAX = 3
NAMES = ("c", "python")
CATALOG = Catalog(Path("images"), [C, PYTHON])
PATIENT = replace(LIMITS, wall_time_s=1e6)
ROUNDS_MAX = 120
"""Of a worker that is left in peace, until all jobs have ended."""
CRASH_S = 10.0
"""Between two crashes: more often is not a fault that a supervisor mends."""
CRASHING = (
    "scheduler",
    "scheduler",
    "c/queue",
    "python/queue",
    "python/pool",
    "python/pool/1",
)

clients = st.sampled_from("ab")
which = st.integers(0, 50)
languages = st.sampled_from(NAMES)


class Worker(RuleBasedStateMachine):
    """One worker and its broker."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.engine = EngineModel(CONFIG)
        self.broker = BrokerModel(self.world.directory)
        self.ear: Any = Ear.start(self.broker)
        self.unsettled = 0
        self.broken = False
        self.count = 0
        self.spoiled_at = 0.0
        """When a container had to go because of a job, at the latest."""
        for name in (BROKER, "root/consumer"):
            self.world.directory.enter(name, self.ear)

    @initialize(warm=st.integers(0, 2), reuse=st.sampled_from(["always", "tenant"]))
    def start(self, warm: int, reuse: Literal["always", "tenant"]) -> None:
        self.engine.config = replace(CONFIG, reuse=reuse)
        settings = Settings.model_validate(
            {
                "broker": "amqp://model",
                "pool": Pool(warm=warm, max=POOL_MAX),
                "running_max": RUNNING_MAX,
                "guests_max": GUESTS_MAX,
                "guests_mb_max": 1,  # the first may come in any case
                "attempts_max": ATTEMPTS_MAX,
            }
        )
        admission = Admission(1000, 1 << 30, 1)
        plan = Plan(settings, CATALOG, self.engine, self.ear, {}, "me", admission)
        specs = [*work_specs(plan, self.engine)]
        self.root = self.world.start(Supervisor, ROOT, specs)

    def spoil(self) -> None:
        self.spoiled_at = self.world.clock.now()

    def react(self) -> None:
        """Let everybody react, unless more is to happen at once."""
        self.unsettled -= 1
        if self.unsettled <= 0:
            settle()

    def one_of(self, boxes: list[AttachedTwin], number: int) -> AttachedTwin:
        return boxes[number % len(boxes)]

    # ------------------------------------------------------------------- clients

    @rule(language=languages, client=clients)
    def submit(self, language: str, client: str) -> None:
        self.post(language, client)
        self.react()

    @rule(language=languages, client=clients)
    def submit_and_think_better_of_it(self, language: str, client: str) -> None:
        """The job is cancelled before anybody has come to know of it."""
        self.broker.cancel(self.post(language, client))
        self.react()

    def post(self, language: str, client: str) -> str:
        self.count += 1
        job_id = f"j{self.count}"
        self.engine.clients[job_id] = client
        self.broker.submit(
            make_job(
                job_id,
                language=language,
                client=client,
                files=(SourceFile("main", job_id.encode()),),
                limits=PATIENT,
            )
        )
        return job_id

    @precondition(lambda self: self.broker.unfinished())
    @rule(number=which)
    def cancel(self, number: int) -> None:
        jobs = self.broker.unfinished()
        job_id = jobs[number % len(jobs)].job.id
        running = self.engine.boxes_with(job_id) if self.unsettled <= 0 else []
        self.broker.cancel(job_id)
        self.react()
        told = [box for box in running if box in self.engine.cancelled]
        self.expect(told, running, f"who was told that {job_id} is cancelled")

    # ---------------------------------------------------------------- containers

    @precondition(lambda self: self.engine.those("starting", "scrubbing"))
    @rule(number=which)
    def become_ready(self, number: int) -> None:
        boxes = self.engine.those("starting", "scrubbing")
        self.engine.be_clean(self.one_of(boxes, number))
        self.react()

    @precondition(lambda self: self.engine.those("busy"))
    @rule(number=which)
    def end_a_job(self, number: int) -> None:
        self.engine.end_job(self.one_of(self.engine.those("busy"), number))
        self.react()

    @precondition(lambda self: self.engine.states)
    @rule(number=which)
    def die(self, number: int) -> None:
        self.spoil()
        self.engine.die(self.one_of(list(self.engine.states), number))
        self.react()

    @precondition(lambda self: self.engine.those("busy"))
    @rule(number=which)
    def die_at_work(self, number: int) -> None:
        self.spoil()
        self.engine.die(self.one_of(self.engine.those("busy"), number))
        self.react()

    @precondition(lambda self: self.engine.jobs)
    @rule(number=which)
    def die_of_the_same_job(self, number: int) -> None:
        """A job kills every container that it is given."""
        running = list(self.engine.jobs.values())
        job_id = running[number % len(running)]
        self.spoil()
        for _ in range(ATTEMPTS_MAX):
            for box in self.engine.boxes_with(job_id):
                self.engine.die(box)
            settle()
            for box in self.engine.those("starting", "scrubbing"):
                self.engine.be_clean(box)
            settle()
        self.react()

    @precondition(lambda self: self.engine.those("busy", "scrubbing"))
    @rule(number=which)
    def be_dirty(self, number: int) -> None:
        boxes = self.engine.those("busy", "scrubbing")
        self.spoil()
        self.engine.be_dirty(self.one_of(boxes, number))
        self.react()

    # -------------------------------------------------------------------- broker

    @rule(language=languages)
    def lose_leases(self, language: str) -> None:
        self.broker.lose_leases(language)
        self.react()

    @precondition(lambda self: self.broker.ready())
    @rule(language=languages)
    def deliver(self, language: str) -> None:
        self.broker.deliver(language)
        self.react()

    @precondition(lambda self: self.broker.ready())
    @rule(number=which, ends=st.booleans())
    def run_elsewhere(self, number: int, *, ends: bool) -> None:
        settle()  # whatever of it runs here has begun by now
        ready = self.broker.ready()
        if ready:
            self.give_away(ready[number % len(ready)], ends=ends)
        self.react()

    def give_away(self, message: Message, *, ends: bool) -> None:
        self.engine.make_void(message.job.id)
        self.broker.begin_elsewhere(message, ends=ends)

    @precondition(lambda self: self.engine.jobs)
    @rule(number=which)
    def come_back_too_late(self, number: int) -> None:
        """The connection is lost for so long that another worker has had a job."""
        settle()
        running = list(self.engine.jobs.values())
        if running:
            message = self.broker.messages[running[number % len(running)]]
            self.broker.lose_leases(message.job.language)
            settle()
            if message.is_ready:
                self.give_away(message, ends=False)
            self.broker.deliver(message.job.language)
        self.react()

    @rule(hold=st.booleans())
    def hold_confirms(self, *, hold: bool) -> None:
        self.broker.holds_confirms = hold
        if not hold:
            self.broker.confirm()
        self.react()

    # ---------------------------------------------------------------- time, crashes

    @rule(seconds=st.sampled_from([0.01, 1.0, 35.0]))
    def pass_time(self, seconds: float) -> None:
        settle()
        if self.engine.those("scrubbing", "busy"):
            self.spoiled_at = self.world.clock.now() + seconds  # it may take too long
        self.world.clock.advance(seconds)
        self.react()

    @rule(name=st.sampled_from(CRASHING))
    def crash(self, name: str) -> None:
        settle()
        if self.engine.those("scrubbing", "busy"):
            self.spoiled_at = self.world.clock.now() + CRASH_S
        self.world.clock.advance(CRASH_S)
        known = name if name == "scheduler" else f"languages/{name}"
        self.world.directory.tell(f"{ROOT}/{known}", object())
        self.react()

    @precondition(lambda self: len(self.engine.jobs) == RUNNING_MAX)
    @rule(language=languages)
    def crash_when_all_slots_are_taken(self, language: str) -> None:
        """A new scheduler hears of an idle container before it hears of a busy one."""
        self.post(language, "a")
        for box in self.engine.those("starting", "scrubbing"):
            self.engine.be_clean(box)
        self.crash("scheduler")

    @precondition(lambda self: len(self.engine.jobs) == RUNNING_MAX)
    @rule(language=languages)
    def come_when_all_slots_are_taken(self, language: str) -> None:
        for box in self.engine.those("starting", "scrubbing"):
            self.engine.be_clean(box)
        self.post(language, "b")
        self.react()

    @rule(count=st.integers(2, 4))
    def at_once(self, count: int) -> None:
        self.unsettled = count

    # ---------------------------------------------------------------- invariants

    def expect(self, actual: object, expected: object, words: str) -> None:
        if actual != expected:
            self.broken = True
            raise AssertionError(f"{words}: {actual!r} instead of {expected!r}")

    @invariant()
    def all_is_well(self) -> None:
        if self.unsettled > 0 or not hasattr(self, "root"):
            return
        self.expect(self.engine.faults + self.broker.faults, [], "faults")
        running = len(self.engine.jobs)
        within = running <= RUNNING_MAX + GUESTS_MAX
        self.expect(within, True, f"{running} within the budget")
        whose = {self.client_of(job_id) for job_id in self.engine.jobs.values()}
        alone = running - RUNNING_MAX < max(len(whose), 1)
        self.expect(alone, True, f"each guest of {running} has nothing else running")
        for job_id, begun in self.engine.begun.items():
            most = ATTEMPTS_MAX * self.broker.messages[job_id].delivered
            self.expect(min(begun, most), begun, f"begins of {job_id}")
        twice = [one for one, times in self.broker.ends.items() if times > 1]
        self.expect(twice, [], "attempts that ended twice")
        for language in NAMES:
            self.check_queue(language)
            self.check_pool(language)
            wrong = [*misreckoned(self.world.directory, language)]
            self.expect(wrong, [], f"what the scheduler has of {language}")

    def check_queue(self, language: str) -> None:
        waiting = [
            message.job.id
            for message in self.broker.of(language)
            if message.lease is not None and self.is_waiting(message)
        ]
        self.expect(LIVE.queues[language].waiting, len(waiting), f"depth of {language}")
        able = [job_id for job_id in waiting if self.may_run(language, job_id)]
        self.expect(able, [], "jobs left lying")

    def client_of(self, job_id: str) -> str:
        return self.broker.messages[job_id].job.client

    def may_run(self, language: str, job_id: str) -> bool:
        """Tell whether there is a slot and a container for the job."""
        client = self.client_of(job_id)
        running = [self.client_of(one) for one in self.engine.jobs.values()]
        most = RUNNING_MAX + (0 if client in running else GUESTS_MAX)
        # Who has spoiled one lately, or runs others, may have to leave the last one.
        spoils = self.world.clock.now() - self.spoiled_at <= SPOILS_S
        idle = self.engine.idle_for(language, client)
        leaves = spoils or client in running
        return len(running) < most and idle > leaves

    def is_waiting(self, message: Message) -> bool:
        """Tell whether a job that is leased here is neither running nor ended."""
        return not (self.engine.boxes_with(message.job.id) or message.ends_here)

    def boxes(self, language: str, *states: str) -> list[str]:
        return [
            name
            for name, fact in LIVE.containers.items()
            if fact.language == language and (not states or fact.state in states)
        ]

    def check_pool(self, language: str) -> None:
        status = self.world.ask(f"{LANGUAGES}{language}/pool", DescribePool())
        prefix = f"{LANGUAGES}{language}/pool/"
        names = self.world.directory.names(prefix)
        ready = self.boxes(language, "idle", "busy", "scrubbing")
        starting = self.boxes(language, "starting")
        self.expect(status.ready, len(ready), f"idle and busy of {language}")
        self.expect(status.starting, len(starting), f"starting of {language}")
        self.expect(len(names), len(ready) + len(starting), f"pool of {language}")
        inside = len(self.engine.those("idle", "busy", "scrubbing"))
        here = sum(len(self.boxes(one, "idle", "busy", "scrubbing")) for one in NAMES)
        self.expect(inside, here, "containers as they are inside")

    # ----------------------------------------------------------------------- end

    def teardown(self) -> None:
        """Leave the worker in peace: then every job comes to its one end."""
        try:
            if not self.broken and hasattr(self, "root"):
                self.unsettled = 0
                settle()
                self.all_is_well()
                self.come_to_rest()
                self.check_ends()
        finally:
            self.stop()

    def come_to_rest(self) -> None:
        self.hold_confirms(hold=False)
        for _ in range(ROUNDS_MAX):
            if not self.broker.unfinished():
                return
            for language in NAMES:
                self.broker.deliver(language)
            for box in self.engine.those("busy"):
                self.engine.end_job(box)
            settle()
            for box in self.engine.those("starting", "scrubbing"):
                self.engine.be_clean(box)
            settle()
            self.world.clock.advance(1)
        left = [message.job.id for message in self.broker.unfinished()]
        self.expect(left, [], "jobs that never ended")

    def check_ends(self) -> None:
        for job_id, message in self.broker.messages.items():
            outcome = message.result().outcome
            if outcome is Outcome.SUCCESS:
                self.expect(message.output(), job_id.encode(), f"output of {job_id}")
            elif outcome is Outcome.CANCELLED:
                self.expect(message.cancelled, True, f"{job_id} was cancelled")
            else:
                self.expect(outcome, Outcome.INTERNAL_ERROR, f"end of {job_id}")
                begun = self.engine.begun.get(job_id, 0)
                self.expect(begun >= ATTEMPTS_MAX, True, f"{job_id} was given up")

    def stop(self) -> None:
        for ref in (getattr(self, "root", None), self.ear, self.world.parent.ref):
            if ref is not None:
                ref.stop(timeout=5)
        assert pykka.ActorRegistry.get_all() == []
