"""Where a test plays: a virtual host of the server's, which is as new."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stage import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rabbitmq_server import RabbitServer

EMPTY_S = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """A server, and the part of it that the test has for itself."""

    server: RabbitServer
    vhost: str

    @property
    def url(self) -> str:
        return self.server.address(self.vhost)

    def url_through(self, port: int) -> str:
        """Return the same place through a proxy."""
        return self.url.replace(f":{self.server.port}/", f":{port}/")

    def close_connections(self) -> None:
        """Close every client's connection from the server's side."""
        self.server.ctl("close_all_connections", "--vhost", self.vhost, "by a test")

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """Have the server find that it has too little memory: it takes no messages."""
        self.server.ctl("set_vm_memory_high_watermark", "0.0000001")
        try:
            yield
        finally:
            self.server.ctl("set_vm_memory_high_watermark", "0.4")

    def depths(self) -> dict[str, int]:
        """Return how many messages each queue holds, delivered ones as well."""
        words = ("--quiet", "list_queues", "-p", self.vhost, "--no-table-headers")
        rows = self.server.ctl(*words, "name", "messages").splitlines()
        return {name: int(count) for name, count in (row.split() for row in rows)}

    def wait_no_jobs(self) -> None:
        """Wait until the broker has no job left, and see that none was given up."""

        def left() -> dict[str, int]:
            return {name: n for name, n in self.depths().items() if ".jobs." in name}

        wait_until(
            lambda: not any(left().values()), EMPTY_S, "all job queues are empty"
        )


@contextmanager
def open_scene(server: RabbitServer) -> Iterator[Scene]:
    """Take a virtual host that nobody has used; leave the server running."""
    server.renew()
    try:
        yield Scene(server, server.vhost)
    finally:
        if not server.is_up:
            server.start()
