"""The connection that reads the event stream, for a gateway's relay and fleet.

Whoever subscribes with offset 0 gets all that may still be asked for; with another,
what follows. After a lost connection the reading goes on by itself, from a little
before when the last message was sent, and what has been seen is left out. (Not by the
offset: in a stream that was made anew, as on a broker that has lost its disk, an old
offset is never reached.)

A nack on a stream costs the connection, and so may the end of a consumer. So nothing
is ever handed back: to read from elsewhere, the connection is made anew.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any

from actors.broker.amqp import AmqpConnection
from actors.broker.codec import CodecError
from actors.broker.event_codec import decode_events, decode_report
from actors.broker.seen import Seen, is_new
from actors.broker.topology import EVENTS, Step
from actors.messages import (
    BrokerStarted,
    EventsReceived,
    JobEvent,
    SubscribeEvents,
    WorkerReported,
)

if TYPE_CHECKING:
    from actors.actor import Context
    from actors.broker.connection_messages import (
        ConsumerCancelled,
        MessageArrived,
        StepDone,
    )
    from actors.broker.link import Link
    from actors.messages import Boot

log = logging.getLogger("warmbox.broker")

PREFETCH = 500
MARGIN_S = 120.0
"""Read before what is needed: the run of a job whose acceptance was told before it,
and what clocks differ by."""


class AmqpStream(AmqpConnection):
    """result_ttl_s: from how long ago a new subscriber reads.

    fleet_name: the actor that hears the workers' reports.
    """

    def __init__(
        self,
        context: Context,
        link: Link,
        result_ttl_s: float,
        fleet_name: str,
        customers: str = "root/",
    ) -> None:
        super().__init__(context, link)
        self._result_ttl_s = result_ttl_s
        self._fleet = fleet_name
        self._customers = customers
        self._subscriber = ""
        self._start: Any = None
        """Where the first connection begins to read: an offset, or a span of time."""
        self._next = 0
        self._read_to = 0.0
        """When the newest message that was read was sent, by its sender's clock."""
        self._seen = Seen()
        self._is_empty = False
        self._complained = False

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
        self._start = message.offset or span(self._result_ttl_s + MARGIN_S)
        self._read_to = 0.0
        self._seen = Seen()
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
        start = self._start
        if self._read_to:
            start = span(time.time() - self._read_to + MARGIN_S)
        if self._is_empty and isinstance(start, str):
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
        self._read_to = max(self._read_to, min(message.sent_at, time.time()))
        if self._is_usable:
            self._open_wire.ack(message.tag)
        try:
            self._pass_on(message)
        except CodecError as error:
            if not self._complained:  # there may be thousands of them
                self._complained = True
                log.error(  # noqa: TRY400 - the sender's fault
                    "%s: skips what can't be read: %s", self.name, error
                )

    def _pass_on(self, message: MessageArrived) -> None:
        if message.kind == "report":
            report = decode_report(message.body)
            self.tell(self._fleet, WorkerReported(report))
        elif is_new(self._seen, message.headers):
            run = str(message.headers.get("publisher", ""))
            self._send_on(decode_events(message.body, run), message.headers)

    def _send_on(self, events: tuple[JobEvent, ...], headers: Any) -> None:
        offset = self._next
        follows = headers.get("x-stream-offset")
        self._next = max(offset, follows if isinstance(follows, int) else 0) + 1
        received = EventsReceived(events, offset, self._next)
        self.tell(self._subscriber, received)


def span(seconds: float) -> str:
    """Return a length of time as a stream takes it: from so long ago."""
    return f"{math.ceil(seconds)}s"
