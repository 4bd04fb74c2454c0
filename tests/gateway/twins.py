"""Twins of the actors behind the gateway, and a gateway to talk to over HTTP."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import requests
from gevent.event import Event

from actors.messages import (
    CancelJob,
    DescribePool,
    EventBody,
    FindPosition,
    Finished,
    Job,
    JobEvent,
    JobResult,
    JobView,
    LookUpJob,
    NumberedEvent,
    Outcome,
    Output,
    PoolStatus,
    PublishJob,
    PublishReply,
    Queued,
    Restarted,
    SendStdin,
    Started,
    TakeToken,
    TokenReply,
    UnwatchJob,
    WatchJob,
)
from gateway.app import make_app
from gateway.config import GatewayConfig
from gateway.server import GatewayServer
from images.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from images.catalog import Catalog

IMAGES = Path(__file__).parents[2] / "images"
SERVED = {"python": "Python 3.13.5", "c": "gcc 14.2.0"}
SUCCESS = JobResult(Outcome.SUCCESS, exit_code=0)
HELLO = Output("run", "stdout", b"hello\n")


@cache
def catalog() -> Catalog:
    return load_catalog(IMAGES)


class RecordedJob:
    """A job's log as the relay keeps it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.attempt = 1
        self.state: Literal["queued", "running", "done"] = "queued"
        self.result: JobResult | None = None
        self.events: list[NumberedEvent] = []

    def append(self, body: EventBody) -> NumberedEvent:
        match body:
            case Started():
                self.state = "running"
            case Restarted():
                self.state = "queued"
            case Finished(result):
                self.state, self.result = "done", result
        event = JobEvent(self.job.id, self.attempt, body)
        numbered = NumberedEvent(len(self.events) + 1, event)
        self.events.append(numbered)
        if isinstance(body, Restarted):
            self.attempt += 1
        return numbered

    def view(self) -> JobView:
        return JobView(
            self.job.id,
            self.job.language,
            self.job.created_at,
            self.state,
            self.attempt,
            tuple(self.events),
            self.result,
        )


class World:
    """A directory whose actors keep the contract of the real ones, at once."""

    def __init__(self) -> None:
        self.jobs: dict[str, RecordedJob] = {}
        self.expired: set[str] = set()
        self.watchers: list[tuple[str, Any]] = []
        self.watched = Event()
        self.unwatched = Event()
        self.told: list[object] = []
        self.absent: set[str] = set()
        self.silent: set[str] = set()
        self.refuse: str | None = None
        self.token = TokenReply(
            granted=True, limit=20, remaining=19, retry_after_s=0, reset_s=0.1
        )
        self.on_publish: Callable[[str], object] = str
        self.on_cancel: Callable[[str], object] = str
        self.pools = {name: PoolStatus(name, 5, 0, "") for name in SERVED}

    def tell(self, name: str, message: object) -> bool:
        if name in self.absent:
            return False
        if name not in self.silent:
            self._hear(message)
        return True

    def ask(self, name: str, message: object, timeout_s: float) -> Any:
        if name in self.absent:
            raise LookupError(name)
        if name in self.silent:
            raise TimeoutError(f"{name} {timeout_s}")
        match message:
            case WatchJob():
                return self._watch(message)
            case LookUpJob(job_id) if job_id in self.expired:
                return "expired"
            case LookUpJob(job_id):
                return self.jobs[job_id].view() if job_id in self.jobs else None
            case FindPosition():
                return 3
            case DescribePool():
                return self.pools[name.split("/")[2]]
        raise AssertionError(message)

    def emit(self, job_id: str, *bodies: EventBody) -> None:
        """Append to the job's log, and deliver to its watchers as one batch."""
        batch = tuple(self.jobs[job_id].append(body) for body in bodies)
        for watcher in [one for one in self.watchers if one[0] == job_id]:
            if not watcher[1](batch):
                self.watchers.remove(watcher)

    def only_job(self) -> RecordedJob:
        (recorded,) = self.jobs.values()
        return recorded

    def _hear(self, message: object) -> None:
        self.told.append(message)
        match message:
            case TakeToken(_, reply):
                reply(self.token)
            case PublishJob(job, reply):
                self._publish(job, reply)
            case CancelJob(job_id):
                self.on_cancel(job_id)
            case UnwatchJob(job_id, deliver):
                if (job_id, deliver) in self.watchers:
                    self.watchers.remove((job_id, deliver))
                self.unwatched.set()
            case SendStdin():
                pass
            case _:
                raise AssertionError(message)

    def _publish(self, job: Job, reply: Callable[[PublishReply], None]) -> None:
        if self.refuse is not None:
            reply(PublishReply(self.refuse))  # type: ignore[arg-type]
        elif job.id in self.jobs:
            reply(PublishReply("duplicate", self.jobs[job.id].job.fingerprint))
        else:
            self.jobs[job.id] = RecordedJob(job)
            self.emit(job.id, Queued(1))
            reply(PublishReply("accepted"))
            self.on_publish(job.id)

    def _watch(self, message: WatchJob) -> bool:
        if message.job_id not in self.jobs:
            return False
        events = self.jobs[message.job_id].events[message.after_id :]
        if message.deliver(tuple(events)):
            self.watchers.append((message.job_id, message.deliver))
        self.watched.set()
        return True


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
def running(stop_s: float = 0.2, **settings: Any) -> Iterator[Gateway]:
    """Run a gateway on a port of its own."""
    config = replace(GatewayConfig(secret=b"secret", port=0), **settings)
    world = World()
    server = GatewayServer(make_app(config, world, catalog(), SERVED), config)
    server.start()
    try:
        yield Gateway(world, server.port)
    finally:
        server.stop(stop_s)
