"""One container: its whole state machine, against a twin of the engine."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from actor_world import World, settle
from engine_twin import AttachedTwin, EngineTwin
from samples import (
    CONFIG,
    LIMITS,
    PYTHON,
    C,
    bodies,
    evidence,
    make_defaults,
    make_job,
    make_run,
)

from actors.container import (
    BEGIN_S,
    EXPECTED,
    FIRST_FLUSH_S,
    FLUSH_BYTES,
    FLUSH_S,
    PREFER_AFTER_S,
    PREFERRED_S,
    START_S,
    STARTED_S,
    Container,
)
from actors.cpu_weight import PREFERRED, YIELDING, CpuWeight
from actors.messages import (
    CancelJob,
    ContainerBusy,
    ContainerFailed,
    ContainerGone,
    ContainerIdle,
    ContainerReady,
    GuestDispatched,
    JobEvent,
    JobFinished,
    JobResult,
    JobReturned,
    MemorySet,
    Outcome,
    Output,
    ReportState,
    Retire,
    SendStdin,
    SlotFreed,
    SourceFile,
    Started,
    StreamEnded,
)
from images import wire
from images.catalog import Warm
from images.heap import Heap
from metrics import instruments
from metrics.instruments import REGISTRY
from metrics.live import LIVE, ContainerFact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actors.messages import Job
    from images.catalog import Language

NAME = "root/languages/python/pool/1"
CANCEL = CancelJob("j1", "python")


class Box:
    """A container between its queue, the scheduler, the broker and its pool."""

    def __init__(
        self, world: World, language: Language = PYTHON, **settings: Any
    ) -> None:
        self.world = world
        self.engine = EngineTwin(replace(CONFIG, **settings))
        self.defaults = make_defaults(language)
        self.language = language.name
        self.queue = world.probe("queue")
        self.scheduler = world.probe("scheduler")
        self.broker = world.probe("broker")
        self.pool = world.parent
        self._ends_seen = 0

    def start(self) -> Box:
        """Start the actor; its container does not say anything yet."""
        self.world.start(
            Container, NAME, self.defaults, self.engine, "queue", "scheduler", "broker"
        )
        return self

    def idle(self) -> Box:
        """Bring it to idle, with nothing told so far."""
        if not self.engine.started:
            self.start()
        self.twin.ready()
        self.forget()
        return self

    def busy(self, job: Job | None = None, attempt: int = 1) -> Box:
        """Bring it to busy with a job; `Started` waits for the first flush."""
        self.idle()
        self.tell(make_run(job, attempt))
        return self

    def scrubbing(self) -> Box:
        self.busy()
        self.twin.done()
        return self

    @property
    def twin(self) -> AttachedTwin:
        return self.engine.started[0]

    def tell(self, *messages: object) -> None:
        self.world.tell(NAME, *messages)

    def forget(self) -> None:
        for probe in (self.queue, self.scheduler, self.broker, self.pool):
            probe.take()
        self._ends_seen = 0
        self.twin.take()

    def is_alive(self) -> bool:
        return self.world.is_alive(NAME)

    def events(self) -> list[JobEvent]:
        """Return the events published since the last time, and those with an end."""
        published = self.broker.take()
        events = [event for message in published for event in message.events]
        return events + [event for end in self._new_ends() for event in end.rest]

    def _new_ends(self) -> list[JobFinished]:
        ends = self.queue.of(JobFinished)
        new, self._ends_seen = ends[self._ends_seen :], len(ends)
        return new

    def outputs(self) -> list[tuple[str, str, bytes]]:
        return [
            (body.phase, body.stream, body.data)
            for body in bodies(self.events())
            if isinstance(body, Output)
        ]

    def ends(self) -> list[JobResult]:
        return [message.result for message in self.queue.of(JobFinished)]

    def assert_destroyed(self, reason: str) -> None:
        """The actor has left, its container with it, and all who rely on it know."""
        assert not self.is_alive()
        assert self.engine.discarded == self.engine.started
        gone = ContainerGone(NAME, self.language, spoiled=reason not in EXPECTED)
        assert self.queue.of(ContainerGone) == [gone]
        assert self.scheduler.of(ContainerGone) == [gone]
        (notice,) = self.world.exits()
        assert not notice.crashed
        assert retirements(self.language, reason) == 1
        assert sum(gauges(self.language).values()) == 0

    def assert_crashed(self) -> None:
        assert not self.is_alive()
        assert self.engine.discarded == self.engine.started
        assert self.queue.of(ContainerGone) == [ContainerGone(NAME, self.language)]
        (notice,) = self.world.exits()
        assert notice.crashed
        assert sum(gauges(self.language).values()) == 0


def gauges(language: str = "python") -> dict[str, float]:
    return {
        state: REGISTRY.get_sample_value(
            "warmbox_containers", {"language": language, "state": state}
        )
        or 0
        for state in ("starting", "idle", "busy", "scrubbing")
    }


def retirements(language: str, reason: str) -> float:
    name = "warmbox_container_retirements_total"
    labels = {"language": language, "reason": reason}
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.fixture(autouse=True)
def _counted_from_zero() -> None:
    instruments.container_retirements_total.clear()
    instruments.containers.clear()


@pytest.fixture
def box(world: World) -> Box:
    return Box(world)


# ----------------------------------------------------------------------- starting


def test_a_container_is_idle_once_its_runner_is_ready(box: Box) -> None:
    box.start()
    assert box.scheduler.take() == []
    assert gauges()["starting"] == 1
    box.twin.ready()
    assert box.scheduler.take() == [ContainerIdle(NAME, "python")]
    assert box.pool.take() == [ContainerReady(NAME)]
    assert gauges() == {"starting": 0, "idle": 1, "busy": 0, "scrubbing": 0}


def test_an_engine_that_fails_is_the_pools_business(box: Box) -> None:
    box.engine.fault = "no such image"
    box.start()
    assert box.pool.of(ContainerFailed) == [ContainerFailed(NAME, "no such image")]
    box.assert_destroyed("failed")


def test_a_container_that_dies_while_starting_has_failed(box: Box) -> None:
    box.start()
    box.twin.die()
    assert box.pool.of(ContainerFailed) == [ContainerFailed(NAME, "stream ended")]
    box.assert_destroyed("failed")


def test_a_container_that_is_never_ready_has_failed(world: World, box: Box) -> None:
    box.start()
    world.clock.advance(START_S)
    assert box.pool.of(ContainerFailed) == [
        ContainerFailed(NAME, "not ready after 60 s")
    ]
    box.assert_destroyed("failed")


def test_a_ready_container_is_not_called_slow_later(world: World, box: Box) -> None:
    box.idle()
    world.clock.advance(START_S * 2)
    assert box.is_alive()


def test_a_container_that_is_dirty_from_the_start_has_failed(box: Box) -> None:
    box.start()
    box.twin.dirty("no cgroup")
    assert box.pool.of(ContainerFailed) == [ContainerFailed(NAME, "no cgroup")]
    box.assert_destroyed("failed")


def test_a_container_made_after_its_actors_end_does_not_leak(
    world: World, box: Box
) -> None:
    # Given an engine that takes its time, and an actor that ends meanwhile
    box.engine.gate.clear()
    box.start()
    world.stop(NAME)
    assert box.engine.started == []
    # When the container is there at last
    box.engine.gate.set()
    settle()
    # Then it is destroyed
    assert len(box.engine.started) == 1
    assert box.engine.discarded == box.engine.started


def test_a_job_for_a_starting_container_is_given_back(box: Box) -> None:
    box.start()
    box.tell(make_run())
    assert box.queue.take() == [JobReturned("j1", NAME)]
    assert box.is_alive()
    assert box.twin.take() == []


# ---------------------------------------------------------------- a job that ends well


def test_a_job_is_sent_to_the_runner(box: Box) -> None:
    box.busy()
    ((kind, payload),) = box.twin.take()
    assert kind == wire.JOB
    header, blobs = wire.unpack_job(payload)
    assert json.loads(header)["files"] == [["main.py", 7]]
    assert blobs == b"print()"
    assert gauges()["busy"] == 1
    box.world.clock.advance(STARTED_S)
    assert box.events() == [JobEvent("j1", 1, Started())]


def test_a_jobs_end_goes_to_its_queue_and_its_slot_is_free(box: Box) -> None:
    box.busy(attempt=2)
    box.twin.done()
    result = evidence()
    (finished,) = box.queue.take()
    assert (finished.job_id, finished.attempt) == ("j1", 2)
    assert finished.result.outcome is Outcome.SUCCESS
    assert finished.result.usage.queue_ms == 500
    assert finished.result.usage.wall_ms == result["wall_ms"]
    assert box.scheduler.take() == [SlotFreed(NAME)]
    assert gauges()["scrubbing"] == 1


def test_an_end_that_comes_along_with_ready_is_told_as_idleness(box: Box) -> None:
    box.busy()
    done, ready = evidence(), {"scrub_ms": 1.0}
    frames = [(wire.DONE, done), (wire.READY, ready)]
    box.twin.write(b"".join(wire.encode(k, json.dumps(p).encode()) for k, p in frames))
    assert [end.outcome for end in box.ends()] == [Outcome.SUCCESS]
    assert box.scheduler.take() == [ContainerIdle(NAME, "python")]


def test_a_clean_container_takes_the_next_job(box: Box) -> None:
    box.scrubbing()
    box.forget()
    box.twin.ready()
    assert box.scheduler.take() == [ContainerIdle(NAME, "python")]
    assert box.pool.take() == []
    box.tell(make_run(make_job("j2", client="bob")))
    assert box.twin.take_kinds() == [wire.JOB]


def test_what_it_does_is_known_from_its_start_to_its_end(
    world: World, box: Box
) -> None:
    box.start()
    fact = LIVE.containers[NAME]
    began = world.clock.now()
    assert (fact.language, fact.state, fact.since) == ("python", "starting", began)
    world.clock.advance(2)
    box.twin.ready()
    assert (fact.state, fact.since, fact.jobs) == ("idle", began + 2, 0)
    box.tell(make_run())
    assert fact.state == "busy"
    box.twin.done()
    assert (fact.state, fact.jobs) == ("scrubbing", 0)
    box.twin.ready()
    assert (fact.state, fact.jobs) == ("idle", 1)
    LIVE.happenings.clear()
    box.twin.die()
    assert NAME not in LIVE.containers
    assert [(one.name, one.reason) for one in LIVE.happenings] == [(NAME, "died")]


def test_a_planned_end_is_no_news(box: Box) -> None:
    box.idle()
    LIVE.happenings.clear()
    box.tell(Retire("surplus"))
    assert not LIVE.happenings


def test_one_that_ends_late_leaves_what_is_said_of_its_successor(box: Box) -> None:
    box.idle()
    successor = LIVE.containers[NAME] = ContainerFact("python", 0)
    box.world.stop(NAME)
    assert LIVE.containers.pop(NAME) is successor


def test_the_scrub_is_measured(world: World, box: Box) -> None:
    def total() -> float:
        return REGISTRY.get_sample_value("warmbox_scrub_seconds_sum") or 0

    before = total()
    box.scrubbing()
    world.clock.advance(2)
    box.twin.ready()
    assert total() - before == pytest.approx(2)


def test_a_scrub_that_is_told_with_the_end_took_what_the_runner_says(
    world: World, box: Box
) -> None:
    def total() -> float:
        return REGISTRY.get_sample_value("warmbox_scrub_seconds_sum") or 0

    before = total()
    box.busy()
    ended_at = world.clock.now() + 1
    world.clock.advance(3)
    box.twin.put(wire.DONE, evidence())
    box.twin.say(wire.READY, {"scrub_ms": 1500.0, "ended_at": ended_at})
    assert total() - before == pytest.approx(2)


def test_a_job_is_told_whether_others_wait(box: Box) -> None:
    box.idle()
    for others_wait in (True, False):
        box.tell(replace(make_run(), others_wait=others_wait))
        ((kind, payload),) = box.twin.take()
        assert kind == wire.JOB
        assert json.loads(wire.unpack_job(payload)[0])["others_wait"] is others_wait
        box.twin.done()
        box.twin.ready()


def test_a_job_for_a_container_that_is_not_idle_is_given_back(box: Box) -> None:
    box.busy()
    box.tell(make_run(make_job("j2")))
    assert box.queue.take() == [JobReturned("j2", NAME)]
    box.twin.done()
    box.queue.take()
    box.tell(make_run(make_job("j3")))
    assert box.queue.take() == [JobReturned("j3", NAME)]
    assert box.is_alive()


# ------------------------------------------------------------------------- output


def test_output_is_shown_as_it_comes(box: Box) -> None:
    box.busy()
    box.events()
    box.twin.say(wire.STDOUT, b"hello\n")
    assert box.outputs() == []
    box.world.clock.advance(FIRST_FLUSH_S)
    assert box.outputs() == [("run", "stdout", b"hello\n")]


def test_output_close_on_the_first_is_shown_together(world: World, box: Box) -> None:
    box.busy()
    box.twin.say(wire.STDOUT, b"1")
    world.clock.advance(FIRST_FLUSH_S)
    box.events()
    for data in (b"2", b"3"):
        box.twin.say(wire.STDOUT, data)
    assert box.outputs() == []
    world.clock.advance(FLUSH_S)
    assert box.outputs() == [("run", "stdout", b"23")]
    world.clock.advance(FLUSH_S * 2)
    box.twin.say(wire.STDERR, b"4")
    world.clock.advance(FIRST_FLUSH_S)
    assert box.outputs() == [("run", "stderr", b"4")]


def test_much_output_does_not_wait(box: Box) -> None:
    box.busy()
    box.twin.say(wire.STDOUT, b"1")
    assert box.outputs() == []
    box.twin.say(wire.STDOUT, b"x" * FLUSH_BYTES)
    assert box.outputs() == [("run", "stdout", b"1" + b"x" * FLUSH_BYTES)]


def test_frames_that_come_together_are_one_event(box: Box) -> None:
    box.busy()
    box.events()
    frames = [wire.encode(wire.STDOUT, bytes([n])) for n in b"abc"]
    box.twin.write(b"".join(frames))
    box.world.clock.advance(FIRST_FLUSH_S)
    assert box.outputs() == [("run", "stdout", b"abc")]


def test_frames_may_come_byte_by_byte(box: Box) -> None:
    box.busy()
    box.events()
    for byte in wire.encode(wire.STDOUT, b"abc"):
        box.twin.write(bytes([byte]))
    box.world.clock.advance(FIRST_FLUSH_S)
    assert box.outputs() == [("run", "stdout", b"abc")]


def test_no_event_ends_within_a_character(world: World, box: Box) -> None:
    box.busy()
    box.events()
    box.twin.say(wire.STDOUT, b"a\xe2\x82")
    world.clock.advance(FIRST_FLUSH_S)
    assert box.outputs() == [("run", "stdout", b"a")]
    box.twin.say(wire.STDOUT, b"\xac")
    world.clock.advance(FLUSH_S)
    assert box.outputs() == [("run", "stdout", "€".encode())]


def test_what_is_held_back_is_shown_before_the_end(box: Box) -> None:
    box.busy()
    box.twin.say(wire.STDOUT, b"1")
    box.world.clock.advance(FIRST_FLUSH_S)
    box.events()
    box.twin.say(wire.STDOUT, b"2\xe2")
    box.twin.done()
    assert box.outputs() == [("run", "stdout", b"2\xe2")]
    assert len(box.ends()) == 1


def test_a_late_flush_after_the_end_shows_nothing(world: World, box: Box) -> None:
    box.busy()
    box.twin.say(wire.STDOUT, b"1")
    box.twin.say(wire.STDOUT, b"2")
    box.twin.done()
    box.events()
    world.clock.advance(1)
    assert box.events() == []


def test_the_compilers_output_is_told_apart(world: World) -> None:
    box = Box(world, C).busy()
    box.events()
    box.twin.say(wire.PHASE, {"phase": "compile"})
    box.twin.say(wire.STDERR, b"warning\xc3")
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.twin.say(wire.STDOUT, b"hi")
    box.twin.done(compile=evidence(exit_code=0))
    assert box.outputs() == [
        ("compile", "stderr", b"warning\xc3"),
        ("run", "stdout", b"hi"),
    ]


def test_a_restarted_broker_gets_the_output_all_the_same(
    world: World, box: Box
) -> None:
    # Given a broker that is just being restarted
    box.busy()
    box.events()
    world.directory.strike("broker", box.broker.ref)
    box.twin.say(wire.STDOUT, b"1")
    world.clock.advance(FLUSH_S / 2)
    box.twin.say(wire.STDOUT, b"2")
    # When it is back
    box.broker = world.probe("broker")
    world.clock.advance(1)
    # Then it has all, in order
    assert b"".join(data for _, _, data in box.outputs()) == b"12"


def test_an_end_takes_along_what_was_not_published(world: World, box: Box) -> None:
    # Given output that found no broker
    box.busy()
    world.directory.strike("broker", box.broker.ref)
    box.twin.say(wire.STDOUT, b"1")
    world.clock.advance(FLUSH_S)
    # When the job ends
    box.twin.say(wire.STDOUT, b"2")
    box.twin.done()
    # Then its queue has all of it, in order, to publish with the end
    (end,) = box.queue.of(JobFinished)
    assert end.result.outcome is Outcome.SUCCESS
    assert bodies(list(end.rest)) == [
        Started(),
        Output("run", "stdout", b"1"),
        Output("run", "stdout", b"2"),
    ]
    # And nothing of it is published once more
    box.broker = world.probe("broker")
    world.clock.advance(1)
    assert box.broker.take() == []
    box.twin.ready()
    assert box.scheduler.of(ContainerIdle) == [ContainerIdle(NAME, "python")]


def test_what_the_stream_does_not_take_at_once_follows_in_order(box: Box) -> None:
    # Given a stream that takes three bytes at once, then waits
    box.idle()
    box.twin.taken_at_once = 3
    # When a job is sent, and more behind it
    job = make_job(stdin_open=True)
    box.tell(make_run(job), SendStdin("j1", "python", b"abc", end=True))
    # Then each frame arrives whole, in order
    assert box.twin.take_kinds() == [wire.JOB, wire.STDIN, wire.STDIN_END]


# ----------------------------------------------------------------- stdin and cancel


def test_stdin_and_cancel_go_to_the_runner(box: Box) -> None:
    box.busy()
    box.twin.take()
    box.tell(SendStdin("j1", "python", b"a", end=False))
    box.tell(SendStdin("j1", "python", b"b", end=True))
    box.tell(SendStdin("j1", "python", b"", end=True), CANCEL)
    assert box.twin.take() == [
        (wire.STDIN, b"a"),
        (wire.STDIN, b"b"),
        (wire.STDIN_END, b""),
        (wire.STDIN_END, b""),
        (wire.CANCEL, b""),
    ]


def test_a_cancelled_job_ends_as_the_runner_says(box: Box) -> None:
    box.busy()
    box.tell(CANCEL)
    assert box.ends() == []
    box.twin.done(exit_code=None, signal=9, stopped="cancelled")
    assert [end.outcome for end in box.ends()] == [Outcome.CANCELLED]


@pytest.mark.parametrize("state", ["idle", "scrubbing"])
def test_stdin_and_cancel_of_a_job_that_has_ended_are_dropped(
    box: Box, state: str
) -> None:
    getattr(box, state)()
    box.twin.take()
    box.tell(SendStdin("j1", "python", b"a", end=True), CANCEL)
    assert box.twin.take() == []


def test_stdin_and_cancel_of_another_job_are_dropped(box: Box) -> None:
    box.busy()
    box.twin.take()
    box.tell(SendStdin("j0", "python", b"a", end=True), CancelJob("j0", "python"))
    assert box.twin.take() == []


# ------------------------------------------------------------------------- memory


def limited(memory_mb: int, job_id: str = "j1") -> Job:
    return make_job(job_id, limits=replace(LIMITS, memory_mb=memory_mb))


def test_a_job_with_a_memory_limit_of_its_own_waits_until_that_is_set(
    box: Box,
) -> None:
    box.idle()
    box.engine.gate.clear()
    box.tell(make_run(limited(64)))
    assert box.twin.take() == []
    box.engine.gate.set()
    assert box.twin.take_kinds() == [wire.JOB]
    assert box.engine.memory_mb == [64]


def test_the_limit_is_set_only_where_it_changes(box: Box) -> None:
    for number, memory_mb in enumerate((256, 64, 64, 256)):
        box.busy(limited(memory_mb, f"j{number}"))
        box.twin.done()
    assert box.engine.memory_mb == [64, 256]


HEAP = Heap(56, 0.5, exit_code=1, report="^heap full$")


def test_what_waits_takes_no_job_of_another_memory_whatever_the_last_one_had(
    world: World,
) -> None:
    warm = Warm("exec", ("cc", "-Xmx{heap_mb}m"), "compile")
    box = Box(world, replace(C, warm=warm, heap=HEAP))
    found = []
    # The second job's program has less, which its compiler does not mind.
    for number, memory_mb in enumerate((256, 64, 256, 64, 64)):
        job = make_job(
            f"j{number}",
            language="c",
            files=(SourceFile("main.c", b""),),
            limits=replace(LIMITS, memory_mb=memory_mb),
        )
        box.idle().tell(make_run(job))
        ((_, payload),) = box.twin.take()
        found.append(json.loads(wire.unpack_job(payload)[0])["warm"])
        box.twin.say(wire.PHASE, {"phase": "compile"})
        if memory_mb == 64:
            box.twin.say(wire.NEXT)
            assert box.twin.take_kinds() == [wire.GO]
        box.twin.done()
    assert found == [True] * 5


def compiled(**limits: Any) -> Job:
    files = (SourceFile("main.c", b""),)
    return make_job(language="c", files=files, limits=replace(LIMITS, **limits))


def asks(box: Box) -> bool:
    """Tell whether the runner, which has just got a job, is to ask for memory."""
    ((_, payload),) = box.twin.take()
    return json.loads(wire.unpack_job(payload)[0])["steps"][-1]["asks"] is True


def test_a_program_has_its_memory_when_its_compiler_has_had_its_own(
    world: World,
) -> None:
    box = Box(world, C).busy(compiled(memory_mb=16))
    assert asks(box)
    box.twin.say(wire.PHASE, {"phase": "compile"})
    assert box.engine.memory_mb == []
    box.twin.say(wire.NEXT)
    assert box.twin.take_kinds() == [wire.GO]
    assert box.engine.memory_mb == [16]


def test_what_a_compiler_has_the_kernel_keep_is_not_its_programs(world: World) -> None:
    box = Box(world, C)
    box.start()
    box.twin.say(wire.READY, said(6000))
    for told, counted in ((9000, 9000), (-1, None)):
        box.tell(make_run(compiled(memory_mb=16)))
        box.twin.say(wire.PHASE, {"phase": "compile"})
        box.twin.say(wire.NEXT, {"own_kb": told})
        assert box.engine.own_kb[-1] == counted
        box.twin.done()
        box.twin.say(wire.READY, said(6000))
    # And the next job has the usual beside what there is then.
    assert box.engine.held_back == [(6000, 256)] * 3


def test_where_only_docker_sets_the_limit_it_has_room_for_all(world: World) -> None:
    box = Box(world, C)
    box.engine.is_root = False
    box.start()
    box.twin.say(wire.READY, said(6000))
    box.tell(make_run(compiled(memory_mb=16)))
    box.twin.say(wire.PHASE, {"phase": "compile"})
    box.twin.say(wire.NEXT, {"own_kb": 9000})
    assert box.engine.own_kb == [None]


def test_nobody_asks_where_compiler_and_program_have_the_same(world: World) -> None:
    box = Box(world, C).busy(compiled())
    assert not asks(box)
    box.twin.say(wire.PHASE, {"phase": "compile"})
    box.twin.say(wire.NEXT)  # it has no business to
    assert not box.is_alive()


@pytest.mark.parametrize(("memory_mb", "most_mb"), [(16, 256), (512, 512)])
def test_what_a_guest_may_use_in_any_step_is_told(
    world: World, memory_mb: int, most_mb: int
) -> None:
    box = Box(world, C).idle()
    job = compiled(memory_mb=memory_mb)
    box.tell(replace(make_run(job), is_guest=True))
    assert box.scheduler.take() == [GuestDispatched(NAME, most_mb)]
    # And a new scheduler hears the same
    box.tell(ReportState())
    assert box.scheduler.take() == [ContainerBusy(NAME, "c", "ann", most_mb)]


def test_where_memory_cannot_change_both_steps_have_the_most(world: World) -> None:
    box = Box(world, C, runtime="runsc").busy(compiled(memory_mb=512))
    assert box.engine.memory_mb == [512]
    assert not asks(box)


def test_a_program_for_which_there_is_too_much_in_it_is_out_of_memory(
    world: World,
) -> None:
    box = Box(world, C).busy(compiled(memory_mb=16))
    box.twin.say(wire.PHASE, {"phase": "compile"})
    box.engine.memory_fault = "device or resource busy"
    box.twin.say(wire.NEXT)
    (end,) = box.ends()
    assert end.outcome is Outcome.OUT_OF_MEMORY
    assert end.message == "Ended at the limit of 16 MB of memory."
    assert not box.is_alive()


def test_with_docker_away_a_program_that_waits_for_its_memory_runs_elsewhere(
    world: World,
) -> None:
    """And nobody says of its client that it has spoiled a container."""
    box = Box(world, C).busy(compiled(memory_mb=16))
    box.twin.say(wire.PHASE, {"phase": "compile"})
    box.engine.fault = "daemon away"
    box.twin.say(wire.NEXT)
    assert box.ends() == []
    box.assert_destroyed("failed")


def said(own_kb: object) -> dict[str, object]:
    return {"scrub_ms": 1.0, "own_kb": own_kb}


def test_a_program_has_its_memory_beside_what_the_container_takes(box: Box) -> None:
    box.start()
    box.twin.say(wire.READY, said(6000))
    assert box.engine.held_back == [(6000, 256)]
    # What has changed by little is not reckoned anew, and what by much is
    for own_kb in (6100, 7000):
        box.tell(make_run())
        box.twin.done()
        box.twin.say(wire.READY, said(own_kb))
    assert box.engine.held_back == [(6000, 256), (7000, 256)]
    assert box.engine.memory_mb == []


def test_the_usual_memory_is_there_again_before_the_next_job(box: Box) -> None:
    box.start()
    box.twin.say(wire.READY, said(6000))
    box.tell(make_run(limited(16)))
    box.twin.done()
    box.twin.say(wire.READY, said(6000))
    assert box.engine.held_back == [(6000, 256), (6000, 256)]
    box.tell(make_run(limited(256, "j2")))
    assert box.engine.memory_mb == [16]


@pytest.mark.parametrize("own_kb", [None, -1, "6000", True])
def test_a_runner_that_does_not_say_what_it_takes_is_left_as_it_is(
    box: Box, own_kb: object
) -> None:
    box.start()
    box.twin.say(wire.READY, said(own_kb))
    assert box.engine.held_back == []
    assert box.is_alive()


def test_a_heap_that_was_full_is_the_runtimes_own_word(world: World) -> None:
    box = Box(world, replace(PYTHON, heap=HEAP)).busy()
    box.twin.say(wire.STDERR, b"...\nheap ")
    box.twin.say(wire.STDERR, b"full\n at f\n")
    box.twin.done(exit_code=1)
    (end,) = box.ends()
    assert (end.outcome, end.exit_code) == (Outcome.OUT_OF_MEMORY, 1)
    assert "limit of 256 MB of memory: the runtime's heap of 128 MB" in end.message
    assert gauges()["scrubbing"] == 1, "the container is none the worse for it"


def test_what_a_compiler_says_is_no_word_of_the_programs(world: World) -> None:
    box = Box(world, replace(C, heap=HEAP)).busy()
    box.twin.say(wire.PHASE, {"phase": "compile"})
    box.twin.say(wire.STDERR, b"heap full\n")
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.twin.done(exit_code=1, compile=evidence())
    assert [end.outcome for end in box.ends()] == [Outcome.FAILURE]


def test_what_is_said_meanwhile_follows_the_job(box: Box) -> None:
    # Given a job that waits for its memory limit
    box.idle()
    box.engine.gate.clear()
    box.tell(make_run(limited(64)))
    # When stdin and a cancel come
    box.tell(SendStdin("j1", "python", b"a", end=True), CANCEL)
    box.engine.gate.set()
    # Then the runner, which drops what belongs to no job, has the job first
    assert box.twin.take_kinds() == [
        wire.JOB,
        wire.STDIN,
        wire.STDIN_END,
        wire.CANCEL,
    ]


def test_what_was_said_to_one_job_is_not_said_to_the_next(box: Box) -> None:
    box.idle()
    box.engine.gate.clear()
    box.tell(make_run(limited(64)), CANCEL)
    box.engine.gate.set()
    assert box.twin.take_kinds() == [wire.JOB, wire.CANCEL]
    box.twin.done(stopped="cancelled")
    box.busy(make_job("j2"))
    assert box.twin.take_kinds() == [wire.JOB]


def test_where_a_limit_cannot_be_changed_the_container_is_made_anew_for_the_job(
    box: Box,
) -> None:
    # Given a runtime that can't change the memory of what runs, as gVisor
    box.idle()
    box.engine.memory_fault = "not supported"
    box.tell(make_run(limited(64)), SendStdin("j1", "python", b"a", end=True))
    # Then the old one is gone, and the job waits for one with its memory
    assert box.engine.discarded == box.engine.started[:1]
    assert box.engine.made_mb == [256, 64]
    assert box.is_alive()
    twin = box.engine.started[1]
    twin.ready()
    assert twin.take_kinds() == [wire.JOB, wire.STDIN, wire.STDIN_END]
    twin.say(wire.PHASE, {"phase": "run"})
    twin.done()
    assert [end.outcome for end in box.ends()] == [Outcome.SUCCESS]
    # And neither the pool nor the scheduler has noticed anything
    assert box.pool.of(ContainerFailed) == []
    assert box.scheduler.of(ContainerGone) == []
    twin.ready()
    box.forget()
    # And the next job with as much runs there
    box.tell(make_run(limited(64, "j2")))
    assert twin.take_kinds() == [wire.JOB]


@pytest.mark.parametrize(
    "fail",
    [
        lambda box: box.engine.started[1].die(),
        lambda box: box.engine.started[1].dirty(),
        lambda box: box.world.clock.advance(START_S),
    ],
    ids=["it dies", "it is dirty", "it says nothing"],
)
def test_a_job_whose_memory_lets_no_container_start_ends_and_hurts_nobody(
    box: Box, fail: Callable[[Box], None]
) -> None:
    box.idle()
    box.engine.memory_fault = "not supported"
    box.tell(make_run(limited(16)))
    fail(box)
    (end,) = box.ends()
    assert end.outcome is Outcome.OUT_OF_MEMORY
    assert end.message == "no sandbox with a memory limit of 16 MB could be started"
    assert box.pool.of(ContainerFailed) == []
    assert box.events() == []
    box.assert_destroyed("memory")


def test_a_container_that_is_dirty_and_dies_at_once_has_failed_once(box: Box) -> None:
    """Its death is told before the actor has ended for its verdict."""
    box.idle()
    box.engine.memory_fault = "not supported"
    box.tell(make_run(limited(16)))
    box.engine.started[1].put(wire.DIRTY, {"reason": "oom", "out_of_memory": True})
    box.engine.started[1].die()
    assert [end.outcome for end in box.ends()] == [Outcome.OUT_OF_MEMORY]
    assert box.pool.of(ContainerFailed) == []
    box.assert_destroyed("memory")


def test_a_job_whose_memory_docker_refuses_ends_and_hurts_nobody(box: Box) -> None:
    box.idle()
    box.engine.gate.clear()
    box.tell(make_run(limited(16)))
    box.engine.refusal = "too little"
    box.engine.gate.set()
    assert [end.outcome for end in box.ends()] == [Outcome.OUT_OF_MEMORY]
    assert box.pool.of(ContainerFailed) == []
    box.assert_destroyed("memory")


def test_with_docker_away_a_job_that_waits_for_its_limit_is_given_back(
    box: Box,
) -> None:
    """The pool notices by itself, when it starts another."""
    box.idle()
    box.engine.fault = "daemon away"
    box.tell(make_run(limited(64)))
    assert box.queue.of(JobReturned) == [JobReturned("j1", NAME)]
    assert box.pool.of(ContainerFailed) == []
    assert box.ends() == []
    box.assert_destroyed("failed")


def test_a_container_may_end_while_its_limit_is_being_set(box: Box) -> None:
    box.idle()
    box.engine.gate.clear()
    box.tell(make_run(limited(64)))
    box.twin.die()
    box.engine.gate.set()
    box.assert_destroyed("died")


def test_a_job_that_was_not_begun_has_no_end_by_the_time_of_the_one_before(
    world: World, box: Box
) -> None:
    # Given a container in which a job has run, long ago
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.twin.done()
    world.clock.advance(LIMITS.wall_time_s)
    box.idle()
    # When it dies while the limit for the next one is being set
    box.engine.gate.clear()
    box.tell(make_run(limited(64, "j2")))
    box.twin.die()
    box.engine.gate.set()
    # Then that one runs elsewhere
    assert box.ends() == []
    box.assert_destroyed("died")


def test_the_end_of_a_container_is_not_that_of_the_one_made_after_it(box: Box) -> None:
    """A limit can't be set because the container has died, which is told after that."""
    box.idle()
    box.engine.memory_fault = "no such container"
    box.tell(make_run(limited(64)))
    box.tell(StreamEnded("stream ended", box.twin.id))
    assert box.ends() == []
    box.engine.started[1].ready()
    assert box.engine.started[1].take_kinds() == [wire.JOB]


# --------------------------------------------------------------------- time limits


def test_a_runner_that_does_not_stop_a_job_is_destroyed(world: World, box: Box) -> None:
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.twin.say(wire.STDOUT, b"1")
    deadline_s = LIMITS.wall_time_s + CONFIG.scrub_s + CONFIG.grace_s
    world.clock.advance(deadline_s - 0.1)
    assert box.is_alive()
    world.clock.advance(0.2)
    (end,) = box.ends()
    assert end.outcome is Outcome.TIMED_OUT
    assert "destroyed" in end.message
    assert box.scheduler.of(SlotFreed) == [SlotFreed(NAME)]
    box.assert_destroyed("deadline")
    assert box.engine.killed == box.engine.started


@pytest.mark.parametrize(
    ("fail", "charged"),
    [
        (lambda twin: twin.dirty(cpu_ms=70.5, memory_kb=9000), (70.5, 9000)),
        (lambda twin: twin.dirty(), (None, None)),
        (lambda twin: twin.die(), (None, None)),
    ],
    ids=["dirty", "dirty, by a runner of before", "dead"],
)
def test_a_job_whose_time_is_over_by_our_clock_is_not_run_again(
    world: World,
    box: Box,
    fail: Callable[[AttachedTwin], None],
    charged: tuple[float | None, int | None],
) -> None:
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    world.clock.advance(LIMITS.wall_time_s + 0.5)
    fail(box.twin)
    (end,) = box.ends()
    assert end.outcome is Outcome.TIMED_OUT
    assert end.usage.wall_ms == (LIMITS.wall_time_s + 0.5) * 1e3
    assert (end.usage.cpu_ms, end.usage.memory_kb) == charged
    assert not box.is_alive()


@pytest.mark.parametrize("figure", [-1, "1", [], float("nan"), True])
def test_a_bill_that_is_none_is_not_passed_on(
    world: World, box: Box, figure: object
) -> None:
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    world.clock.advance(LIMITS.wall_time_s + 0.5)
    box.twin.dirty(cpu_ms=figure)
    assert box.ends() == []
    box.assert_destroyed("protocol")


def test_a_job_that_took_all_memory_is_charged_what_is_known(box: Box) -> None:
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.twin.dirty("lost", out_of_memory=True, cpu_ms=3.5, memory_kb=50_000)
    (end,) = box.ends()
    assert (end.usage.cpu_ms, end.usage.memory_kb) == (3.5, 50_000)


def test_compiling_has_its_own_time(world: World) -> None:
    # Given a job that has been compiling almost as long as it may
    box = Box(world, C).busy()
    box.twin.say(wire.PHASE, {"phase": "compile"})
    world.clock.advance(10 + 5 + 3 - 0.1)
    assert box.is_alive()
    # When it begins to run, then it has the time of a run
    box.twin.say(wire.PHASE, {"phase": "run"})
    world.clock.advance(LIMITS.wall_time_s + 5 + 3 - 0.1)
    assert box.is_alive()
    world.clock.advance(0.2)
    box.assert_destroyed("deadline")


def test_a_job_that_is_never_begun_is_run_elsewhere(world: World, box: Box) -> None:
    box.busy()
    world.clock.advance(BEGIN_S - 0.1)
    assert box.is_alive()
    world.clock.advance(0.2)
    assert box.ends() == []
    box.assert_destroyed("deadline")


def test_a_scrub_that_takes_too_long_ends_the_container(world: World, box: Box) -> None:
    box.scrubbing()
    world.clock.advance(CONFIG.scrub_s + CONFIG.grace_s)
    assert [end.outcome for end in box.ends()] == [Outcome.SUCCESS]
    box.assert_destroyed("scrub")


def test_times_are_not_counted_on_after_the_end(world: World, box: Box) -> None:
    box.scrubbing()
    box.twin.ready()
    world.clock.advance(1000)
    assert box.is_alive()
    assert world.clock.pending() == []


# ---------------------------------------------------------------- dirty containers


def test_an_idle_container_that_says_it_is_dirty_ends(box: Box) -> None:
    box.idle()
    box.twin.dirty()
    assert box.ends() == []
    box.assert_destroyed("dirty")


def test_a_job_in_a_dirty_container_has_no_end_of_its_own(box: Box) -> None:
    box.busy()
    box.twin.dirty()
    assert box.ends() == []
    box.assert_destroyed("dirty")


def test_a_job_that_was_killed_for_memory_has_its_outcome(box: Box) -> None:
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.twin.say(wire.STDOUT, b"1")
    box.twin.dirty("lost", out_of_memory=True)
    assert [end.outcome for end in box.ends()] == [Outcome.OUT_OF_MEMORY]
    assert box.outputs() == [("run", "stdout", b"1")]
    assert box.scheduler.of(SlotFreed) == [SlotFreed(NAME)]
    box.assert_destroyed("oom")


def test_what_waited_for_a_job_was_not_killed_for_its_memory(box: Box) -> None:
    # The runner finds out only when it hands the job over
    box.busy()
    box.twin.dirty("a child took no message", out_of_memory=True)
    assert box.ends() == []
    box.assert_destroyed("dirty")


def test_a_failed_scrub_leaves_the_jobs_end_as_it_is(box: Box) -> None:
    box.scrubbing()
    box.twin.dirty(out_of_memory=True)
    assert [end.outcome for end in box.ends()] == [Outcome.SUCCESS]
    box.assert_destroyed("dirty")


def test_a_container_that_is_dirty_after_an_oom_is_counted_so(box: Box) -> None:
    box.scrubbing()
    box.twin.dirty("oom")
    box.assert_destroyed("oom")


def test_a_container_that_its_job_starved_ends_the_job(box: Box) -> None:
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.engine.starved.append(box.twin)
    box.twin.die()
    (end,) = box.ends()
    assert end.outcome == Outcome.OUT_OF_MEMORY
    box.assert_destroyed("oom")


def test_a_container_that_dies_of_something_else_gives_its_job_back(box: Box) -> None:
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.twin.die()
    assert box.ends() == []
    box.assert_destroyed("died")


@pytest.mark.parametrize("state", ["idle", "busy", "scrubbing"])
def test_a_container_that_dies_is_gone(box: Box, state: str) -> None:
    getattr(box, state)()
    ends = len(box.ends())
    box.twin.die()
    assert len(box.ends()) == ends
    box.assert_destroyed("died")


# ----------------------------------------------------------------- protocol faults


@pytest.mark.parametrize("state", ["start", "idle", "busy", "scrubbing"])
@pytest.mark.parametrize(
    "data",
    [b"\0rubbish", wire.encode(wire.JOB), b"\x12\xff\xff\xff\xff"],
    ids=["rubbish", "the host's own kind", "oversized"],
)
def test_what_is_no_frame_ends_the_container(box: Box, state: str, data: bytes) -> None:
    getattr(box, state)()
    ends = len(box.ends())
    box.twin.write(data)
    assert len(box.ends()) == ends
    box.assert_destroyed("failed" if state == "start" else "protocol")


OUT_OF_PLACE = [
    ("start", wire.STDOUT),
    ("start", wire.PHASE),
    ("start", wire.DONE),
    ("idle", wire.READY),
    ("idle", wire.STDOUT),
    ("idle", wire.STDERR),
    ("idle", wire.PHASE),
    ("idle", wire.DONE),
    ("busy", wire.READY),
    ("scrubbing", wire.STDOUT),
    ("scrubbing", wire.PHASE),
    ("scrubbing", wire.DONE),
]


@pytest.mark.parametrize(("state", "kind"), OUT_OF_PLACE)
def test_a_frame_out_of_its_place_ends_the_container(
    box: Box, state: str, kind: int
) -> None:
    getattr(box, state)()
    ends = len(box.ends())
    box.twin.say(kind, evidence())
    assert len(box.ends()) == ends
    box.assert_destroyed("protocol")


@pytest.mark.parametrize("kind", [wire.PHASE, wire.DONE, wire.DIRTY])
@pytest.mark.parametrize("payload", [b"", b"{", b"{}", b"[]", b"\xff"])
def test_a_frame_that_says_nonsense_ends_the_container(
    box: Box, kind: int, payload: bytes
) -> None:
    box.busy()
    box.twin.say(kind, payload)
    assert box.ends() == []
    box.assert_destroyed("protocol")


def test_a_runner_that_sends_more_output_than_allowed_is_not_believed(box: Box) -> None:
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    for _ in range(LIMITS.output_kb // 256):
        box.twin.say(wire.STDOUT, b"x" * 256 * 1024)
    assert box.is_alive()
    box.twin.say(wire.STDERR, b"x")
    assert box.ends() == []
    box.assert_destroyed("protocol")


def test_each_step_may_write_as_much(world: World) -> None:
    box = Box(world, C).busy()
    for phase in ("compile", "run"):
        box.twin.say(wire.PHASE, {"phase": phase})
        for _ in range(LIMITS.output_kb // 256):
            box.twin.say(wire.STDOUT, b"x" * 256 * 1024)
    assert box.is_alive()


def test_a_step_more_than_the_job_has_ends_the_container(box: Box) -> None:
    # Each would begin with all of the time and all of the output again
    box.busy()
    box.twin.say(wire.PHASE, {"phase": "run"})
    assert box.is_alive()
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.assert_destroyed("protocol")


def test_what_follows_a_fault_in_the_same_breath_is_not_believed(box: Box) -> None:
    box.idle()
    done = json.dumps(evidence()).encode()
    box.twin.write(wire.encode(wire.DONE, done) + wire.encode(wire.READY, b"{}"))
    assert box.scheduler.of(ContainerIdle) == []
    box.assert_destroyed("protocol")


# ----------------------------------------------------------------- when it has to go


def test_after_so_many_jobs_it_is_replaced(world: World) -> None:
    box = Box(world, jobs_max=2)
    box.scrubbing()
    box.scrubbing()
    assert box.is_alive()
    box.twin.ready()
    assert box.scheduler.of(ContainerIdle) == []
    box.assert_destroyed("jobs")


def test_an_old_one_is_replaced_after_its_job(world: World) -> None:
    box = Box(world, age_s_max=100)
    box.idle()
    world.clock.advance(200)
    assert box.is_alive()
    box.tell(make_run())
    box.twin.done()
    box.twin.ready()
    box.assert_destroyed("age")


def test_without_reuse_it_is_replaced_after_one_job(world: World) -> None:
    box = Box(world, reuse="never").scrubbing()
    box.twin.ready()
    box.assert_destroyed("reuse")


def test_without_reuse_it_is_still_good_for_its_first(world: World) -> None:
    box = Box(world, reuse="never").idle()
    assert box.is_alive()


def test_reuse_by_the_tenant_only(world: World) -> None:
    box = Box(world, reuse="tenant").scrubbing()
    box.twin.ready()
    box.forget()
    # The same client's next job is taken
    box.tell(make_run(make_job("j2")))
    assert box.twin.take_kinds() == [wire.JOB]
    box.twin.done()
    box.twin.ready()
    box.forget()
    # Another's is given back, and the container ends
    box.tell(make_run(make_job("j3", client="bob")))
    assert box.twin.take() == []
    assert box.queue.of(JobReturned) == [JobReturned("j3", NAME)]
    box.assert_destroyed("tenant")


def test_an_idle_one_that_is_not_needed_ends(box: Box) -> None:
    box.idle()
    box.tell(Retire("surplus"))
    box.assert_destroyed("surplus")


@pytest.mark.parametrize("state", ["start", "busy", "scrubbing"])
def test_one_that_has_something_to_do_does_not_retire(box: Box, state: str) -> None:
    getattr(box, state)()
    box.tell(Retire("surplus"))
    assert box.is_alive()


# ------------------------------------------------------------------- answers, exits


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("start", [SlotFreed(NAME)]),
        ("idle", [ContainerIdle(NAME, "python")]),
        ("busy", [ContainerBusy(NAME, "python", "ann", 256)]),
        ("scrubbing", [SlotFreed(NAME)]),
    ],
)
def test_a_new_scheduler_is_told_how_it_stands(
    box: Box, state: str, answer: list[object]
) -> None:
    getattr(box, state)()
    box.scheduler.take()
    box.tell(ReportState())
    assert box.scheduler.take() == answer


@pytest.fixture
def weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file where the kernel has the CPU weight of the container."""
    file = tmp_path / "docker" / "container0" / "cpu.weight"
    file.parent.mkdir(parents=True)
    file.write_text("100")
    monkeypatch.setattr("actors.container.CpuWeight", partial(CpuWeight, root=tmp_path))
    return file


def now(weight: Path) -> int:
    """Return the weight; the kernel's file is never longer than its number."""
    return int(weight.read_text().splitlines()[0])


def test_a_scrub_that_waits_goes_before_programs(weight: Path, box: Box) -> None:
    box.busy()
    assert now(weight) == 100
    box.twin.done()
    assert now(weight) == 100
    box.world.clock.advance(PREFER_AFTER_S)
    assert now(weight) == 100 * PREFERRED
    box.twin.ready()
    assert now(weight) == 100
    assert box.scheduler.of(ContainerIdle)


def test_what_wakes_up_gives_way_to_programs_until_its_job_comes(
    weight: Path, world: World
) -> None:
    box = Box(world, replace(C, warm=Warm("exec", ("cc",), "compile")))
    box.start()
    assert now(weight) == 100
    for number in range(2):
        box.twin.ready()
        assert now(weight) == 100 * YIELDING
        job = make_job(f"j{number}", language="c", files=(SourceFile("main.c", b""),))
        box.tell(make_run(job))
        assert now(weight) == 100
        box.twin.done()
        world.clock.advance(PREFER_AFTER_S)
        assert now(weight) == 100 * PREFERRED


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_a_container_that_gave_way_does_not_take_longer_to_end(
    weight: Path, world: World, end: str
) -> None:
    box = Box(world, replace(C, warm=Warm("exec", ("cc",), "compile")))
    box.idle()
    assert now(weight) == 100 * YIELDING
    getattr(world, end)(NAME)
    assert now(weight) == 100


def test_a_container_that_is_not_clean_does_not_end_before_programs(
    weight: Path, box: Box
) -> None:
    box.scrubbing()
    box.world.clock.advance(PREFER_AFTER_S)
    box.twin.dirty("oom")
    box.assert_destroyed("oom")
    assert now(weight) == 100


def test_a_long_scrub_does_not_go_before_programs_for_long(
    weight: Path, box: Box
) -> None:
    box.scrubbing()
    box.world.clock.advance(PREFER_AFTER_S)
    assert now(weight) == 100 * PREFERRED
    box.world.clock.advance(PREFERRED_S)
    assert now(weight) == 100
    assert gauges()["scrubbing"] == 1
    box.twin.ready()
    assert now(weight) == 100
    box.tell(make_run())
    box.twin.done()
    box.world.clock.advance(PREFER_AFTER_S)
    assert now(weight) == 100 * PREFERRED


def test_a_scrub_that_is_quick_leaves_the_weight_alone(weight: Path, box: Box) -> None:
    box.scrubbing()
    box.twin.ready()
    box.world.clock.advance(PREFER_AFTER_S)
    assert now(weight) == 100


@pytest.mark.parametrize("state", ["start", "idle", "busy", "scrubbing"])
@pytest.mark.parametrize("crashing", [False, True])
def test_whatever_way_it_ends_the_container_ends_with_it(
    world: World, box: Box, state: str, crashing: bool
) -> None:
    getattr(box, state)()
    if crashing:
        world.crash(NAME)
        box.assert_crashed()
    else:
        world.stop(NAME)
        assert box.engine.discarded == box.engine.started
        gone = ContainerGone(NAME, "python")
        assert box.queue.of(ContainerGone) == [gone]
        assert box.scheduler.of(ContainerGone) == [gone]
        assert sum(gauges().values()) == 0


def test_a_container_that_ends_while_the_engine_answers_does_not_mind(
    world: World, box: Box
) -> None:
    box.idle()
    box.engine.gate.clear()
    box.tell(make_run(limited(64)))
    world.stop(NAME)
    box.engine.gate.set()
    settle()
    assert not world.directory.tell(NAME, MemorySet(64))
    assert box.engine.discarded == box.engine.started


def test_an_end_is_told_even_if_its_output_finds_no_broker(
    world: World, box: Box
) -> None:
    box.busy()
    world.directory.strike("broker", box.broker.ref)
    box.twin.say(wire.PHASE, {"phase": "run"})
    box.twin.say(wire.STDOUT, b"1")
    box.twin.dirty(out_of_memory=True)
    assert [end.outcome for end in box.ends()] == [Outcome.OUT_OF_MEMORY]
    box.assert_destroyed("oom")
