"""The listening socket and its connections: pywsgi, held to bounds of its own."""

from __future__ import annotations

import logging
from collections import Counter
from socket import IPPROTO_TCP, TCP_NOTSENT_LOWAT
from typing import TYPE_CHECKING, Any

import gevent
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from gateway.clients import host_of, is_local, is_proxy
from gateway.connection import Connection
from gateway.fairness import Fairness
from metrics import instruments

if TYPE_CHECKING:
    from socket import socket

    from gateway.config import GatewayConfig
    from gateway.turns import Turns

_log = logging.getLogger(__name__)

_BACKLOG = 1024
_UNSENT_BYTES = 131_072


class _Served(gevent.Greenlet):  # type: ignore[type-arg]  # not when it runs
    """A new connection's greenlet: it begins while the connection is accepted.

    By gevent's way it would begin when all others that can run have had their turn.
    With a thousand requests under way that takes a quarter of a second, which is all
    that the home page needs.
    """

    def start(self) -> None:
        """Run up to the first wait."""
        super().start()
        if gevent.getcurrent() is self.parent:  # the event loop, as always
            self.switch()


class _Server(WSGIServer):
    """A pywsgi server that knows its settings and its idle connections."""

    def __init__(
        self, app: Any, config: GatewayConfig, listener: socket | None, turns: Turns
    ) -> None:
        super().__init__(
            listener or (config.host, config.port),
            app,
            backlog=None if listener else _BACKLOG,
            # Named here, or else pywsgi asks the resolver, which may take long.
            environ={
                "SERVER_NAME": config.host,
                # Then it accepts one connection at a time, and leaves others theirs.
                "wsgi.multiprocess": listener is not None,
            },
            spawn=Pool(config.connections_max, _Served),
            log=None,
            error_log=_log,
            handler_class=Connection,
        )
        self.config = config
        self.fairness = Fairness(turns)
        self.idle: set[Connection] = set()
        self.stopping = False
        self._open: Counter[str] = Counter()

    def handle(self, sock: Any, address: Any) -> None:
        """Serve a connection, or close it at once when its client has too many."""
        peer = str(address[0]) if address else ""
        if is_local(peer) or is_proxy(peer, self.config.proxies):
            super().handle(sock, address)
            return
        host = host_of(peer)
        if self._open[host] >= self.config.connections_per_client_max:
            instruments.rejected_total.labels("connections").inc()
            return
        self._open[host] += 1
        try:
            self.fairness.enter(host)
            super().handle(sock, address)
        finally:
            self._open[host] -= 1
            if not self._open[host]:
                del self._open[host]


def _keep_little_unsent(listener: Any) -> None:
    """Have the kernel take no more of an answer than is needed to keep a client busy.

    Connections take it over. Else it keeps megabytes for each that reads nothing.
    """
    listener.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, _UNSENT_BYTES)


class GatewayServer:
    """Serves the application over HTTP, from `start` to `stop`.

    listener: a socket that listens already, which other processes may share. turns: the
    application's, for who asks much and for who is answered much alike.
    """

    def __init__(
        self,
        app: Any,
        config: GatewayConfig,
        listener: socket | None,
        turns: Turns,
    ) -> None:
        self._config = config
        self._server = _Server(app, config, listener, turns)

    @property
    def port(self) -> int:
        """The port that is listened on; chosen by the system if 0 was asked for."""
        return self._server.server_port or 0

    def start(self) -> None:
        """Begin to listen. Raises OSError when that is not possible."""
        try:
            self._server.start()
            _keep_little_unsent(self._server.socket)
        except OSError as error:
            where = f"{self._config.host}:{self._config.port}"
            reason = error.strerror or str(error)
            raise OSError(error.errno, f"cannot listen on {where}: {reason}") from error

    def stop(self, timeout_s: float) -> None:
        """Stop listening, let requests end for `timeout_s`, then cut off the rest."""
        self._server.stopping = True
        for connection in list(self._server.idle):
            connection.hang_up()
        self._server.stop(timeout_s)
