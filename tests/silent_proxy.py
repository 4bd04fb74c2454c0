"""A TCP proxy that can fall silent: nothing passes any more, and nobody is told."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTES = 65536


class SilentProxy:
    """Passes connections on to `port`, until they are cut."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._cut = Event()
        self._held: list[socket.socket] = []
        self._server = StreamServer(("127.0.0.1", 0), self._pass_on)
        self._server.start()
        self.port = self._server.server_port or 0
        self.connections = 0

    def cut(self) -> None:
        """Let no byte pass on the connections there are, and end none of them.

        As when a wire is pulled or a firewall forgets: neither side gets a FIN.
        Later connections pass, and are counted anew.
        """
        self._cut.set()
        self._cut = Event()
        self.connections = 0

    def close(self) -> None:
        self._server.stop()
        self.cut()
        for one in self._held:
            one.close()

    def _pass_on(self, near: socket.socket, _: object) -> None:
        self.connections += 1
        cut = self._cut
        far = socket.create_connection(self._to)
        self._held += [near, far]
        pumps = [gevent.spawn(pump, near, far, cut), gevent.spawn(pump, far, near, cut)]
        objects: list[Any] = [*pumps, cut]
        gevent.wait(objects, count=1)
        if cut.is_set():
            gevent.killall(pumps)  # the sockets stay open, and full
            Event().wait()  # the server would close what its handler is done with
        near.close()
        far.close()


def pump(from_: socket.socket, to: socket.socket, cut: Event) -> None:
    """Pass on bytes, and the end of the stream."""
    with suppress(OSError):
        while (piece := from_.recv(PIECE_BYTES)) and not cut.is_set():
            to.sendall(piece)


@contextmanager
def silent_proxy(port: int) -> Iterator[SilentProxy]:
    proxy = SilentProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
