"""One HTTP connection: what pywsgi leaves unbounded, and errors as documents."""

from __future__ import annotations

import errno
import io
import socket
import struct
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gevent.pywsgi import WSGIHandler

from gateway.clients import client_key
from gateway.head import is_request_line, read_head
from gateway.incoming import Body, Incoming, discard
from gateway.pace import Pace
from gateway.problems import CONTENT_TYPE, KINDS, Problem
from gateway.replies import LastChunk
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.head import Head

_BUFFER_BYTES = 1024
"""For reading a head; pywsgi's 8 KB were a sixth of what an open event stream holds."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CORKED_BYTES_MAX = 65536
"""Of a longer answer there is no second copy: a slow client would make us keep it."""
_DEAD_PEER_MS = 60_000
_PEER_IS_GONE = (
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EPIPE,
    errno.ETIMEDOUT,
)


class Connection(WSGIHandler):
    """Requests of one client, one after the other."""

    # They are all that pywsgi asks of its own.
    wsgi_input: Body  # type: ignore[assignment]
    headers: Head  # type: ignore[assignment]
    server: Any  # a gateway.server.Server
    ignored_socket_errors = _PEER_IS_GONE
    _corked: bytearray | None = None
    """Bytes that wait for what is sent along with them."""
    _slow: Pace | None = None
    """Of an answer whose client has let us wait."""

    def __init__(self, sock: Any, address: str, server: Any) -> None:
        self._incoming = Incoming(sock, server.fairness.give_way)
        reader = io.BufferedReader(self._incoming, _BUFFER_BYTES)
        super().__init__(sock, address, server, reader)  # type: ignore[call-arg]
        # Without this, an answer in two pieces waits 40 ms for the peer's ack.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A peer that takes nothing for so long, or is gone, frees its place.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)

    def hang_up(self) -> None:
        """End an idle connection: its reader sees the end of the stream."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)

    def MessageClass(self, fp: Any, *_args: Any) -> Any:  # noqa: N802 - pywsgi's name
        """Read the header fields."""
        return read_head(fp, self.request_version or "")

    def _headers(self) -> Iterator[tuple[str, str]]:
        yield from self.headers.in_environ()

    def read_requestline(self) -> str:
        """Wait for the next request, but not for ever."""
        incoming = self._incoming
        incoming.end_within(self.server.config.idle_timeout_s)
        reads = incoming.reads
        self.server.idle.add(self)
        try:
            line = super().read_requestline()
            if line == "\r\n":  # some send one behind a body (RFC 9112, section 2.2)
                line = super().read_requestline()
        finally:
            self.server.idle.discard(self)
        if incoming.reads == reads:  # it has come along with the request before
            incoming.give_way()
        return line

    def read_request(self, raw_requestline: str) -> Any:
        """Read the header, but not for ever; nothing for what is no request."""
        if not is_request_line(raw_requestline):
            return None
        self._incoming.end_within(self.server.config.header_timeout_s)
        try:
            super().read_request(raw_requestline)
        except TimeoutError:
            return None
        # The older one's clients know where a body ends only by this.
        if self._is_old() or self.headers.has_token("connection", "close"):
            self.close_connection = True
        return True

    def handle_one_request(self) -> Any:
        """Answer one request; a document also for what never became a request."""
        outcome = super().handle_one_request()
        if isinstance(outcome, tuple):
            with suppress(OSError):  # who sends rubbish may be gone by now
                self.socket.sendall(_refusal(int(outcome[0])))
                self._linger()
            return None
        if outcome is None and self._incoming.has_more():
            with suppress(OSError):
                self._linger()
        return None if self.server.stopping else outcome

    def _linger(self) -> None:
        """Close our half, and read on, within bounds, until the client does so too.

        To close with unread bytes resets the connection, and the client may lose what
        it was told (RFC 9112, section 9.6).
        """
        self.socket.shutdown(socket.SHUT_WR)
        discard(self._incoming, self.rfile.read1)

    def _handle_client_error(self, error: Exception) -> Any:
        # Not logged: anybody could fill our log, and with what he likes.
        if isinstance(error, OSError):
            return None  # nobody is there to be told
        if isinstance(error, ValueError):
            return HTTPStatus.BAD_REQUEST, b""
        raise error

    def handle_one_response(self) -> None:
        """Answer, and close when the rest of the body was not read."""
        if self._slow is not None:  # one attribute more for all would cost 1.5 KB each
            self._slow = None
        super().handle_one_response()
        if self.wsgi_input.abandoned:
            self.close_connection = True

    def finalize_headers(self) -> None:
        """Complete the head; who asks for it alone is told no length of a stream."""
        if self.command == "HEAD" and self.provided_content_length is None:
            self.provided_content_length = ""  # not made, so not known
        super().finalize_headers()

    def process_result(self) -> None:
        """Write the answer's body, piece by piece."""
        super().process_result()
        self._uncork()

    def write(self, data: bytes) -> None:
        """Write a piece of the body."""
        if isinstance(data, LastChunk):
            self._corked = bytearray()
        super().write(data)

    def _write_with_headers(self, data: bytes) -> None:
        # pywsgi would send the head by itself: one more packet, and a client woken
        # for nothing.
        is_last = self._corked is not None
        if len(data) <= _CORKED_BYTES_MAX:
            self._corked = bytearray()
        try:
            super()._write_with_headers(data)  # type: ignore[misc]  # not in the stubs
        finally:
            if not is_last:
                self._uncork()

    def _sendall(self, data: bytes | bytearray) -> None:
        if self._corked is not None:
            self._corked += data
            return
        sent = self._send(data)
        self.response_length += sent
        if sent < len(data):
            self._send_slowly(memoryview(data)[sent:])

    def _send_slowly(self, data: memoryview) -> None:
        """Send what the socket did not take at once, while its client keeps pace."""
        pace = self._slow = self._slow or Pace(self.server.config)
        self.socket.settimeout(pace.time_left())
        began = time.monotonic()
        try:
            super()._sendall(data)  # type: ignore[misc]  # not in the stubs
        except TimeoutError as error:
            self._cut_off()
            raise OSError(errno.ETIMEDOUT, "the client reads too slowly") from error
        finally:
            self.socket.settimeout(None)
        pace.add(len(data), time.monotonic() - began)

    def _cut_off(self) -> None:
        """Have the kernel throw away what the client has not taken."""
        instruments.rejected_total.labels("slow_reader").inc()
        reset = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

    def _send(self, data: bytes | bytearray) -> int:
        """Return how much the socket takes without a wait: mostly all."""
        try:
            return int(self.socket.send(data, 0, 0.0))  # type: ignore[call-arg]  # gevent
        except OSError:
            return 0  # it fails again, where that is looked at

    def _uncork(self) -> None:
        data, self._corked = self._corked, None
        if data:
            self._sendall(data)

    def get_environ(self) -> dict[str, Any]:
        """Return the environment, with a body that has an end in any case."""
        environ = super().get_environ()
        # For an "upgrade" pywsgi would hand out the bare connection.
        is_chunked = self.headers.get("transfer-encoding") is not None
        length = None if is_chunked else self.content_length or 0
        waits = self.headers.has_token("expect", "100-continue")
        give_leave = self._give_leave if waits and not self._is_old() else None
        self.wsgi_input = environ["wsgi.input"] = Body(
            self._incoming, self.rfile, length, give_leave
        )
        environ["wsgi.input_terminated"] = True
        self._enter(client_key(environ, self.server.config.proxies))
        return environ

    def _enter(self, client: str) -> None:
        """Begin with the request when its client may: then others have gone before."""
        self._incoming.client = client
        self.server.fairness.enter(client)

    def _is_old(self) -> bool:
        return self.request_version == "HTTP/1.0"

    def _give_leave(self) -> None:
        self.socket.sendall(_CONTINUE)

    def log_request(self) -> None:
        """Log nothing: the metrics count, and a line a request costs too much."""


def _refusal(status: int) -> bytes:
    too_long = status == HTTPStatus.REQUEST_URI_TOO_LONG
    code = "uri_too_long" if too_long else "bad_request"
    instruments.rejected_total.labels(code).inc()
    document = Problem(code, f"{KINDS[code][1]}.").document()
    headers: Mapping[str, Any] = {
        "Content-Type": CONTENT_TYPE,
        "Content-Length": len(document),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + document
