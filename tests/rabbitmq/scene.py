"""Where a test plays: a virtual host of the server's, which is as new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stage import wait_until

if TYPE_CHECKING:
    from rabbitmq_server import RabbitServer

EMPTY_S = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """A server, and the part of it that the test has for itself."""

    server: RabbitServer
    vhost: str

    @property
    def url(self) -> str:
        return self.server.url(self.vhost)

    def url_through(self, port: int) -> str:
        """Return the same place through a proxy."""
        return self.server.url(self.vhost, port)

    def wait_no_jobs(self) -> None:
        """Wait until the broker has no job left, and see that none was given up."""

        def left() -> dict[str, int]:
            depths = self.server.depths(self.vhost)
            return {name: n for name, n in depths.items() if ".jobs." in name and n}

        wait_until(lambda: not left(), EMPTY_S, "all job queues are empty")
