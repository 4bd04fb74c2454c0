"""One client of an HTTP server: a socket, and no more of HTTP than a benchmark needs.

The load generators share the machine with what they measure, so what they do for one
request is kept below a tenth of what the server does.
"""

from __future__ import annotations

import json
import socket
from typing import Any

HOST = "127.0.0.1"
TIMEOUT_S = 300
"""Longer than anything that is measured: it ends a measurement that hangs."""
_PIECE = 1 << 16


class BrokenAnswerError(Exception):
    """The server closed the connection, or said what a server would not say."""


def post_request(path: str, document: Any, **headers: str) -> bytes:
    """Return a whole POST of a JSON document, to be sent as it is."""
    body = json.dumps(document).encode()
    fields = {"Content-Type": "application/json", **headers}
    fields["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n".encode() + body


def get_request(path: str) -> bytes:
    """Return a whole GET, to be sent as it is."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


class RawClient:
    """A kept connection, from the address `source` of this host."""

    def __init__(self, port: int, source: str = HOST) -> None:
        self._socket = socket.create_connection(
            (HOST, port), timeout=TIMEOUT_S, source_address=(source, 0)
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = bytearray()

    def close(self) -> None:
        self._socket.close()

    def send(self, request: bytes) -> None:
        self._socket.sendall(request)

    def receive(self) -> bytes:
        """Return what has come, at least one byte."""
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise BrokenAnswerError(f"closed after {bytes(self._data[-200:])!r}")
        return piece

    def call(self, request: bytes) -> tuple[int, bytes]:
        """Return the status and the body; a chunked one with its chunk heads."""
        self.send(request)
        data = self._data
        data.clear()
        while (head_end := data.find(b"\r\n\r\n")) < 0:
            data += self.receive()
        head = bytes(data[:head_end]).lower()
        if b"\r\ntransfer-encoding: chunked" in head:
            # JSON escapes line ends, so that no event holds the last chunk's text
            while not data.endswith(b"\r\n0\r\n\r\n"):
                data += self.receive()
        else:
            whole = head_end + 4 + _content_length(head)
            while len(data) < whole:
                data += self.receive()
        return int(head[9:12]), bytes(data[head_end + 4 :])


def _content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0
