"""Ports for the servers that tests start, of which none is given out twice."""

from __future__ import annotations

import itertools
import secrets
import socket
from contextlib import suppress

FIRST, CLIENT_PORTS = 10_000, 32_768
"""From the second on, Linux gives ports to clients by itself."""

_offset = secrets.randbelow(CLIENT_PORTS - FIRST)
_turn = itertools.count(_offset)


def free_port() -> int:
    """Return a port that is free, and that nobody else here is given.

    A server listens only some time after it was given its port: two that were given
    the same by chance would both find it free. Nor is it a port of clients, of which
    one may be given just that port meanwhile, and finds itself connected to itself.
    """
    for number in _turn:
        port = FIRST + number % (CLIENT_PORTS - FIRST)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the turn has no end")
