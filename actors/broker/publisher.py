"""The connection that publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.broker.amqp import AmqpConnection

if TYPE_CHECKING:
    from actors.actor import Context
    from actors.broker.link import Link
    from actors.broker.outbox import Outbox


class AmqpPublisher(AmqpConnection):
    """Jobs, events, controls, reports and dead letters."""

    def __init__(self, context: Context, link: Link, outbox: Outbox) -> None:
        super().__init__(context, link)
        self._outbox = outbox
