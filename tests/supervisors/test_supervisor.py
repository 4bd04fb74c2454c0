"""The supervisor: start, the three strategies, intensity, abandonment, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
import pytest
from actor_world import World, settle
from child_twin import Log

from actors.messages import ChildExited, ReportState
from metrics.instruments import REGISTRY
from metrics.live import LIVE
from supervisors.child_spec import ChildSpec, Intensity, Restart, Strategy
from supervisors.events import metric_name
from supervisors.supervisor import Supervisor

if TYPE_CHECKING:
    from actors.directory import AnyRef

NAMES = ("a", "b", "c")
ALL, REST = Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE


class Family:
    """A supervisor named `sup` with the children a, b and c."""

    def __init__(
        self,
        world: World,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
        shutdown_s: float = 5,
        **restart: Restart,
    ) -> None:
        self.world = world
        self.log = Log()
        self.specs = [
            ChildSpec(
                name, self.log.start, restart.get(name, Restart.PERMANENT), shutdown_s
            )
            for name in NAMES
        ]
        self.options = (strategy, intensity)
        self.reason = "TypeError: sup/b: expected one of its messages, got "
        self.reason += "<class 'object'>"

    def start(self) -> Family:
        self.world.start(Supervisor, "sup", self.specs, *self.options)
        self.log.take()
        return self

    def crash(self, name: str) -> list[str]:
        """Crash a child; return what all of them did then."""
        self.world.crash(f"sup/{name}")
        return self.log.take()

    def ref(self, name: str) -> AnyRef:
        return self.world.directory._refs[f"sup/{name}"]  # noqa: SLF001 - to compare

    def block(self, name: str) -> None:
        """Have the child hang in a handler."""
        self.log.blocking.add(name)
        assert self.world.directory.tell(f"sup/{name}", ReportState())
        gevent.idle()

    def living(self) -> list[str]:
        settle()
        names = self.world.directory.names("sup/")
        return sorted(name.removeprefix("sup/") for name in names)


def family(world: World, *options: Any, **more: Any) -> Family:
    return Family(world, *options, **more).start()


def counter(name: str, child: str) -> float:
    return REGISTRY.get_sample_value(name, {"child": child}) or 0


# -------------------------------------------------------------------------- start


def test_children_are_started_in_order(world: World) -> None:
    one = Family(world)
    world.start(Supervisor, "sup", one.specs)
    assert one.log.take() == ["start a", "start b", "start c"]
    assert one.living() == ["a", "b", "c"]


def test_a_child_is_told_its_name_its_parent_and_its_time(world: World) -> None:
    contexts = []
    log = Log()

    def start(context: Any) -> AnyRef:
        contexts.append(context)
        return log.start(context)

    sup = world.start(Supervisor, "sup", [ChildSpec("a", start)])
    (context,) = contexts
    assert (context.name, context.parent) == ("sup/a", sup)
    assert context.directory is world.directory
    assert context.now() == world.clock.now()


def test_a_child_that_cannot_be_made_fails_its_supervisor(world: World) -> None:
    def fail(_: object) -> AnyRef:
        raise ValueError("no")

    one = Family(world)
    world.start(Supervisor, "sup", [*one.specs, ChildSpec("d", fail)])
    assert world.exits()[-1].reason == "ValueError: no"
    assert one.log.take()[3:] == ["stop c", "stop b", "stop a"]


# ---------------------------------------------------------------------- one_for_one


def test_a_child_that_crashes_is_started_anew_alone(world: World) -> None:
    one = family(world)
    old, sibling = one.ref("b"), one.ref("c")
    assert one.crash("b") == ["crash b", "start b"]
    assert one.ref("b") is not old
    assert one.ref("c") is sibling


@pytest.mark.parametrize(
    ("restart", "crashing", "again"),
    [
        (Restart.PERMANENT, True, True),
        (Restart.PERMANENT, False, True),
        (Restart.TRANSIENT, True, True),
        (Restart.TRANSIENT, False, False),
        (Restart.TEMPORARY, True, False),
        (Restart.TEMPORARY, False, False),
    ],
)
def test_the_spec_says_when_a_child_is_started_anew(
    world: World, restart: Restart, crashing: bool, again: bool
) -> None:
    one = family(world, b=restart)
    if crashing:
        one.crash("b")
    else:
        world.stop("sup/b")
    assert one.living() == (["a", "b", "c"] if again else ["a", "c"])
    # And a sibling's restart is no reason to start what has ended for good
    one.crash("a")
    assert one.living() == (["a", "b", "c"] if again else ["a", "c"])


def test_children_that_die_together_are_all_started_anew(world: World) -> None:
    one = family(world)
    for name in ("c", "a"):
        one.ref(name).tell(object())
    settle()
    assert sorted(one.log.take()) == ["crash a", "crash c", "start a", "start c"]


def test_restarts_are_counted(world: World) -> None:
    before = counter("warmbox_restarts_total", "sup/a")
    one = family(world)
    one.crash("a")
    one.crash("a")
    assert counter("warmbox_restarts_total", "sup/a") - before == 2


def test_each_restart_is_one_event_and_says_all_of_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a sibling that takes a while to go along
    one = family(world, REST, Intensity(period_s=30))
    LIVE.happenings.clear()
    for _ in range(2):
        one.log.blocking.add("c")
        one.crash("b")
        world.clock.advance(3)
        one.log.blocking.clear()
        one.log.gate.set()
        settle()
        one.log.gate.clear()
    # Then each is told with its place in the row and the time that it took
    told = [record.restart for record in caplog.records if hasattr(record, "restart")]
    reason = one.reason
    assert told == [
        {"child": f"sup/{name}", "attempt": attempt, "delay_s": 3, "reason": why}
        for attempt in (1, 2)
        for name, why in (("b", reason), ("c", "goes with sup/b"))
    ]
    assert f"restart child=sup/b attempt=2 delay_s=3.000 reason={reason!r}" in (
        record.getMessage() for record in caplog.records
    )
    assert [(one.name, one.attempt) for one in LIVE.happenings] == [
        ("sup/b", 1),
        ("sup/c", 1),
        ("sup/b", 2),
        ("sup/c", 2),
    ]


def test_restarts_that_are_long_ago_are_no_attempts(world: World) -> None:
    one = family(world, Strategy.ONE_FOR_ONE, Intensity(period_s=10))
    one.crash("a")
    world.clock.advance(10)
    one.crash("a")
    assert [one.attempt for one in LIVE.happenings][-1] == 1


def test_who_is_down_is_known_until_the_restart(world: World) -> None:
    one = family(world, REST)
    one.log.blocking.add("c")
    one.crash("b")
    assert set(LIVE.down) == {"sup/b", "sup/c"}
    assert LIVE.down["sup/b"].reason == one.reason
    one.log.gate.set()
    settle()
    assert LIVE.down == {}


def test_nobody_is_down_below_a_supervisor_that_has_ended(world: World) -> None:
    one = family(world, REST)
    one.log.blocking.add("c")
    one.crash("b")
    one.log.gate.set()
    world.stop("sup")
    assert LIVE.down == {}


def test_numbered_children_share_a_label() -> None:
    assert metric_name("root/languages/c/pool/12") == "root/languages/c/pool/n"
    assert metric_name("root/broker") == "root/broker"


def test_a_notice_of_a_predecessor_is_stale(world: World) -> None:
    one = family(world)
    old = one.ref("a").actor_urn
    one.crash("a")
    stale = ChildExited("sup/a", old, crashed=True, reason="")
    world.tell("sup", stale, ChildExited("sup/x", "urn", crashed=True, reason=""))
    assert one.log.take() == []


# ---------------------------------------------------------------- the other strategies


def test_one_for_all_takes_all_down_and_up(world: World) -> None:
    one = family(world, ALL)
    assert one.crash("b") == [
        "crash b",
        "stop c",
        "stop a",
        "start a",
        "start b",
        "start c",
    ]


def test_rest_for_one_takes_those_that_were_started_later(world: World) -> None:
    one = family(world, REST)
    first = one.ref("a")
    assert one.crash("b") == ["crash b", "stop c", "start b", "start c"]
    assert one.ref("a") is first
    assert one.crash("c") == ["crash c", "start c"]
    assert one.crash("a") == [
        "crash a",
        "stop c",
        "stop b",
        "start a",
        "start b",
        "start c",
    ]


@pytest.mark.parametrize("strategy", [ALL, REST])
def test_a_temporary_sibling_that_is_taken_down_stays_down(
    world: World, strategy: Strategy
) -> None:
    one = family(world, strategy, c=Restart.TEMPORARY)
    assert "start c" not in one.crash("a")
    assert one.living() == ["a", "b"]


def test_nobody_is_started_before_all_who_must_go_have_gone(world: World) -> None:
    # Given a sibling that takes its time to clean up
    one = family(world, REST)
    one.log.blocking.add("b")
    assert one.crash("a") == ["crash a", "stop c"]
    # When it is done
    one.log.gate.set()
    settle()
    # Then the rest is started
    assert one.log.take() == ["stop b", "start a", "start b", "start c"]


def test_a_child_that_crashes_on_its_way_out_is_no_restart_of_its_own(
    world: World,
) -> None:
    # Given c, told to leave while it has a fatal message to read first
    one = family(world, REST, Intensity(restarts_max=1))
    one.block("c")
    one.ref("c").tell(object())
    world.directory.tell("sup/a", object())
    gevent.idle()
    # When it comes to that
    one.log.gate.set()
    settle()
    # Then one restart is counted, and all is well
    assert one.log.take() == [
        "crash a",
        "stop b",
        "crash c",
        "start a",
        "start b",
        "start c",
    ]
    assert world.is_alive("sup")


def test_an_elder_that_dies_while_others_leave_is_restarted_with_them(
    world: World,
) -> None:
    # Given c leaving slowly because b has crashed
    one = family(world, REST)
    one.block("c")
    world.directory.tell("sup/b", object())
    gevent.idle()
    assert one.log.take() == ["crash b"]
    # When a crashes too
    world.directory.tell("sup/a", object())
    gevent.idle()
    assert one.log.take() == ["crash a"]
    # Then all three are started once c has gone
    one.log.gate.set()
    settle()
    assert one.log.take() == ["stop c", "start a", "start b", "start c"]


# ---------------------------------------------------------------------- abandonment


def test_a_sibling_that_does_not_stop_is_abandoned_and_replaced(world: World) -> None:
    # Given a child that hangs in a handler
    before = counter("warmbox_abandoned_total", "sup/c")
    one = family(world, REST, shutdown_s=7)
    old = one.ref("c")
    one.block("c")
    world.directory.tell("sup/a", object())
    gevent.idle()
    assert one.log.take() == ["crash a", "stop b"]
    # When its time to stop is over
    one.log.blocking.clear()
    (timer,) = world.clock.pending()
    assert timer.at == world.clock.now() + 7
    timer.call()
    gevent.idle()
    # Then it is left behind, and counted
    assert one.log.take() == ["start a", "start b", "start c"]
    assert counter("warmbox_abandoned_total", "sup/c") - before == 1
    assert one.ref("c") is not old
    # And when it ends after all, it does not take its successor with it
    one.log.gate.set()
    settle()
    assert one.log.take() == ["stop c"]
    assert one.living() == ["a", "b", "c"]


# ------------------------------------------------------------------------ intensity


def test_too_many_restarts_are_the_supervisors_failure(world: World) -> None:
    one = family(world, Strategy.ONE_FOR_ONE, Intensity(restarts_max=2, period_s=10))
    one.crash("a")
    one.crash("b")
    assert world.exits() == []
    assert one.crash("c") == ["crash c", "stop b", "stop a"]
    (notice,) = world.exits()
    assert notice.crashed
    assert "more than 2 restarts" in notice.reason
    assert not world.is_alive("sup")


def test_restarts_spread_over_time_are_not_too_many(world: World) -> None:
    one = family(world, Strategy.ONE_FOR_ONE, Intensity(restarts_max=1, period_s=10))
    for _ in range(5):
        one.crash("a")
        world.clock.advance(10)
    assert world.is_alive("sup")


def test_a_child_whose_set_up_always_fails_ends_its_supervisor(world: World) -> None:
    one = Family(world, Strategy.ONE_FOR_ONE, Intensity(restarts_max=3))
    one.log.failing.add("b")
    one.start()
    (notice,) = world.exits()
    assert "more than 3 restarts" in notice.reason


def test_what_a_child_cannot_mend_its_supervisors_restart_may(world: World) -> None:
    # Given a supervisor of a supervisor
    log = Log()
    specs = [ChildSpec("a", log.start)]
    inner = ChildSpec(
        "in", lambda c: Supervisor.start(c, specs, ALL, Intensity(restarts_max=0))
    )
    world.start(Supervisor, "sup", [inner])
    log.take()
    # When a child fails more often than its supervisor allows
    world.crash("sup/in/a")
    # Then that is started anew, and the child with it
    assert log.take() == ["crash a", "start a"]
    assert world.is_alive("sup/in/a")
    assert counter("warmbox_restarts_total", "sup/in") >= 1


# ----------------------------------------------------------------------------- stop


def test_children_are_stopped_last_started_first(world: World) -> None:
    one = family(world)
    world.stop("sup")
    assert one.log.take() == ["stop c", "stop b", "stop a"]
    assert one.living() == []


def test_a_crashed_supervisor_stops_its_children_too(world: World) -> None:
    one = family(world)
    world.crash("sup")
    assert one.log.take() == ["stop c", "stop b", "stop a"]


def test_nobody_is_stopped_before_who_was_started_later_has_cleaned_up(
    world: World,
) -> None:
    # Given a child that takes its time to clean up
    one = family(world)
    one.log.blocking.add("b")
    ref = world.directory._refs["sup"]  # noqa: SLF001 - to stop it without waiting
    ref.stop(block=False)
    gevent.idle()
    # Then those that it may need wait for it
    assert one.log.take() == ["stop c"]
    assert one.ref("a").is_alive()
    assert world.exits() == []
    one.log.gate.set()
    settle()
    assert one.log.take() == ["stop b", "stop a"]
    assert [notice.name for notice in world.exits()] == ["sup"]


def test_a_child_that_does_not_stop_does_not_hold_up_the_rest(world: World) -> None:
    before = counter("warmbox_abandoned_total", "sup/b")
    one = family(world, shutdown_s=0.001)
    one.block("b")
    world.directory._refs["sup"].stop()  # noqa: SLF001 - settling would not end
    assert one.log.take() == ["stop c", "stop a"]
    assert counter("warmbox_abandoned_total", "sup/b") - before == 1
    one.log.gate.set()


def test_those_on_their_way_out_are_waited_for_too(world: World) -> None:
    # Given a supervisor that is stopped in the middle of a restart
    one = family(world, REST)
    one.log.blocking.add("c")
    one.crash("b")
    ref = world.directory._refs["sup"]  # noqa: SLF001 - to stop it without waiting
    ref.stop(block=False)
    gevent.idle()
    assert one.log.take() == []
    one.log.gate.set()
    settle()
    assert one.log.take() == ["stop c", "stop a"]
