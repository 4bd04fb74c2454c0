"""Twins of the actors behind the gateway, and a gateway to talk to over HTTP."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gevent.event import Event

from actors.messages import (
    AwaitEcho,
    AwaitJob,
    AwaitRead,
    BrokerStatus,
    CancelJob,
    DescribeBroker,
    DescribeFleet,
    EventBody,
    FindPosition,
    Finished,
    FleetStatus,
    Job,
    JobEvent,
    JobExpired,
    JobResult,
    JobView,
    LanguageStatus,
    LookUpJob,
    NumberedEvent,
    Outcome,
    Output,
    PublishJob,
    PublishReply,
    Queued,
    ReserveStdin,
    Restarted,
    SendStdin,
    Started,
    StdinClosed,
    TakeToken,
    TokenReply,
    UnwatchJob,
    WatchJob,
)
from images.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.directory import AnyRef
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
                self.attempt += 1
            case Finished(result):
                self.state, self.result = "done", result
        event = JobEvent(self.job.id, self.attempt, body)
        numbered = NumberedEvent(len(self.events) + 1, event)
        self.events.append(numbered)
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
            self.job.fingerprint,
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
        self.stdin_room: str | JobExpired | None = "reserved"
        self.token = TokenReply(
            granted=True, limit=20, remaining=19, retry_after_s=0, reset_s=0.1
        )
        self.on_look_up: Callable[[str], object] = str
        """Called before the relay answers: what it does, the relay has done first."""
        self.on_publish: Callable[[str], object] = str
        self.on_cancel: Callable[[str], object] = str
        self.fleet = {
            name: LanguageStatus(name, version, 5, 0, "")
            for name, version in SERVED.items()
        }
        self.connections = {"root/broker": BrokerStatus("open", "", is_up=True)}
        self.actors: dict[str, AnyRef] = {}
        self.elsewhere: list[Job] = []
        """Jobs that another gateway has taken: heard of once they are awaited."""
        self.on_find_position: Callable[[str], object] = lambda _: 3
        self.relay_lags = False
        """It has not come to tell those who wait, when the echo is heard."""

        self.deaf: set[type] = set()
        """Kinds of message that nobody hears."""
        self.is_unread = False
        """The relay has yet to read the stream; it has done so when that is awaited."""

    def tell(self, name: str, message: object) -> bool:
        if name in self.absent:
            return False
        if name not in self.silent and type(message) not in self.deaf:
            self._hear(message)
        return True

    def ask(self, name: str, message: object, timeout_s: float) -> Any:
        if name in self.absent:
            raise LookupError(name)
        if name in self.silent:
            raise TimeoutError(f"{name} {timeout_s}")
        match message:
            case WatchJob() | LookUpJob() | ReserveStdin():
                return "unread" if self.is_unread else self._relay_says(message)
            case FindPosition(job_id):
                return self.on_find_position(job_id)
            case DescribeFleet():
                return FleetStatus(2, tuple(self.fleet.values()))
            case DescribeBroker() if name in self.connections:
                return self.connections[name]
            case DescribeBroker():
                raise LookupError(name)
        raise AssertionError(message)

    def _look_up(self, job_id: str) -> JobView | JobExpired | None:
        if job_id in self.expired:
            recorded = self.jobs.get(job_id)
            return JobExpired(recorded.job.fingerprint if recorded else "")
        self.on_look_up(job_id)
        return self.jobs[job_id].view() if job_id in self.jobs else None

    def refs(self) -> dict[str, AnyRef]:
        return self.actors

    def emit(self, job_id: str, *bodies: EventBody) -> None:
        """Append to the job's log, and deliver to its watchers as one batch."""
        batch = tuple(self.jobs[job_id].append(body) for body in bodies)
        has_ended = any(isinstance(body, Finished) for body in bodies)
        for watcher in [one for one in self.watchers if one[0] == job_id]:
            if not watcher[1](batch) or has_ended:
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
            case SendStdin() | StdinClosed():
                pass
            case AwaitEcho(reply):
                reply()
            case AwaitRead(reply):
                self.is_unread = False
                reply()
            case AwaitJob(job_id, reply):
                self._await(job_id, reply)
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

    def _await(self, job_id: str, reply: Callable[[], None]) -> None:
        for job in self.elsewhere:
            if job.id == job_id:
                self.jobs[job_id] = RecordedJob(job)
                if not self.relay_lags:
                    reply()

    def _relay_says(self, message: WatchJob | LookUpJob | ReserveStdin) -> Any:
        match message:
            case WatchJob():
                return self._watch(message)
            case LookUpJob(job_id):
                return self._look_up(job_id)
            case _:
                return self.stdin_room

    def _watch(self, message: WatchJob) -> bool:
        if message.job_id not in self.jobs or message.job_id in self.expired:
            return False
        recorded = self.jobs[message.job_id]
        events = recorded.events[message.after_id :]
        keeps_up = not events or message.deliver(tuple(events))
        if keeps_up and recorded.state != "done":
            self.watchers.append((message.job_id, message.deliver))
        self.watched.set()
        return True
