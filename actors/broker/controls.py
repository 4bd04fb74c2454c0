"""The connection that hears what is said to a worker's jobs: stdin, and cancels.

It is another than the one that consumes jobs, so that a worker goes on working while
its control queue can't be had. A control is acknowledged when the language's queue has
it in its mailbox: while that queue is being started anew, it waits here, and what comes
behind it for the same language too.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from actors.broker.amqp import AmqpConnection
from actors.broker.codec import CodecError
from actors.broker.event_codec import decode_control
from actors.broker.seen import Seen, number_of
from actors.broker.topology import Step, control_queue_of, control_step
from actors.broker.unreadable import Unreadable
from actors.messages import ControlsHeard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.actor import Context
    from actors.broker.connection_messages import ConsumerCancelled, MessageArrived
    from actors.broker.link import Link
    from actors.messages import BrokerStarted, JobControl

PREFETCH = 200
RETRY_S = 0.2
"""Until a queue that is being started anew is looked for again."""


class AmqpControls(AmqpConnection):
    """A worker's ear.

    worker_id: names its control queue; what is said to it while it is away for a
    moment waits there.
    queues: the actor that owns each language's jobs.
    consumer_name: the actor that takes jobs once they are heard of here.
    """

    _counts_for_health = False

    def __init__(
        self,
        context: Context,
        link: Link,
        worker_id: str,
        queues: Mapping[str, str],
        consumer_name: str,
    ) -> None:
        super().__init__(context, link)
        self._consumer = consumer_name
        self._worker_id = worker_id
        self._queues = queues
        self._seen = Seen()
        self._unreadable = Unreadable(self.name)
        self._waiting: dict[str, deque[tuple[MessageArrived, JobControl]]] = {}
        """By queue, what it is still to be told."""

    def _steps(self) -> list[Step]:
        topology = self._link.topology
        return [control_step(), *topology.control_queue_steps(self._worker_id)]

    def _opened(self) -> None:
        queue = control_queue_of(self._worker_id)
        self._open_wire.consume(queue, "controls", PREFETCH, {})
        self.tell(self._consumer, ControlsHeard())

    def broker_started(self, message: BrokerStarted) -> None:
        """Tell a consumer that was started anew."""
        if self._is_usable:
            self.tell(self._consumer, ControlsHeard())

    def consumer_cancelled(self, message: ConsumerCancelled) -> None:
        """The queue was deleted or moved: a new connection declares it anew."""
        if not self._is_stale(message.generation):
            self._fail("the control queue is gone")

    def _lost(self) -> None:
        """What waits comes again: no more than the copy here is forgotten."""
        self._waiting.clear()

    def message_arrived(self, message: MessageArrived) -> None:
        """Pass a control on, once."""
        if self._is_stale(message.generation):
            return
        try:
            control = decode_control(message.body)
        except CodecError as error:
            self._unreadable.note("control", str(error))
            self._ack(message)
            return
        queue = self._queues.get(control.language)
        if queue is None:
            self._ack(message)
            return
        self._waiting.setdefault(queue, deque()).append((message, control))
        self._pass_on(queue)

    def _pass_on(self, queue: str) -> None:
        waiting = self._waiting[queue]
        while waiting:
            message, control = waiting[0]
            number = number_of(message.headers)
            is_old = number is not None and self._seen.knows(*number)
            if not is_old and not self.tell(queue, control):
                self.set_timer("pass_on", RETRY_S)
                return
            waiting.popleft()
            if number is not None:
                self._seen.is_new(*number)
            self._ack(message)
        del self._waiting[queue]

    def _ack(self, message: MessageArrived) -> None:
        """Let the server forget it; where the connection is lost, it comes again."""
        if self._is_usable:
            self._open_wire.ack(message.tag)

    def time_out(self, name: str) -> None:
        """See whether the queues are there again."""
        if name == "pass_on":
            for queue in list(self._waiting):
                self._pass_on(queue)
        else:
            super().time_out(name)
