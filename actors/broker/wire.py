"""pika, as a connection actor uses it: one connection, one channel, no surprises.

pika calls back in gevent's hub, where nothing may block and an exception would cost
the connection. So every callback is exactly one message to the owner, which calls the
channel from its handlers; pika writes without blocking.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import gevent
import pika
from gevent.event import Event
from pika.adapters.gevent_connection import (
    GeventConnection,
    _GeventSelectorIOLoop,
)

from actors.broker.connection_messages import (
    ChannelLost,
    ChannelOpened,
    ConnectionBlocked,
    ConnectionLost,
    ConnectionOpened,
    ConnectionUnblocked,
    ConsumerCancelled,
    MessageArrived,
    PublishSettled,
    PublishUnroutable,
    StepDone,
)

if TYPE_CHECKING:
    from pika.channel import Channel

    from actors.broker.topology import Step

HEARTBEAT_S = 6
"""pika gives a silent peer up after twice this and 10 s more."""
TCP_OPTIONS = {"TCP_USER_TIMEOUT": 10_000}
"""In ms: what is sent (a heartbeat, at least) and not even received ends it sooner."""
CONNECT_S = 5.0
HANDSHAKE_S = 10.0
"""For TCP, TLS and AMQP together."""
PERSISTENT = 2

# pika logs every failed attempt with a traceback; the owner tells of an outage once.
logging.getLogger("pika").setLevel(logging.CRITICAL)

Say = Callable[[object], object]


@cache
def ioloop() -> Any:
    """Return the one adapter of gevent's loop, for all connections.

    Each that pika makes by itself opens a pipe which it never closes. None may ever
    be closed: that destroys the loop of the whole process.
    """
    return _GeventSelectorIOLoop(gevent.get_hub())


def parameters(url: str, name: str) -> pika.URLParameters:
    """Return what pika needs to connect; ValueError when the URL makes no sense."""
    try:
        found = pika.URLParameters(url)
    except TypeError as error:  # a user without a password
        raise ValueError("the URL has a user but no password") from error
    found.heartbeat = HEARTBEAT_S
    found.blocked_connection_timeout = None
    found.connection_attempts = 1
    found.socket_timeout = CONNECT_S
    found.stack_timeout = HANDSHAKE_S
    found.tcp_options = found.tcp_options or TCP_OPTIONS
    found.client_properties = {"connection_name": f"warmbox {name}"}
    return found


def reason_of(error: BaseException) -> str:
    """Return the innermost cause as one sentence, in the server's words if any."""
    inner = getattr(error, "exception", None)
    exceptions = getattr(error, "exceptions", None) or error.args
    if inner is None and exceptions and isinstance(exceptions[-1], BaseException):
        inner = exceptions[-1]
    if isinstance(inner, BaseException):
        return reason_of(inner)
    text = getattr(error, "reply_text", "") or str(error)
    return text or type(error).__name__


class Wire:
    """One pika connection, from its first packet to its last.

    name: shown in RabbitMQ's own lists.
    say: hands a message to the owner.
    """

    def __init__(self, url: str, name: str, generation: int, say: Say) -> None:
        self.generation = generation
        self.closed = Event()
        """Set when nothing of the connection is left."""
        self._say = say
        self._channel: Channel | None = None
        self._connection = GeventConnection(
            parameters(url, name),
            on_open_callback=lambda _: say(ConnectionOpened(generation)),
            on_open_error_callback=self._end,
            on_close_callback=self._end,
            custom_ioloop=ioloop(),
        )
        self._connection.add_on_connection_blocked_callback(
            lambda _, frame: say(ConnectionBlocked(generation, frame.method.reason))
        )
        self._connection.add_on_connection_unblocked_callback(
            lambda *_: say(ConnectionUnblocked(generation))
        )

    def _end(self, _: object, error: BaseException | str) -> None:
        self.closed.set()
        reason = error if isinstance(error, str) else reason_of(error)
        self._say(ConnectionLost(self.generation, reason))

    @property
    def is_usable(self) -> bool:
        """Tell whether the channel can be called: it may be gone before we hear."""
        return self._channel is not None and bool(self._channel.is_open)

    def open_channel(self) -> None:
        """Ask for the channel; a `ChannelOpened` follows."""
        if not self._connection.is_open:
            return  # a ConnectionLost is on its way
        generation, say = self.generation, self._say
        channel = self._connection.channel(
            on_open_callback=lambda _: say(ChannelOpened(generation))
        )
        channel.add_on_close_callback(
            lambda _, error: say(ChannelLost(generation, reason_of(error)))
        )
        channel.add_on_cancel_callback(
            lambda frame: say(ConsumerCancelled(generation, frame.method.consumer_tag))
        )
        channel.add_on_return_callback(
            lambda _, __, properties, ___: say(
                PublishUnroutable(generation, properties.message_id or "")
            )
        )
        self._channel = channel

    def close(self) -> None:
        """Begin to close whatever there is; `closed` is set at its end."""
        if not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()

    # ---------------------------------------------------- while `is_usable` only

    def run(self, step: Step) -> None:
        """Declare; a `StepDone` follows, or the channel is lost."""

        def done(frame: Any) -> None:
            count = getattr(frame.method, "message_count", 0)
            self._say(StepDone(self.generation, count))

        getattr(self._open_channel, step.method)(**step.arguments, callback=done)

    def confirm_publishes(self) -> None:
        """Number what is published from 1 on, and tell what becomes of it."""

        def settled(frame: Any) -> None:
            method = frame.method
            taken = isinstance(method, pika.spec.Basic.Ack)
            tag, multiple = method.delivery_tag, method.multiple
            self._say(PublishSettled(self.generation, tag, multiple, taken))

        self._open_channel.confirm_delivery(settled)

    def publish(
        self, exchange: str, routing_key: str, body: bytes, **properties: Any
    ) -> None:
        """Publish to where somebody should be: what finds no queue comes back."""
        self._open_channel.basic_publish(
            exchange,
            routing_key,
            body,
            pika.BasicProperties(
                delivery_mode=PERSISTENT, timestamp=int(time.time()), **properties
            ),
            mandatory=exchange == "",  # nobody may hear a fanout: that is no fault
        )

    def consume(
        self, queue: str, consumer: str, prefetch: int, arguments: Mapping[str, Any]
    ) -> None:
        """Have up to `prefetch` unacknowledged messages of the queue delivered."""

        def arrived(_: Any, method: Any, properties: Any, body: bytes) -> None:
            self._say(
                MessageArrived(
                    self.generation,
                    consumer,
                    method.delivery_tag,
                    properties.type or "",
                    properties.headers or {},
                    body,
                    float(properties.timestamp or 0),
                )
            )

        channel = self._open_channel
        channel.basic_qos(prefetch_count=prefetch)
        channel.basic_consume(
            queue, arrived, consumer_tag=consumer, arguments=dict(arguments)
        )

    def cancel(self, consumer: str) -> None:
        """End a consumer; pika hands back what still arrives for it."""
        self._open_channel.basic_cancel(consumer)

    def ack(self, tag: int) -> None:
        """Let the server forget a message."""
        self._open_channel.basic_ack(tag)

    def hand_back(self, tag: int) -> None:
        """Have a message delivered again, here or elsewhere."""
        self._open_channel.basic_nack(tag, requeue=True)

    @property
    def _open_channel(self) -> Channel:
        assert self._channel is not None  # noqa: S101 - see `is_usable`
        return self._channel
