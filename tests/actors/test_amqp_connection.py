"""The state machine of a connection, on a wire that does what a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from actor_world import settle
from gevent.event import Event

from actors.broker.amqp import PATIENCE_S, STEADY_S, AmqpConnection
from actors.broker.connection_messages import (
    ChannelLost,
    ChannelOpened,
    ConnectionBlocked,
    ConnectionLost,
    ConnectionOpened,
    ConnectionUnblocked,
    StepDone,
)
from actors.broker.link import BrokerHealth, Link
from actors.broker.topology import Step, Topology
from actors.broker.wire import parameters, reason_of
from actors.messages import BrokerStatus, DescribeBroker
from metrics.instruments import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable

    from actor_world import World

    from actors.actor import Context

URLS = ("amqp://one/", "amqp://two/")


class FakeWire:
    """Remembers what is done to it; `say` is what pika would call back."""

    def __init__(
        self, url: str, name: str, generation: int, say: Callable[[object], object]
    ) -> None:
        self.url, self.name, self.generation, self.say = url, name, generation, say
        self.closed = Event()
        self.is_usable = False
        self.done: list[object] = []

    def open_channel(self) -> None:
        self.is_usable = True
        self.say(ChannelOpened(self.generation))

    def run(self, step: Step) -> None:
        self.done.append(step.subject)
        self.say(StepDone(self.generation))

    def close(self) -> None:
        self.done.append("close")
        self.is_usable = False
        self.closed.set()


class Recording(AmqpConnection):
    """Tells what is asked of a subclass."""

    def __init__(self, context: Context, link: Link, told: list[str]) -> None:
        super().__init__(context, link)
        self._told = told

    def _opened(self) -> None:
        self._told.append("opened")

    def _lost(self) -> None:
        self._told.append("lost")

    def _blocking_changed(self) -> None:
        self._told.append(f"blocked: {self._blocked}")


class Connection:
    """A connection, its wires so far, and what it has told."""

    def __init__(self, world: World, urls: tuple[str, ...] = URLS) -> None:
        self.world = world
        self.wires: list[FakeWire] = []
        self.told: list[str] = []
        self.error: Exception | None = None
        self.health = BrokerHealth()
        topology = Topology(("python",), 10, 60)
        self.link = Link(
            urls,
            topology,
            float,
            self.health,
            self.dial,  # type: ignore[arg-type]
        )
        world.start(Recording, "broker", self.link, self.told)

    def dial(self, *args: Any) -> FakeWire:
        if self.error is not None:
            raise self.error
        self.wires.append(FakeWire(*args))
        return self.wires[-1]

    @property
    def wire(self) -> FakeWire:
        return self.wires[-1]

    def say(self, kind: Callable[..., object], *rest: object) -> None:
        self.wire.say(kind(self.wire.generation, *rest))
        settle()

    def open(self) -> None:
        self.say(ConnectionOpened)

    def status(self) -> BrokerStatus:
        found = self.world.ask("broker", DescribeBroker())
        assert isinstance(found, BrokerStatus)
        return found


@pytest.fixture
def connection(world: World) -> Connection:
    return Connection(world)


def test_it_connects_declares_and_is_open(connection: Connection) -> None:
    assert connection.status().state == "connecting"
    connection.open()
    assert connection.wire.done == [
        step.subject for step in connection.link.topology.steps()
    ]
    assert connection.told == ["opened"]
    assert connection.status() == BrokerStatus("open", "", is_up=True)
    assert REGISTRY.get_sample_value("warmbox_broker_up") == 1
    assert connection.world.clock.pending() == []


def test_addresses_are_tried_in_turn_and_a_round_is_waited_for(
    world: World, connection: Connection
) -> None:
    connection.say(ConnectionLost, "refused")
    assert connection.status() == BrokerStatus("backing_off", "refused")
    world.clock.advance(0)
    assert [wire.url for wire in connection.wires] == list(URLS)
    connection.say(ConnectionLost, "refused")
    world.clock.advance(0.9)
    assert len(connection.wires) == 2
    world.clock.advance(0.1)
    assert connection.wire.url == URLS[0]
    # And the next round is waited for longer
    for _ in range(2):
        connection.say(ConnectionLost, "refused")
        world.clock.advance(0)
    world.clock.advance(1.9)
    assert len(connection.wires) == 4
    world.clock.advance(0.1)
    assert len(connection.wires) == 5


def test_a_refused_declaration_is_told_in_the_servers_words(
    world: World, connection: Connection
) -> None:
    words = "PRECONDITION_FAILED - inequivalent arg 'x-max-length'"
    first = connection.wire
    first.say(ChannelLost(first.generation, words))
    settle()
    assert connection.status() == BrokerStatus("backing_off", words)
    assert first.done[-1] == "close"
    assert connection.told == []
    # And the reason stays while it is tried again
    world.clock.advance(0)
    assert connection.status() == BrokerStatus("connecting", words)


def test_a_loss_is_settled_once_and_what_follows_is_stale(
    world: World, connection: Connection
) -> None:
    connection.open()
    old = connection.wire
    connection.say(ConnectionLost, "reset")
    old.say(ConnectionLost(old.generation, "again"))
    old.say(ChannelLost(old.generation, "again"))
    settle()
    assert connection.told == ["opened", "lost"]
    world.clock.advance(1)
    for late in (ConnectionOpened, ChannelOpened, StepDone):
        old.say(late(old.generation))
    settle()
    assert connection.status().state == "connecting"
    connection.open()
    assert connection.told == ["opened", "lost", "opened"]


def test_after_a_steady_time_a_loss_is_the_first_failure(
    world: World, connection: Connection
) -> None:
    for _ in range(4):
        connection.say(ConnectionLost, "refused")
        world.clock.advance(10)
    connection.open()
    world.clock.advance(STEADY_S)
    count = len(connection.wires)
    connection.say(ConnectionLost, "reset")
    world.clock.advance(0)
    assert len(connection.wires) == count + 1


def test_a_server_that_says_nothing_is_given_up(
    world: World, connection: Connection
) -> None:
    world.clock.advance(PATIENCE_S)
    assert connection.wires[0].done == ["close"]
    assert "no answer within 30 s" in connection.status().reason


def test_a_url_that_makes_no_sense_is_a_state(world: World) -> None:
    connection = Connection(world)
    connection.error = ValueError("Unexpected URL scheme")
    connection.say(ConnectionLost, "refused")
    world.clock.advance(0)
    assert connection.status() == BrokerStatus("backing_off", "Unexpected URL scheme")


def test_a_blocked_connection_says_so_until_it_is_not(connection: Connection) -> None:
    connection.open()
    connection.say(ConnectionBlocked, "low on memory")
    status = connection.status()
    assert status.state == "blocked"
    assert "low on memory" in status.reason
    assert not connection.health.is_up
    connection.say(ConnectionUnblocked)
    assert connection.status().state == "open"
    assert connection.told[1:] == ["blocked: low on memory", "blocked: "]
    assert connection.health.is_up


def test_a_new_connection_is_not_blocked(world: World, connection: Connection) -> None:
    connection.open()
    connection.say(ConnectionBlocked, "low on memory")
    connection.say(ConnectionLost, "reset")
    world.clock.advance(1)
    connection.open()
    assert connection.status().state == "open"


def test_it_closes_in_order(world: World, connection: Connection) -> None:
    connection.open()
    world.stop("broker")
    assert connection.wire.done[-1] == "close"
    assert not connection.health.is_up


def test_all_connections_are_open_or_we_are_not_up() -> None:
    health = BrokerHealth()
    assert not health.is_up
    health.report("a", is_open=True)
    assert health.is_up
    health.report("b", is_open=False)
    assert not health.is_up
    health.report("b", is_open=True)
    assert health.is_up


# ----------------------------------------------------------------------------- words


class WrappedError(Exception):
    """As pika wraps what has happened."""

    def __init__(self, exception: BaseException) -> None:
        super().__init__()
        self.exception = exception


def test_the_reason_is_the_innermost() -> None:
    inner = ConnectionRefusedError(111, "Connection refused")
    assert "Connection refused" in reason_of(RuntimeError(WrappedError(inner)))
    assert reason_of(TimeoutError()) == "TimeoutError"


def test_a_user_needs_a_password() -> None:
    with pytest.raises(ValueError, match="no password"):
        parameters("amqp://guest@localhost/", "x")
    with pytest.raises(ValueError, match="scheme"):
        parameters("http+x://localhost/", "x")
