"""A proxy on Docker's socket that can be slow, fail, or let go of everything."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
from gevent import socket
from gevent.server import StreamServer

PIECE_BYTES = 65536
METHODS = (b"GET ", b"POST ", b"DELETE ", b"HEAD ", b"PUT ")
BODY = b'{"message": "the engine fails, by the test\'s wish"}'
FAILURE = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: " + str(len(BODY)).encode() + b"\r\n\r\n"
)


class EngineProxy:
    """Passes connections on to the engine's socket.

    delay_s: how long each request waits before it is passed on; fails: whether each is
    answered with an error instead. Neither touches the streams of running containers.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._folder = tempfile.TemporaryDirectory(prefix="warmbox-proxy-")
        self._path = str(Path(self._folder.name) / "docker.sock")
        self._open: set[Any] = set()
        self._server: StreamServer | None = None
        self.delay_s = 0.0
        self.fails = False
        self.mend()

    @property
    def address(self) -> str:
        return f"unix://{self._path}"

    def cut(self) -> None:
        """End all connections, those of containers as well, and take no new ones.

        This is what a client sees of an engine that has been stopped; containers end,
        since they do when their stdin does.
        """
        assert self._server is not None
        self._server.stop()
        Path(self._path).unlink(missing_ok=True)
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Take connections (again)."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._path)
        listener.listen(128)
        self._server = StreamServer(listener, self._pass_on)
        self._server.start()

    def close(self) -> None:
        self.cut()
        self._folder.cleanup()

    def _pass_on(self, near: Any, _: object) -> None:
        far = socket.socket(socket.AF_UNIX)
        self._open |= {near, far}
        try:
            far.connect(self._engine)
            back = gevent.spawn(self._answer, far, near)
            self._ask(near, far)
            back.join()
        except OSError:
            pass  # one of the two has gone
        finally:
            self._open -= {near, far}
            far.close()
            near.close()

    def _ask(self, near: Any, far: Any) -> None:
        while piece := near.recv(PIECE_BYTES):
            if piece.startswith(METHODS):
                gevent.sleep(self.delay_s)
                if self.fails:
                    near.sendall(FAILURE + BODY)
                    break
            far.sendall(piece)
        far.shutdown(socket.SHUT_WR)

    def _answer(self, far: Any, near: Any) -> None:
        with suppress(OSError):
            while piece := far.recv(PIECE_BYTES):
                near.sendall(piece)
            near.shutdown(socket.SHUT_WR)
