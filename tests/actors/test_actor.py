"""The base actor: every way out, messages, timers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gevent
import pykka
import pytest
from actor_world import World, settle

from actors.actor import MESSAGE_MODULES, Actor, Context, handler_name
from actors.messages import Boot, CancelJob, ChildExited, ReportState, RunJob, Tick

if TYPE_CHECKING:
    from collections.abc import Callable

CRASHES: list[tuple[BaseException, str]] = [
    (ValueError("bad"), "ValueError: bad"),
    (gevent.Timeout(3), "ActorCrashError: <Timeout at"),
    (gevent.GreenletExit("out"), "ActorCrashError: GreenletExit('out')"),
]


class Worker(Actor):
    """Does in its handlers what a test says."""

    def __init__(self, context: Context, script: Script) -> None:
        super().__init__(context)
        self._script = script
        script.worker = self

    def boot(self, _: Boot) -> None:
        self._script.boot()

    def report_state(self, _: ReportState) -> object:
        return self._script.work()

    def cancel_job(self, message: CancelJob) -> None:
        if message.job_id == "forget":
            self.cancel_timer(message.language)
        else:
            self.set_timer(message.language, float(message.job_id))

    def clean_up(self, *, crashed: bool) -> None:
        self._script.seen.append(crashed)
        self._script.leave()

    def time_out(self, name: str) -> None:
        self._script.seen.append(name)


@dataclass
class Script:
    """What a worker does, and what it has seen."""

    boot: Callable[[], object] = bool
    work: Callable[[], object] = bool
    leave: Callable[[], object] = bool
    seen: list[Any] = field(default_factory=list)
    worker: Worker = field(init=False)


def raising(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def start(world: World, name: str = "worker", **script: Any) -> Script:
    one = Script(**script)
    world.start(Worker, name, one)
    return one


def only_exit(world: World) -> ChildExited:
    (notice,) = world.exits()
    return notice


# ------------------------------------------------------------------ the ways out


def test_an_orderly_stop_is_told_to_the_parent(world: World) -> None:
    script = start(world)
    world.stop("worker")
    assert only_exit(world) == ChildExited(
        "worker", script.worker.actor_urn, crashed=False, reason="stopped"
    )
    assert script.seen == [False]
    assert script.worker.context.gone.is_set()


@pytest.mark.parametrize(("error", "reason"), CRASHES)
@pytest.mark.parametrize("where", ["boot", "handler"])
def test_what_escapes_ends_this_actor_and_no_other(
    world: World, where: str, error: BaseException, reason: str
) -> None:
    start(world, "bystander")
    if where == "boot":
        script = start(world, boot=raising(error))
    else:
        script = start(world, work=raising(error))
        world.tell("worker", ReportState())
    notice = only_exit(world)
    assert (notice.name, notice.urn) == ("worker", script.worker.actor_urn)
    assert notice.crashed
    assert notice.reason.startswith(reason)
    assert script.seen == [True]
    assert not world.is_alive("worker")
    assert world.is_alive("bystander")
    assert world.ask("bystander", ReportState()) is False


@pytest.mark.parametrize("error", [error for error, _ in CRASHES])
@pytest.mark.parametrize("crashing", [False, True])
def test_a_failing_clean_up_is_told_too(
    world: World, crashing: bool, error: BaseException
) -> None:
    # Given an actor that can't let go of what it holds
    start(world, "bystander")
    script = start(world, leave=raising(error))
    # When it ends
    if crashing:
        world.crash("worker")
    else:
        script.worker.actor_ref.stop()
    # Then its parent hears of it, its name is free, and nobody else is hurt
    assert only_exit(world).name == "worker"
    assert only_exit(world).crashed is crashing
    assert script.worker.context.gone.is_set()
    assert not world.is_alive("worker")
    assert world.ask("bystander", ReportState()) is False


def test_what_is_no_message_crashes_the_actor(world: World) -> None:
    start(world)
    world.crash("worker")
    assert only_exit(world).reason.startswith("TypeError: worker: expected")


def test_a_message_without_a_handler_crashes_the_actor(world: World) -> None:
    start(world)
    world.tell("worker", RunJob(None, 1, 0))  # type: ignore[arg-type]
    assert only_exit(world).crashed


def test_a_method_is_reached_by_messages_of_the_catalogue_only(world: World) -> None:
    class Boot:
        """Named like a message."""

    assert Boot.__module__ not in MESSAGE_MODULES
    start(world)
    world.tell("worker", Boot())
    assert only_exit(world).crashed


def test_an_asker_gets_the_exception_and_the_actor_lives(world: World) -> None:
    start(world, work=raising(ValueError("bad")))
    with pytest.raises(ValueError, match="bad"):
        world.ask("worker", ReportState())
    assert world.is_alive("worker")


def test_clean_up_is_over_before_the_notice_is_sent(world: World) -> None:
    order: list[str] = []
    start(world, leave=lambda: order.append(str(world.exits())))
    world.stop("worker")
    assert order == ["[]"]
    assert len(world.exits()) == 1


def test_the_dead_hear_nothing(world: World) -> None:
    script = start(world)
    world.stop("worker")
    with pytest.raises(pykka.ActorDeadError):
        script.worker.actor_ref.tell(ReportState())


def test_an_actor_without_a_parent_leaves_in_silence(world: World) -> None:
    ref = Actor.start(Context("orphan", world.directory))
    ref.stop()
    settle()
    assert world.exits() == []


# ------------------------------------------------------------------------ timers


def set_timer(name: str, seconds: float) -> CancelJob:
    return CancelJob(str(seconds), name)


def test_a_timer_runs_out_once(world: World) -> None:
    script = start(world)
    world.tell("worker", set_timer("tea", 3))
    world.clock.advance(2.9)
    assert script.seen == []
    assert script.worker.has_timer("tea")
    world.clock.advance(10)
    assert script.seen == ["tea"]
    assert not script.worker.has_timer("tea")


def test_a_timer_set_anew_counts_from_then(world: World) -> None:
    script = start(world)
    world.tell("worker", set_timer("tea", 3))
    world.clock.advance(2)
    world.tell("worker", set_timer("tea", 3))
    world.clock.advance(2)
    assert script.seen == []
    world.clock.advance(1)
    assert script.seen == ["tea"]


def test_a_cancelled_timer_is_silent(world: World) -> None:
    script = start(world)
    world.tell("worker", set_timer("tea", 3), CancelJob("forget", "tea"))
    world.tell("worker", CancelJob("forget", "tea"))
    world.clock.advance(10)
    assert script.seen == []


@pytest.mark.parametrize("then", [set_timer("tea", 9), CancelJob("forget", "tea")])
def test_a_tick_that_is_in_the_mailbox_already_is_stale(
    world: World, then: CancelJob
) -> None:
    # Given a timer that runs out while its actor has something else to do first
    script = start(world)
    world.tell("worker", set_timer("tea", 3))
    (timer,) = world.clock.pending()
    script.worker.actor_ref.tell(then)
    timer.call()
    settle()
    # Then the late tick means nothing
    assert script.seen == []


def test_a_tick_of_no_timer_is_ignored(world: World) -> None:
    script = start(world)
    world.tell("worker", Tick("never", 1))
    assert script.seen == []


@pytest.mark.parametrize("crashing", [False, True])
def test_timers_end_with_their_actor(world: World, crashing: bool) -> None:
    start(world)
    world.tell("worker", set_timer("tea", 3), set_timer("cake", 4))
    assert len(world.clock.pending()) == 2
    if crashing:
        world.crash("worker")
    else:
        world.stop("worker")
    assert world.clock.pending() == []


def test_the_default_clock_is_a_monotonic_one_with_real_timers(world: World) -> None:
    context = Context("real", world.directory)
    assert context.now() <= context.now()
    timer = context.after(1000, bool)
    timer.kill()


def test_an_actor_that_sets_a_timer_must_handle_it(world: World) -> None:
    actor = Actor(world.context("plain"))
    with pytest.raises(NotImplementedError, match="tea"):
        actor.time_out("tea")


@pytest.mark.parametrize(
    ("kind", "name"), [(RunJob, "run_job"), (Boot, "boot"), (ChildExited, None)]
)
def test_a_handler_is_named_like_its_message(kind: type, name: str | None) -> None:
    assert handler_name(kind) == (name or "child_exited")
