"""A connection to RabbitMQ that comes back by itself.

Theory of operation
===================

A process has up to three of these, each with a TCP connection of its own, so that
none waits for another: one publishes (the server stops reading from it when memory
or disk run low), one consumes jobs and controls, one reads the stream of events (a
nack there would cost the connection). Each is an actor that owns one `Wire`, which is
one pika connection with one channel.

    connecting --ConnectionOpened--> opening --all steps done--> open
        |                               |                         |
        +---- ConnectionLost, ChannelLost, or out of patience ----+
                                        |
                                   backing_off --retry--> connecting (the next URL)

and `closing` from everywhere, in an orderly end. In `opening` the channel is opened and
everything is declared that the connection needs. All of it is idempotent, but a server
that holds a queue with other arguments closes the channel (406); its words name the
argument. This is an outage like any other: a state, with its reason kept for who asks,
and tried again, since an operator may mend it.

A wire that is given up gets no second thought: it is told to close, and whatever it
still says carries an old generation and is dropped. So is a channel that the server
closes. What was in flight on it is the subclass's to settle, in `_lost`.

pika's callbacks come from gevent's hub; each is one message to this actor, and the
channel is called from the handlers only. Between a loss and the message that tells of
it the channel is closed already: `_is_usable` is asked before each use.

`blocked` is no state of its own but a flag on `open`: the connection stands, but the
server reads nothing from it.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

from actors.actor import Actor, Context
from actors.broker.topology import Step
from actors.directory import send
from actors.messages import BrokerStatus, DescribeBroker

if TYPE_CHECKING:
    from actors.broker.connection_messages import (
        ChannelLost,
        ChannelOpened,
        ConnectionBlocked,
        ConnectionLost,
        ConnectionOpened,
        ConnectionUnblocked,
        StepDone,
    )
    from actors.broker.link import Link
    from actors.broker.wire import Wire
    from actors.messages import Boot

log = logging.getLogger("warmbox.broker")

PATIENCE_S = 30.0
"""From the first packet to `open`; pika's own limits end with the handshake."""
STEADY_S = 10.0
"""A connection that stood so long had no fault: its loss is the first failure."""
CLOSE_S = 2.0
"""What an orderly end waits for the last bytes to leave."""

_generations = itertools.count(1)  # of all connections: a successor takes none for its


class AmqpConnection(Actor):
    """One connection with one channel; subclasses say what it is for."""

    _counts_for_health = True
    """Whether nothing can be taken while this one is not open."""

    def __init__(self, context: Context, link: Link) -> None:
        super().__init__(context)
        self._link = link
        self._wire: Wire | None = None
        self._state = "connecting"
        self._reason = "it has just begun to connect"
        self._blocked = ""
        self._failures = 0
        self._open_since = 0.0
        self._to_declare: list[Step] = []

    # ------------------------------------------------------------ to override

    def _steps(self) -> list[Step]:
        """Return what this connection needs on the server."""
        return self._link.topology.steps()

    def _opened(self) -> None:
        """Begin to work: the channel is new, and all is declared."""

    def _lost(self) -> None:
        """Settle what was in flight: the channel is gone."""

    def _blocking_changed(self) -> None:
        """The server has stopped to read from us, or has begun again."""

    # ------------------------------------------------------------- what it is

    def describe_broker(self, message: DescribeBroker) -> BrokerStatus:
        """Answer with how the connection stands."""
        if self._state == "open" and self._blocked:
            return BrokerStatus("blocked", f"the broker takes nothing: {self._blocked}")
        return BrokerStatus(self._state, self._reason, self._link.health.is_up)

    @property
    def _is_usable(self) -> bool:
        wire = self._wire
        return self._state == "open" and wire is not None and wire.is_usable

    @property
    def _open_wire(self) -> Wire:
        assert self._wire is not None  # noqa: S101 - `_is_usable` was asked
        return self._wire

    def _is_stale(self, generation: int) -> bool:
        return self._wire is None or self._wire.generation != generation

    def _become(self, state: str, reason: str = "") -> None:
        self._state, self._reason = state, reason
        is_open = state == "open" and not self._blocked
        if self._counts_for_health:
            self._link.health.report(self.name, is_open=is_open)

    # --------------------------------------------------------- the state machine

    def boot(self, message: Boot) -> None:
        """Begin to connect."""
        self._connect()

    def _connect(self) -> None:
        urls = self._link.urls
        url = urls[self._failures % len(urls)]
        self._become("connecting", self._reason)
        self.set_timer("patience", PATIENCE_S)
        ref, generation = self.actor_ref, next(_generations)
        try:
            self._wire = self._link.dial(
                url, self.name, generation, lambda message: send(ref, message)
            )
        except (OSError, ValueError) as error:  # a file for TLS, or the URL itself
            self._fail(str(error))

    def connection_opened(self, message: ConnectionOpened) -> None:
        """Open the channel."""
        if not self._is_stale(message.generation):
            self._become("opening", self._reason)
            self._open_wire.open_channel()

    def channel_opened(self, message: ChannelOpened) -> None:
        """Declare what is needed, one by one."""
        if not self._is_stale(message.generation):
            self._to_declare = self._steps()
            self._declare_next()

    def step_done(self, message: StepDone) -> None:
        """Go on with the next declaration."""
        if not self._is_stale(message.generation):
            self._declare_next()

    def _declare_next(self) -> None:
        if not self._open_wire.is_usable:
            return  # the message that says why is on its way
        if self._to_declare:
            self._open_wire.run(self._to_declare.pop(0))
            return
        self.cancel_timer("patience")
        self._open_since = self.now()
        self._become("open")
        log.info("%s: connected to the broker", self.name)
        self._opened()

    def connection_lost(self, message: ConnectionLost) -> None:
        """Come back later."""
        if not self._is_stale(message.generation):
            self._fail(message.reason)

    def channel_lost(self, message: ChannelLost) -> None:
        """Come back later, with a new connection too."""
        if not self._is_stale(message.generation):
            self._fail(message.reason)

    def connection_blocked(self, message: ConnectionBlocked) -> None:
        """Publish nothing more."""
        if not self._is_stale(message.generation):
            log.warning("%s: the broker is %s", self.name, message.reason)
            self._set_blocked(message.reason or "low on resources")

    def connection_unblocked(self, message: ConnectionUnblocked) -> None:
        """Go on publishing."""
        if not self._is_stale(message.generation):
            log.info("%s: the broker takes messages again", self.name)
            self._set_blocked("")

    def _set_blocked(self, reason: str) -> None:
        self._blocked = reason
        self._become(self._state, self._reason)
        self._blocking_changed()

    def _fail(self, reason: str) -> None:
        """Give the wire up, and try the next URL: at once, or after a full round."""
        was_open = self._state == "open"
        if was_open and self.now() - self._open_since >= STEADY_S:
            self._failures = 0
        if reason != self._reason:  # an outage is told once, not with each attempt
            log.warning("%s: no connection to the broker: %s", self.name, reason)
        self._drop_wire()
        self._failures += 1
        rounds, rest = divmod(self._failures, len(self._link.urls))
        self._become("backing_off", reason)
        self.set_timer("retry", 0.0 if rest else self._link.backoff(rounds))
        if was_open:
            self._lost()

    def _drop_wire(self) -> None:
        self.cancel_timer("patience")
        self._blocked = ""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def time_out(self, name: str) -> None:
        """Try again, or give up trying for now."""
        if name == "retry":
            self._connect()
        elif name == "patience":
            self._fail(f"no answer within {PATIENCE_S:g} s")
        else:
            super().time_out(name)

    # --------------------------------------------------------------------- end

    def _close(self) -> None:
        """End for good: what was delivered and not acknowledged is handed back."""
        self.cancel_timer("retry")
        self._drop_wire()
        self._become("closing", "the service stops")

    def clean_up(self, *, crashed: bool) -> None:
        """Close in order; what was written before gets a moment to leave."""
        wire = self._wire
        self._close()
        if wire is not None:
            wire.closed.wait(CLOSE_S)
