"""Plain HTTP to one of several gateways: each call on a connection of its own."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.event_stream import EventParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.event_stream import ServerEvent

TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Call:
    """An answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def document(self) -> Any:
        return json.loads(self.body)


def call(
    port: int,
    method: str,
    path: str,
    document: object = None,
    headers: dict[str, str] | None = None,
    raw: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Call:
    """Call; an OSError when there is no answer."""
    body = raw if document is None else json.dumps(document).encode()
    kind = "application/json" if raw is None else "application/octet-stream"
    sent = {"Content-Type": kind, **(headers or {})}
    with closing(_connect(port, timeout_s)) as connection:
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Call(response.status, dict(response.headers), response.read())
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error


def follow(port: int, job_id: str, last_id: int) -> Iterator[ServerEvent]:
    """Yield the job's events after `last_id`; an OSError when the stream breaks."""
    parser = EventParser()
    headers = {"Last-Event-ID": str(last_id)} if last_id else {}
    with closing(_connect(port, TIMEOUT_S)) as connection:
        try:
            connection.request("GET", f"/v1/jobs/{job_id}/events", headers=headers)
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise ConnectionError(f"{response.status}: {response.read()!r}")
            while piece := response.read1(65536):
                yield from parser.feed(piece)
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error


def _connect(port: int, timeout_s: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
