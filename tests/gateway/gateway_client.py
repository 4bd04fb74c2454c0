"""A running gateway between the twins and a client that speaks HTTP to it."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import requests
from twins import SERVED, SUCCESS, World, catalog

from actors.messages import Finished, Started
from gateway.app import make_app
from gateway.config import GatewayConfig
from gateway.server import GatewayServer
from gateway.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.messages import EventBody, JobResult


class Gateway:
    """A running gateway, its world, and a client of it."""

    def __init__(self, world: World, port: int) -> None:
        self.world = world
        self.port = port
        self.session = requests.Session()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return self.session.request(method, url, timeout=20, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, document: object, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/v1/jobs", json=document, headers=named)

    def submit(self, **fields: Any) -> str:
        """Submit a small program; return its id."""
        answer = self.post({"language": "python", "source": "print()", **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def follow(self, job_id: str, last_id: int | None = None) -> requests.Response:
        """Open the job's event stream."""
        headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
        path = f"/v1/jobs/{job_id}/events"
        return self.get(path, headers=headers, stream=True)

    def connect(self) -> socket.socket:
        """Open a connection for what no HTTP library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def submit_done(self, *bodies: EventBody, result: JobResult = SUCCESS) -> str:
        """Submit a program that has run already when it is looked at."""
        job_id = self.submit()
        self.world.emit(job_id, Started(), *bodies, Finished(result))
        return job_id


Shown = tuple[int, str, Any]


def shown(response: requests.Response) -> Iterator[Shown]:
    """Yield id, name and data of each event as it arrives."""
    fields: dict[str, str] = {}
    for line in response.iter_lines(chunk_size=1, decode_unicode=True):
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            event_id = int(fields.get("id", 0))
            yield event_id, fields["event"], json.loads(fields["data"])
            fields = {}


@contextmanager
def running(
    stop_s: float = 0.2,
    make: Any = make_app,
    served: Any = SERVED,
    **settings: Any,
) -> Iterator[Gateway]:
    """Run a gateway on a port of its own."""
    usual = GatewayConfig(secret=b"secret", port=0, reads_burst=10**6)
    config = replace(usual, **settings)
    world = World()
    turns = Turns()
    app = make(config, world, catalog(), served, turns)
    server = GatewayServer(app, config, None, turns)
    server.start()
    try:
        yield Gateway(world, server.port)
    finally:
        server.stop(stop_s)


def assert_problem(answer: requests.Response, status: int, code: str) -> Any:
    """Return the document, after a look at what every problem has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["title"]
    assert problem["detail"]
    return problem
