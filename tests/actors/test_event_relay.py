"""The event relay: logs, watchers, expiry, and being rebuilt from the stream."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from samples import make_job

from actors.acceptance import acceptance
from actors.admission import Admission
from actors.event_relay import (
    AWAIT_S,
    ECHO_RETRY_S,
    GO_ON_S,
    SWEEP_S,
    UNHEARD_S,
    EventRelay,
)
from actors.holdings import AT_ONCE_MAX
from actors.job_log import EVENT_BYTES
from actors.messages import (
    Accepted,
    AwaitJob,
    AwaitRead,
    BrokerStarted,
    EventsReceived,
    Expired,
    Finished,
    JobEvent,
    JobExpired,
    JobResult,
    JobView,
    LookUpJob,
    NumberedEvent,
    Outcome,
    Output,
    Queued,
    ReserveStdin,
    Restarted,
    Started,
    StdinClosed,
    SubscribeEvents,
    UnwatchJob,
    WatchJob,
)
from actors.stdin_room import StdinRoom

if TYPE_CHECKING:
    from actor_world import World

    from actors.messages import EventBody

ACCEPTED = Accepted("python", 12.5)
EXPIRED = JobExpired("")
RESULT = JobResult(Outcome.SUCCESS)
END = Finished(RESULT)
HELLO = Output("run", "stdout", b"hello")
TTL_S = 100.0


class Watcher:
    """Takes what is delivered, until it shall not keep up any more."""

    def __init__(self, job_id: str = "j1", after_id: int = 0) -> None:
        self.batches: list[tuple[NumberedEvent, ...]] = []
        self.keeps_up = True
        self.message = WatchJob(job_id, after_id, self.deliver)

    def deliver(self, batch: tuple[NumberedEvent, ...]) -> bool:
        self.batches.append(batch)
        return self.keeps_up

    def seen(self) -> list[tuple[int, object]]:
        return [(one.id, one.event.body) for batch in self.batches for one in batch]


class Relay:
    """A relay, and the stream that it reads."""

    def __init__(
        self, world: World, bytes_max: int = 1_000_000, **options: Any
    ) -> None:
        self.world = world
        self.options = options
        self.bytes_max = bytes_max
        self.broker = world.probe("broker")
        self.stream: list[JobEvent] = []
        self.start()

    def start(self) -> None:
        arguments = ("broker", TTL_S, self.bytes_max)
        self.world.start(EventRelay, "relay", *arguments, **self.options)
        self.replay(0)

    def replay(self, offset: int) -> None:
        """Answer a subscription."""
        end = len(self.stream)
        received = EventsReceived(tuple(self.stream[offset:]), offset, end)
        self.world.tell("relay", received)

    def emit(self, *bodies: EventBody, job_id: str = "j1", attempt: int = 1) -> None:
        """Append to the stream, as one batch."""
        events = tuple(JobEvent(job_id, attempt, body) for body in bodies)
        offset = len(self.stream)
        self.stream += events
        received = EventsReceived(events, offset, len(self.stream))
        self.world.tell("relay", received)

    def run_through(self, job_id: str, *outputs: EventBody) -> None:
        self.emit(ACCEPTED, Queued(1), Started(), *outputs, END, job_id=job_id)

    def watch(self, watcher: Watcher) -> Any:
        return self.world.ask("relay", watcher.message)

    def look_up(self, job_id: str = "j1") -> Any:
        return self.world.ask("relay", LookUpJob(job_id))

    def shown(self, job_id: str = "j1") -> list[tuple[int, object]]:
        view = self.look_up(job_id)
        assert isinstance(view, JobView)
        return [(one.id, one.event.body) for one in view.events]


@pytest.fixture
def relay(world: World) -> Relay:
    return Relay(world)


def test_nothing_is_said_of_any_job_before_the_stream_has_been_read(
    world: World,
) -> None:
    # Given a relay that is new, while jobs go on
    world.probe("broker")
    network, answered = False, True
    options = (TTL_S, 1_000_000, network, answered)
    world.start(EventRelay, "relay", "broker", *options)
    live = EventsReceived((JobEvent("j1", 1, END),), 3, 4)
    world.tell("relay", live)
    # When somebody asks, then no job is called unknown
    assert world.ask("relay", LookUpJob("j1")) == "unread"
    assert world.ask("relay", Watcher().message) == "unread"
    # until the answer to its subscription has come, even if there is nothing
    world.tell("relay", EventsReceived((), 0, 0))
    assert world.ask("relay", LookUpJob("j1")) is None
    assert world.ask("relay", Watcher().message) is False


# --------------------------------------------------------------------------- logs


def test_half_a_log_is_not_how_a_job_stands(world: World) -> None:
    # Given a relay that reads a stream which others speak on
    fleet = world.probe("fleet")
    relay = Relay(world, fleet="fleet")
    (asked,) = fleet.take()
    told: list[str] = []
    world.tell("relay", AwaitRead(lambda: told.append("read")))
    # When it has read a part
    relay.emit(ACCEPTED, Queued(1))
    # Then nobody is shown that
    assert relay.look_up() == "unread"
    assert relay.watch(Watcher()) == "unread"
    assert world.ask("relay", ReserveStdin("j1", 1, end=False)) == "unread"
    relay.emit(Started(), END)
    assert relay.look_up() == "unread"
    # until it has heard what was said behind all of it
    asked.reply()
    assert relay.look_up().state == "done"
    assert told == ["read"]
    world.tell("relay", AwaitRead(lambda: told.append("at once")))
    assert told == ["read", "at once"]
    assert fleet.take() == []


def test_an_echo_that_is_lost_is_asked_for_again(world: World) -> None:
    fleet = world.probe("fleet")
    relay = Relay(world, fleet="fleet")
    assert len(fleet.take()) == 1
    world.clock.advance(ECHO_RETRY_S)
    (asked,) = fleet.take()
    asked.reply()
    assert relay.look_up() is None
    world.clock.advance(ECHO_RETRY_S)
    assert fleet.take() == []


def test_a_new_relay_reads_the_whole_stream(relay: Relay) -> None:
    assert relay.broker.take() == [SubscribeEvents("relay", 0)]


def test_events_are_numbered_from_1_and_the_acceptance_is_none(relay: Relay) -> None:
    relay.run_through("j1", HELLO)
    assert relay.shown() == [(1, Queued(1)), (2, Started()), (3, HELLO), (4, END)]


def test_each_job_has_its_own_numbers(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1), job_id="j1")
    relay.emit(ACCEPTED, Queued(2), job_id="j2")
    assert relay.shown("j1") == [(1, Queued(1))]
    assert relay.shown("j2") == [(1, Queued(2))]


@pytest.mark.parametrize(
    ("bodies", "state"),
    [
        ([], "queued"),
        ([Queued(1)], "queued"),
        ([Queued(1), Started()], "running"),
        ([Queued(1), Started(), HELLO], "running"),
        ([Queued(1), Started(), Restarted()], "queued"),
        ([Queued(1), Started(), END], "done"),
        ([END], "done"),
    ],
)
def test_the_events_tell_the_state(
    relay: Relay, bodies: list[EventBody], state: str
) -> None:
    relay.emit(ACCEPTED, *bodies)
    view = relay.look_up()
    assert (view.id, view.language, view.created_at) == ("j1", "python", 12.5)
    assert view.state == state
    assert view.result == (RESULT if state == "done" else None)


def test_an_unknown_job_is_nothing(relay: Relay) -> None:
    relay.emit(Queued(1), Started(), job_id="never accepted")
    assert relay.look_up("never accepted") is None
    assert relay.watch(Watcher("never accepted")) is False


# ----------------------------------------------------------------------- attempts


def test_a_new_attempt_is_shown_and_the_old_one_is_silent(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1), Started(), HELLO)
    relay.emit(Restarted(), attempt=2)
    relay.emit(HELLO, END, attempt=1)
    relay.emit(Started(), END, attempt=2)
    assert [body for _, body in relay.shown()] == [
        Queued(1),
        Started(),
        HELLO,
        Restarted(),
        Started(),
        END,
    ]
    assert relay.look_up().attempt == 2


def test_a_job_ends_once(relay: Relay) -> None:
    relay.run_through("j1")
    failed = Finished(JobResult(Outcome.INTERNAL_ERROR))
    relay.emit(failed, HELLO, Restarted())
    relay.emit(failed, attempt=9)
    assert [body for _, body in relay.shown()][-1] is END
    assert relay.look_up().result == RESULT
    assert relay.look_up().attempt == 1


def test_a_redelivered_job_is_not_queued_twice(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(3))
    relay.emit(Queued(1))
    assert relay.shown() == [(1, Queued(3))]


# ----------------------------------------------------------------------- watching


def test_a_watcher_gets_the_replay_and_then_what_comes(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1), Started())
    watcher = Watcher()
    assert relay.watch(watcher) is True
    relay.emit(HELLO)
    relay.emit(END)
    assert watcher.seen() == [(1, Queued(1)), (2, Started()), (3, HELLO), (4, END)]
    assert [len(batch) for batch in watcher.batches] == [2, 1, 1]


def test_a_watcher_that_comes_back_misses_nothing_and_sees_nothing_twice(
    relay: Relay,
) -> None:
    relay.emit(ACCEPTED, Queued(1), Started(), HELLO)
    watcher = Watcher(after_id=2)
    relay.watch(watcher)
    relay.emit(END)
    assert watcher.seen() == [(3, HELLO), (4, END)]


def test_a_watcher_that_comes_after_the_end_gets_all_of_it(relay: Relay) -> None:
    relay.run_through("j1", HELLO)
    watcher = Watcher()
    assert relay.watch(watcher) is True
    assert [number for number, _ in watcher.seen()] == [1, 2, 3, 4]


def test_a_watcher_that_has_it_all_is_told_nothing(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1))
    watcher = Watcher(after_id=1)
    relay.watch(watcher)
    assert watcher.batches == []
    relay.emit(Started())
    assert watcher.seen() == [(2, Started())]


@pytest.mark.parametrize("after_id", [2, 50])
def test_a_watcher_that_has_had_all_of_a_job_that_is_over_is_told_so(
    relay: Relay, after_id: int
) -> None:
    relay.emit(ACCEPTED, Queued(1), END)
    watcher = Watcher(after_id=after_id)
    assert relay.watch(watcher) is True
    assert watcher.seen() == [(2, END)]


def test_a_watcher_that_has_heard_of_the_end_is_forgotten(
    world: World, relay: Relay
) -> None:
    relay.emit(ACCEPTED, Queued(1))
    watcher = Watcher()
    relay.watch(watcher)
    relay.emit(END)
    world.crash("relay")
    assert watcher.seen() == [(1, Queued(1)), (2, END)]
    assert () not in watcher.batches


def test_a_batch_comes_as_one_and_only_to_its_watchers(relay: Relay) -> None:
    relay.emit(ACCEPTED, job_id="j1")
    relay.emit(ACCEPTED, job_id="j2")
    mine, theirs = Watcher("j1"), Watcher("j2")
    relay.watch(mine)
    relay.watch(theirs)
    relay.emit(Queued(1), Started(), HELLO)
    assert [len(batch) for batch in mine.batches] == [3]
    assert theirs.batches == []


def test_all_watchers_of_a_job_see_the_same(relay: Relay) -> None:
    relay.emit(ACCEPTED)
    watchers = [Watcher() for _ in range(3)]
    for watcher in watchers:
        relay.watch(watcher)
    relay.emit(Queued(1))
    assert [watcher.seen() for watcher in watchers] == [[(1, Queued(1))]] * 3


def test_a_watcher_that_cannot_keep_up_is_dropped(relay: Relay) -> None:
    relay.emit(ACCEPTED)
    slow, quick = Watcher(), Watcher()
    relay.watch(slow)
    relay.watch(quick)
    slow.keeps_up = False
    relay.emit(Queued(1))
    relay.emit(Started())
    assert [number for number, _ in slow.seen()] == [1]
    assert [number for number, _ in quick.seen()] == [1, 2]


def test_a_watcher_that_cannot_take_the_replay_is_not_kept(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1))
    slow = Watcher()
    slow.keeps_up = False
    assert relay.watch(slow) is True
    relay.emit(Started())
    assert [number for number, _ in slow.seen()] == [1]


def test_a_watcher_that_has_left_is_forgotten(relay: Relay) -> None:
    relay.emit(ACCEPTED)
    watcher = Watcher()
    relay.watch(watcher)
    unwatch = UnwatchJob("j1", watcher.deliver)
    relay.world.tell("relay", unwatch, unwatch, UnwatchJob("j9", watcher.deliver))
    relay.emit(Queued(1))
    assert watcher.batches == []


# ------------------------------------------------------------------------- expiry


def test_an_ended_job_expires_and_is_known_to_have(world: World, relay: Relay) -> None:
    relay.run_through("j1")
    world.clock.advance(TTL_S - 0.1)
    assert relay.look_up().state == "done"
    world.clock.advance(SWEEP_S)
    assert relay.look_up() == EXPIRED
    assert relay.watch(Watcher()) is False


def test_a_job_that_has_not_ended_does_not_expire(world: World, relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1))
    world.clock.advance(TTL_S * 10)
    assert relay.look_up().state == "queued"


def test_an_expired_job_does_not_come_back(world: World, relay: Relay) -> None:
    relay.run_through("j1")
    world.clock.advance(TTL_S + SWEEP_S)
    relay.emit(ACCEPTED, HELLO, END)
    assert relay.look_up() == EXPIRED


def test_when_there_is_too_much_the_oldest_ended_goes_early(world: World) -> None:
    relay = Relay(world, bytes_max=11 * EVENT_BYTES + 1000)
    relay.emit(ACCEPTED, Queued(1), Started(), job_id="running")
    for job_id in ("j1", "j2"):
        relay.run_through(job_id)
    assert relay.look_up("j1").state == "done"
    big = Output("run", "stdout", b"x" * 1001)
    relay.emit(big, job_id="running")
    assert relay.look_up("j1") == EXPIRED
    assert relay.look_up("j2").state == "done"
    assert relay.look_up("running").state == "running"


def test_many_that_are_due_at_once_go_in_steps(world: World, relay: Relay) -> None:
    count = 2 * AT_ONCE_MAX
    for number in range(count):
        relay.emit(ACCEPTED, END, job_id=f"j{number}")

    def kept() -> int:
        found = [relay.look_up(f"j{number}") for number in range(count)]
        return sum(isinstance(one, JobView) for one in found)

    left = []
    world.clock.advance(TTL_S)
    for _ in range(4):
        left.append(kept())
        world.clock.advance(GO_ON_S)
    assert left == [AT_ONCE_MAX, 0, 0, 0]


def of(client: str, fingerprint: str = "") -> Accepted:
    return Accepted("python", 12.5, fingerprint, client)


def test_whoever_holds_most_makes_room_and_nobody_else(world: World) -> None:
    # Given a client's one result
    relay = Relay(world, bytes_max=20 * EVENT_BYTES + 5_000)
    relay.emit(of("ann"), HELLO, END, job_id="hers")
    # When another client's are more than all may be together
    big = Output("run", "stdout", b"x" * 1_000)
    for number in range(20):
        relay.emit(of("bob"), big, END, job_id=f"his {number}")
    # Then his oldest have gone, and his newest and hers are there
    assert relay.look_up("hers").state == "done"
    assert relay.look_up("his 0") == EXPIRED
    assert relay.look_up("his 19").state == "done"


def test_what_is_not_ended_counts_for_its_client(world: World) -> None:
    relay = Relay(world, bytes_max=8 * EVENT_BYTES + 3_000)
    relay.emit(of("ann"), Output("run", "stdout", b"x" * 1_500), END, job_id="hers")
    relay.emit(of("bob"), HELLO, END, job_id="his")
    relay.emit(of("bob"), Output("run", "stdout", b"x" * 2_000), job_id="runs")
    assert relay.look_up("his") == EXPIRED
    assert relay.look_up("hers").state == "done"


def test_a_key_is_remembered_after_its_result_has_gone(world: World) -> None:
    relay = Relay(world, bytes_max=1)
    relay.emit(of("ann", "abc"), END)
    assert relay.look_up() == JobExpired("abc")


def test_one_client_cannot_have_others_keys_forgotten(world: World) -> None:
    # Given a relay that remembers three jobs of which it has nothing else
    world.probe("broker")
    world.start(EventRelay, "relay", "broker", TTL_S, 1, False, False, 3)
    sent = 0

    def run_through(job_id: str, client: str) -> None:
        nonlocal sent
        events = (JobEvent(job_id, 1, of(client)), JobEvent(job_id, 1, END))
        world.tell("relay", EventsReceived(events, sent, sent + 2))
        sent += 2

    run_through("hers", "ann")
    # When another client's are many
    for number in range(9):
        run_through(f"his {number}", "bob")
    # Then it is his that are forgotten
    found = [world.ask("relay", LookUpJob(one)) for one in ("hers", "his 0", "his 8")]
    assert found == [EXPIRED, None, EXPIRED]


def test_what_the_broker_let_go_has_expired_here_too(relay: Relay) -> None:
    relay.emit(of("ann", "abc"), Expired())
    assert relay.look_up() == JobExpired("abc")
    assert relay.watch(Watcher()) is False


def test_watchers_are_sent_away_from_a_job_that_the_broker_let_go(
    relay: Relay,
) -> None:
    relay.emit(ACCEPTED, Started())
    watcher = Watcher(after_id=1)
    relay.watch(watcher)
    relay.emit(Expired())
    assert watcher.batches == [()]
    relay.emit(Expired())
    assert relay.look_up() == EXPIRED


# ----------------------------------------------------------------------- restarts


def test_a_relay_that_ends_keeps_nobody_waiting_for_the_stream(world: World) -> None:
    world.probe("fleet")
    Relay(world, fleet="fleet")
    told: list[str] = []
    world.tell("relay", AwaitRead(lambda: told.append("asks again")))
    world.crash("relay")
    assert told == ["asks again"]


def test_a_relay_that_ends_sends_its_watchers_away(world: World, relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1))
    watchers = [Watcher(), Watcher()]
    for watcher in watchers:
        relay.watch(watcher)
    world.crash("relay")
    assert [watcher.batches[-1] for watcher in watchers] == [(), ()]


def test_a_successor_is_rebuilt_from_the_stream(world: World, relay: Relay) -> None:
    relay.run_through("j1", HELLO)
    relay.emit(ACCEPTED, Queued(1), Started(), job_id="j2")
    before = [relay.look_up("j1"), relay.look_up("j2")]
    world.crash("relay")
    relay.start()
    assert [relay.look_up("j1"), relay.look_up("j2")] == before
    relay.emit(END, job_id="j2")
    assert relay.shown("j2")[-1] == (3, END)


def test_a_restarted_broker_is_read_on_from_where_the_last_ended(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1))
    relay.broker.take()
    relay.world.tell("relay", BrokerStarted())
    assert relay.broker.take() == [SubscribeEvents("relay", 2)]


def test_what_is_replayed_twice_is_logged_once(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1), Started())
    relay.replay(0)
    relay.replay(2)
    relay.replay(3)
    assert relay.shown() == [(1, Queued(1)), (2, Started())]


def test_of_a_replay_that_reaches_further_the_rest_is_asked_for(relay: Relay) -> None:
    relay.emit(ACCEPTED, Queued(1))
    relay.stream.append(JobEvent("j1", 1, Started()))
    relay.broker.take()
    relay.replay(0)
    assert relay.broker.take() == [SubscribeEvents("relay", 2)]
    relay.replay(2)
    assert relay.shown() == [(1, Queued(1)), (2, Started())]


def test_live_events_that_overtake_the_replay_are_left_to_it(
    world: World, relay: Relay
) -> None:
    # Given a relay that was restarted, and has not got its replay yet
    relay.emit(ACCEPTED, Queued(1))
    world.crash("relay")
    world.start(EventRelay, "relay", "broker", TTL_S, relay.bytes_max)
    # When what its predecessor had subscribed to goes on
    relay.emit(Started())
    assert relay.look_up() is None
    # Then the replay has it all, in order and once
    relay.replay(0)
    relay.emit(END)
    assert relay.shown() == [(1, Queued(1)), (2, Started()), (3, END)]


def test_a_stream_that_no_longer_goes_back_to_its_start_is_read(
    world: World, relay: Relay
) -> None:
    # Given a stream of which only the end is left
    world.crash("relay")
    world.start(EventRelay, "relay", "broker", TTL_S, relay.bytes_max)
    events = (JobEvent("j1", 1, ACCEPTED), JobEvent("j1", 1, Queued(1)))
    relay.world.tell("relay", EventsReceived(events, 0, 500))
    assert relay.shown() == [(1, Queued(1))]
    # And it goes on from there
    live = (JobEvent("j1", 1, Started()),)
    relay.world.tell("relay", EventsReceived(live, 500, 501))
    assert relay.shown() == [(1, Queued(1)), (2, Started())]


# ----------------------------------------------------------------- several gateways


class StreamRelay(Relay):
    """A relay on a broker whose offsets count batches, with gaps."""

    def start(self) -> None:
        self.offset = 0
        arguments = ("broker", TTL_S, self.bytes_max, True)
        self.world.start(EventRelay, "relay", *arguments)

    def emit(self, *bodies: EventBody, job_id: str = "j1", attempt: int = 1) -> None:
        events = tuple(JobEvent(job_id, attempt, body) for body in bodies)
        self.receive(events, self.offset, self.offset + 7)

    def receive(self, events: tuple[JobEvent, ...], offset: int, after: int) -> None:
        self.offset = after
        self.world.tell("relay", EventsReceived(events, offset, after))


@pytest.fixture
def gateway(world: World) -> StreamRelay:
    return StreamRelay(world)


def test_a_batch_may_count_as_one(gateway: StreamRelay) -> None:
    gateway.receive((JobEvent("j1", 1, ACCEPTED), JobEvent("j1", 1, Started())), 0, 500)
    gateway.receive((JobEvent("j1", 1, HELLO), JobEvent("j1", 1, END)), 500, 501)
    assert [body for _, body in gateway.shown()] == [Queued(1), Started(), HELLO, END]
    gateway.receive((JobEvent("j1", 1, ACCEPTED),), 500, 501)
    assert gateway.look_up().state == "done"


def test_a_job_that_waits_in_the_broker_has_a_place(gateway: StreamRelay) -> None:
    gateway.emit(ACCEPTED, job_id="j1")
    gateway.emit(ACCEPTED, job_id="j2")
    gateway.emit(Accepted("c", 1), job_id="c1")
    assert [gateway.shown(one) for one in ("j1", "j2", "c1")] == [
        [(1, Queued(1))],
        [(1, Queued(2))],
        [(1, Queued(1))],
    ]
    gateway.emit(Started(), job_id="j1")
    gateway.emit(Started(), END, job_id="j2")
    gateway.emit(ACCEPTED, job_id="j3")
    assert gateway.shown("j3") == [(1, Queued(1))]
    gateway.emit(Restarted(), job_id="j1", attempt=1001)
    gateway.emit(ACCEPTED, job_id="j4")
    assert gateway.shown("j4") == [(1, Queued(3))]


def test_what_a_worker_tells_again_changes_nothing(gateway: StreamRelay) -> None:
    gateway.emit(Accepted("python", 12.5, "abc"))
    gateway.emit(Accepted("python", 99, "xyz"), Queued(5))
    view = gateway.look_up()
    assert (view.created_at, view.fingerprint) == (12.5, "abc")
    assert gateway.shown() == [(1, Queued(1))]


def test_who_waits_for_a_job_hears_when_it_is_known(
    world: World, gateway: StreamRelay
) -> None:
    heard: list[str] = []
    world.tell("relay", AwaitJob("j1", lambda: heard.append("a")))
    world.tell("relay", AwaitJob("j1", lambda: heard.append("b")))
    world.tell("relay", AwaitJob("j2", lambda: heard.append("c")))
    assert heard == []
    gateway.emit(ACCEPTED)
    assert heard == ["a", "b"]
    world.tell("relay", AwaitJob("j1", lambda: heard.append("d")))
    assert heard == ["a", "b", "d"]


def test_who_has_waited_too_long_is_forgotten(
    world: World, gateway: StreamRelay
) -> None:
    heard: list[str] = []
    world.tell("relay", AwaitJob("j1", lambda: heard.append("a")))
    world.clock.advance(AWAIT_S + SWEEP_S)
    gateway.emit(ACCEPTED)
    assert heard == []


def test_an_expired_job_is_known_to_who_waits(
    world: World, gateway: StreamRelay
) -> None:
    heard: list[str] = []
    gateway.emit(ACCEPTED, END)
    world.clock.advance(TTL_S + SWEEP_S)
    world.tell("relay", AwaitJob("j1", lambda: heard.append("a")))
    assert heard == ["a"]


# --------------------------------------------------------------------------- stdin


def opened(client: str = "a") -> Accepted:
    return Accepted("python", 12.5, client=client)


def room(relay: Relay, size: int, job_id: str = "j1", *, end: bool = False) -> Any:
    return relay.world.ask("relay", ReserveStdin(job_id, size, end))


@pytest.fixture
def fed(world: World) -> Relay:
    """Return a relay with room for 10 bytes of each job, and 20 of all."""
    return Relay(world, stdin_room=StdinRoom(10, 20, 0.5))


def test_stdin_is_bounded_for_each_job(fed: Relay) -> None:
    fed.emit(opened())
    assert [room(fed, 6), room(fed, 4), room(fed, 1)] == [
        *("reserved", "reserved", "too_large")
    ]
    assert room(fed, 0, end=True) == "reserved"


def test_stdin_is_bounded_for_each_client_and_in_all(fed: Relay) -> None:
    jobs = {"j1": "a", "j2": "a", "j3": "b", "j4": "c"}
    for job_id, client in jobs.items():
        fed.emit(opened(client), job_id=job_id)
    assert room(fed, 10, "j1") == "reserved"
    assert room(fed, 1, "j2") == "client_full"
    assert room(fed, 10, "j3") == "reserved"
    assert room(fed, 1, "j4") == "full"
    # until a job ends
    fed.emit(END, job_id="j1")
    assert room(fed, 1, "j1") == "done"
    assert room(fed, 5, "j2") == "reserved"
    assert room(fed, 5, "j4") == "reserved"


def test_what_was_reserved_does_not_outlive_its_relay(world: World) -> None:
    stdin_room = StdinRoom(10, 20, 0.5)
    fed = Relay(world, stdin_room=stdin_room)
    fed.emit(opened())
    assert room(fed, 10) == "reserved"
    world.crash("relay")
    fed.start()
    assert room(fed, 10) == "reserved"


def test_nothing_follows_the_end_of_stdin(fed: Relay) -> None:
    fed.emit(opened())
    fed.emit(replace(opened(), stdin_open=False), job_id="j2")
    assert room(fed, 1, end=True) == "reserved"
    assert room(fed, 1, end=True) == "reserved"  # the first may not have been sent
    fed.world.tell("relay", StdinClosed("j1"))
    for job_id in ("j1", "j2"):
        assert room(fed, 1, job_id) == "closed"
        assert room(fed, 0, job_id, end=True) == "reserved"  # it is said once more


def test_there_is_no_stdin_of_jobs_that_are_not_there(fed: Relay) -> None:
    assert room(fed, 1, "unknown") is None
    fed.world.tell("relay", StdinClosed("unknown"))


# ----------------------------------------------------------------------- admission


def test_the_stream_tells_which_jobs_are_unfinished(world: World) -> None:
    admission = Admission(4, 1_000_000, 0.5)
    relay = Relay(world, admission=admission)
    jobs = [make_job(f"j{number}", client="a") for number in range(2)]
    for job in jobs:
        relay.emit(acceptance(job), job_id=job.id)
    assert admission.refusal(make_job(client="a")) == "client_full"
    assert admission.refusal(make_job(client="b")) is None
    relay.emit(END, job_id="j0")
    assert admission.refusal(make_job(client="a")) is None


def test_a_job_whose_end_nobody_tells_of_counts_not_for_ever(world: World) -> None:
    # Given a client with as many jobs as it may have, all lost with their queue
    admission = Admission(4, 1_000_000, 0.5, world.clock.now)
    relay = Relay(world, admission=admission)
    for number in range(2):
        relay.emit(acceptance(make_job(client="a")), job_id=f"j{number}")
    # When the stream does not go back to them any more
    age_s = 2 * TTL_S + UNHEARD_S
    world.clock.advance(age_s - SWEEP_S)
    relay.emit(acceptance(make_job(client="a")), job_id="j2")
    assert admission.refusal(make_job(client="a")) == "client_full"
    world.clock.advance(2 * SWEEP_S)
    # Then only the newer one counts
    assert admission.refusal(make_job(client="a")) is None
    relay.emit(acceptance(make_job(client="a")), job_id="j3")
    assert admission.refusal(make_job(client="a")) == "client_full"
