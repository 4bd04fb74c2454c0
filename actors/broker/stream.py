"""The connection that reads the event stream, for a gateway's relay and fleet.

Whoever subscribes with offset 0 gets all that may still be asked for; with another,
what follows. After a lost connection the reading goes on by itself, from a little
before when the last message was sent, and what has been seen is left out; so it does
after a crash of this actor, which what it knows of that outlives. Never by an offset of
the stream: in one that was made anew, as on a broker that has lost its disk, an old
offset is never reached. The offsets that are told only order what is told.

A nack on a stream costs the connection, and so may the end of a consumer. So nothing
is ever handed back: to read from elsewhere, the connection is made anew.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.broker.amqp import AmqpConnection
from actors.broker.codec import CodecError
from actors.broker.event_codec import decode_events, decode_report
from actors.broker.seen import Seen, is_new
from actors.broker.topology import EVENTS, Step
from actors.broker.unreadable import Unreadable
from actors.messages import (
    BrokerStarted,
    EventsReceived,
    JobEvent,
    SubscribeEvents,
    WorkerReported,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.actor import Context
    from actors.broker.connection_messages import (
        ConsumerCancelled,
        MessageArrived,
        StepDone,
    )
    from actors.broker.link import Link
    from actors.messages import Boot

PREFETCH = 500
MARGIN_S = 120.0
"""Read before what is needed: the run of a job whose acceptance was told before it,
and what hosts' clocks differ by, the broker's among them, which counts the span."""


class Reading:
    """What the subscriber has been told; it outlives the actor that tells."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget it all: somebody wants to hear it anew."""
        self.seen = Seen()
        self.read_at: float | None = None
        """When the last message was read, on the clock that nobody sets."""
        self.behind_s = 0.0
        """How long before that it had been sent. Its sender has another clock, and
        either may be set meanwhile: so this is never added up, but taken anew."""

    def note(self, now: float, sent_ago_s: float) -> None:
        """Note that a message was read."""
        self.read_at = now
        self.behind_s = max(sent_ago_s, 0.0)

    def missed_s(self, now: float) -> float | None:
        """Return how far back lies what has not been read; None if nothing has."""
        if self.read_at is None:
            return None
        return now - self.read_at + self.behind_s


class AmqpStream(AmqpConnection):
    """reading: what a predecessor has told, for this one to go on.

    result_ttl_s: from how long ago a new subscriber reads.
    fleet_name: the actor that hears the workers' reports.
    """

    def __init__(
        self,
        context: Context,
        link: Link,
        reading: Reading,
        result_ttl_s: float,
        fleet_name: str,
        customers: str = "root/",
    ) -> None:
        super().__init__(context, link)
        self._reading = reading
        self._result_ttl_s = result_ttl_s
        self._fleet = fleet_name
        self._customers = customers
        self._subscriber = ""
        self._next = 0
        self._is_empty = False
        self._unreadable = Unreadable(self.name)

    def boot(self, message: Boot) -> None:
        """Connect, and call those back whom a predecessor knew."""
        for name in self.directory.names(self._customers):
            if name.endswith("/relay"):
                self.tell(name, BrokerStarted())
        super().boot(message)

    def _steps(self) -> list[Step]:
        return [self._link.topology.events_step()]

    def step_done(self, message: StepDone) -> None:
        """Note whether there is anything in the stream."""
        if not self._is_stale(message.generation):
            self._is_empty = message.message_count == 0
        super().step_done(message)

    def subscribe_events(self, message: SubscribeEvents) -> None:
        """Read for this actor, from its offset on."""
        is_first = not self._subscriber
        self._subscriber = message.subscriber
        self._next = message.offset
        if not message.offset:
            self._reading.begin()
        if not self._is_usable:
            return
        if is_first:
            self._read()
        else:
            self._drop_wire()
            self._connect()

    def _opened(self) -> None:
        if self._subscriber:
            self._read()

    def _read(self) -> None:
        missed_s = self._reading.missed_s(self.now())
        start = span((self._result_ttl_s if missed_s is None else missed_s) + MARGIN_S)
        if self._is_empty:
            # In a stream without any message, a span of time begins a little after
            # now: the first that is published just then would be missed.
            start = "first"
        arguments = {"x-stream-offset": start}
        self._open_wire.consume(EVENTS, "events", PREFETCH, arguments)

    def consumer_cancelled(self, message: ConsumerCancelled) -> None:
        """The stream was deleted or moved: a new connection declares it anew."""
        if not self._is_stale(message.generation):
            self._fail("the stream is gone")

    def message_arrived(self, message: MessageArrived) -> None:
        """Pass on what is new, and let the server send more."""
        if self._is_stale(message.generation):
            return
        self._reading.note(self.now(), time.time() - message.sent_at)
        if self._is_usable:
            self._open_wire.ack(message.tag)
        try:
            self._pass_on(message)
        except CodecError as error:
            is_report = message.kind == "report"
            self._unreadable.note("report" if is_report else "event", str(error))

    def _pass_on(self, message: MessageArrived) -> None:
        if message.kind == "report":
            report = decode_report(message.body)
            self.tell(self._fleet, WorkerReported(report))
        elif is_new(self._reading.seen, message.headers):
            run = str(message.headers.get("publisher", ""))
            refuse = partial(self._unreadable.note, "event")
            self._send_on(decode_events(message.body, run, refuse), message.headers)

    def _send_on(
        self, events: tuple[JobEvent, ...], headers: Mapping[str, Any]
    ) -> None:
        # By the stream's own, where that goes on: a subscriber that has heard some
        # twice, as a new reading may begin elsewhere, knows them by it.
        offset, place = self._next, headers.get("x-stream-offset")
        self._next = max(offset, place if isinstance(place, int) else 0) + 1
        self.tell(self._subscriber, EventsReceived(events, offset, self._next))


def span(seconds: float) -> str:
    """Return a length of time as a stream takes it: from so long ago."""
    return f"{math.ceil(seconds)}s"
