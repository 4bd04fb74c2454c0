"""A connection to RabbitMQ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.actor import Actor, Context
from actors.messages import BrokerStatus, DescribeBroker

if TYPE_CHECKING:
    from actors.broker.link import Link


class AmqpConnection(Actor):
    """One connection with one channel, which comes back by itself."""

    def __init__(self, context: Context, link: Link) -> None:
        super().__init__(context)
        self._link = link

    def describe_broker(self, message: DescribeBroker) -> BrokerStatus:
        """Answer with how the connection stands."""
        return BrokerStatus("connecting", "")
