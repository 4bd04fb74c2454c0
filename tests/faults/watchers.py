"""Many open event streams, as cheap as they can be for who watches."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from gevent import socket
from gevent.pool import Pool

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

AT_ONCE = 200
OPEN = b"HTTP/1.1 200"
TIMEOUT_S = 60


class Watchers:
    """Streams of one job; all end at once."""

    def __init__(self, port: int, job_id: str, count: int) -> None:
        self._port = port
        self._request = (
            f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ).encode()
        self._wanted = count
        self._open = ExitStack()
        self.count = 0

    def __enter__(self) -> Self:
        opening = Pool(AT_ONCE)
        for _ in range(self._wanted):
            opening.spawn(self._watch)
        opening.join()
        return self

    def _watch(self) -> None:
        stream = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S)
        self._open.enter_context(stream)
        stream.sendall(self._request)
        answer = stream.recv(4096)
        self.count += answer.startswith(OPEN)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
