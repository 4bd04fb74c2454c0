"""The connection that consumes jobs and controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.broker.amqp import AmqpConnection

if TYPE_CHECKING:
    from actors.actor import Context
    from actors.broker.link import Link


class AmqpConsumer(AmqpConnection):
    """A worker's connection."""

    def __init__(
        self,
        context: Context,
        link: Link,
        prefetch: int,
        worker_id: str,
        publisher_name: str,
    ) -> None:
        super().__init__(context, link)
        self._prefetch = prefetch
        self._worker_id = worker_id
        self._publisher = publisher_name
