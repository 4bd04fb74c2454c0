"""A service that answers from a script, over real HTTP on a port of its own."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Script:
    """What to answer, and what was asked."""

    streams: list[bytes | int] = field(default_factory=list)
    """One a connection: what to write before it closes, or a refusing status."""
    problem: tuple[int, dict[str, Any]] | None = None
    languages: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    last_event_ids: list[str | None] = field(default_factory=list)
    systems: list[dict[str, Any] | int] = field(default_factory=list)
    """One a request for the live tree: a document, or a refusing status."""
    authorizations: list[str | None] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    stdin: bytes = b""
    stdin_ended: bool = False
    stdin_statuses: list[int] = field(default_factory=list)
    """What to answer to bytes for the program; at the end of the list, 202."""
    url: str = ""


def event(number: int, name: str, **data: Any) -> bytes:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()


def finished(number: int, outcome: str, **data: Any) -> bytes:
    return event(number, "finished", outcome=outcome, **data)


class Service(ThreadingHTTPServer):
    """The script, listening."""

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script


class Handler(BaseHTTPRequestHandler):
    """Notes every request, and answers as the script says."""

    server: Service

    def do_GET(self) -> None:
        script = self._begin()
        if self.path == "/v1/languages":
            self._answer(200, {"languages": script.languages})
            return
        if self.path == "/v1/jobs/j1":
            self._answer(200, script.document)
            return
        if self.path == "/v1/system":
            script.authorizations.append(self.headers.get("Authorization"))
            system = script.systems.pop(0)
            if isinstance(system, int):
                self._answer(system, {})
            else:
                self._answer(200, system)
            return
        script.last_event_ids.append(self.headers.get("Last-Event-ID"))
        stream = script.streams.pop(0)
        if isinstance(stream, int):
            self._answer(stream, {})
        else:
            self._write(200, stream)

    def do_POST(self) -> None:
        script = self._begin()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "/stdin" in self.path:
            status = script.stdin_statuses.pop(0) if script.stdin_statuses else 202
            if status == HTTPStatus.ACCEPTED:
                script.stdin += body
                script.stdin_ended |= self.path.endswith("?end=1")
            self._answer(status, {})
        elif script.problem:
            self._answer(*script.problem)
        else:
            script.jobs.append(json.loads(body))
            self._answer(202, {"id": "j1"})

    def do_DELETE(self) -> None:
        self._begin()
        self._answer(202, {})

    def log_message(self, *_: Any) -> None:
        pass

    def _begin(self) -> Script:
        self.server.script.asked.append((self.command, self.path))
        return self.server.script

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        self._write(status, json.dumps(document).encode())

    def _write(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(script: Script) -> Iterator[str]:
    server = Service(script)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
