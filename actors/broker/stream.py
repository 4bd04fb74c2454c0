"""The connection that reads the event stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.broker.amqp import AmqpConnection

if TYPE_CHECKING:
    from actors.actor import Context
    from actors.broker.link import Link


class AmqpStream(AmqpConnection):
    """A gateway's view of all events."""

    def __init__(
        self, context: Context, link: Link, result_ttl_s: float, fleet_name: str
    ) -> None:
        super().__init__(context, link)
        self._result_ttl_s = result_ttl_s
        self._fleet = fleet_name
