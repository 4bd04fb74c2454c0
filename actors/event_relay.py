"""The event relay: each job's events to its watchers, with bounded replay."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from actors.actor import Actor, Context
from actors.messages import (
    Accepted,
    EventsReceived,
    Finished,
    JobEvent,
    JobResult,
    JobView,
    NumberedEvent,
    Output,
    Queued,
    Restarted,
    Started,
    SubscribeEvents,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.messages import (
        Boot,
        BrokerStarted,
        LookUpJob,
        UnwatchJob,
        WatchJob,
    )

SWEEP_S = 5.0
TOMBSTONES_MAX = 100_000
EVENT_BYTES = 400
"""What an event costs beside its data: the objects around it, roughly."""


@dataclass(slots=True)
class JobLog:
    """One job as its events tell it."""

    accepted: Accepted
    attempt: int = 1
    state: Literal["queued", "running", "done"] = "queued"
    events: list[NumberedEvent] = field(default_factory=list)
    result: JobResult | None = None
    done_at: float = 0.0
    size: int = 0
    watchers: list[Callable[[tuple[NumberedEvent, ...]], bool]] = field(
        default_factory=list
    )

    def append(self, event: JobEvent, now: float) -> NumberedEvent | None:
        """Take the event in; None when it is stale or the job has ended."""
        if self.state == "done" or event.attempt < self.attempt:
            return None
        if isinstance(event.body, Queued) and self.events:
            return None  # a redelivery tells it anew
        self.attempt = event.attempt
        match event.body:
            case Started():
                self.state = "running"
            case Restarted():
                self.state = "queued"
            case Finished(result):
                self.state, self.result, self.done_at = "done", result, now
        numbered = NumberedEvent(len(self.events) + 1, event)
        self.events.append(numbered)
        data = event.body.data if isinstance(event.body, Output) else b""
        self.size += EVENT_BYTES + len(data)
        return numbered

    def view(self, job_id: str) -> JobView:
        """Return what a reader may keep."""
        return JobView(
            job_id,
            self.accepted.language,
            self.accepted.created_at,
            self.state,
            self.attempt,
            tuple(self.events),
            self.result,
        )


class EventRelay(Actor):
    """Owns the logs of all jobs that are not expired, and their watchers.

    It is rebuilt from the broker's event stream whenever it starts.
    result_ttl_s: how long an ended job is remembered.
    bytes_max: when all logs together are larger, the oldest ended ones expire early.
    """

    def __init__(
        self,
        context: Context,
        broker: str,
        result_ttl_s: float,
        bytes_max: int,
        counts_queued: bool = False,
    ) -> None:
        super().__init__(context)
        self._broker = broker
        self._counts_queued = counts_queued
        self._result_ttl_s = result_ttl_s
        self._bytes_max = bytes_max
        self._logs: dict[str, JobLog] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._expired: OrderedDict[str, None] = OrderedDict()
        self._bytes = 0
        self._offset = 0

    def boot(self, message: Boot) -> None:
        """Read all that the stream still holds."""
        self.tell(self._broker, SubscribeEvents(self.name, 0))
        self.set_timer("sweep", SWEEP_S)

    def clean_up(self, *, crashed: bool) -> None:
        """Send the watchers away: a successor has what they have missed."""
        for log in self._logs.values():
            for deliver in log.watchers:
                deliver(())

    def broker_started(self, message: BrokerStarted) -> None:
        """Read on where the connection before has ended."""
        self.tell(self._broker, SubscribeEvents(self.name, self._offset))

    def events_received(self, message: EventsReceived) -> None:
        """Log the events and hand them to who watches."""
        news = message.next_offset - self._offset
        if message.offset > self._offset or news <= 0:
            return  # ahead of the replay that was asked for, or known already
        self._offset = message.next_offset
        fresh: dict[str, list[NumberedEvent]] = {}
        for event in message.events[-news:]:
            numbered = self._append(event)
            if numbered is not None and self._logs[event.job_id].watchers:
                fresh.setdefault(event.job_id, []).append(numbered)
        for job_id, events in fresh.items():
            watchers = self._logs[job_id].watchers
            batch = tuple(events)
            watchers[:] = [deliver for deliver in watchers if deliver(batch)]
        self._settle()

    def _append(self, event: JobEvent) -> NumberedEvent | None:
        if isinstance(event.body, Accepted):
            if event.job_id not in self._expired:
                self._logs.setdefault(event.job_id, JobLog(event.body))
            return None
        log = self._logs.get(event.job_id)
        if log is None:
            return None  # expired meanwhile
        before = log.size
        numbered = log.append(event, self.now())
        self._bytes += log.size - before
        if numbered is not None and isinstance(event.body, Finished):
            self._ended[event.job_id] = None
        return numbered

    def watch_job(self, message: WatchJob) -> bool:
        """Replay what the watcher has missed, and keep it while there is more."""
        log = self._logs.get(message.job_id)
        if log is None:
            return False
        missed = tuple(log.events[message.after_id :])
        keeps_up = not missed or message.deliver(missed)
        if keeps_up and log.state != "done":
            log.watchers.append(message.deliver)
        return True

    def unwatch_job(self, message: UnwatchJob) -> None:
        """Forget a watcher that has left."""
        log = self._logs.get(message.job_id)
        if log is not None and message.deliver in log.watchers:
            log.watchers.remove(message.deliver)

    def look_up_job(self, message: LookUpJob) -> JobView | Literal["expired"] | None:
        """Answer with the job as it stands."""
        log = self._logs.get(message.job_id)
        if log is not None:
            return log.view(message.job_id)
        return "expired" if message.job_id in self._expired else None

    def time_out(self, name: str) -> None:
        """Expire by age."""
        self._settle()
        self.set_timer("sweep", SWEEP_S)

    def _settle(self) -> None:
        """Let the oldest ended jobs go while they are too old or all too large."""
        limit = self.now() - self._result_ttl_s
        while self._ended:
            job_id = next(iter(self._ended))
            log = self._logs[job_id]
            if log.done_at > limit and self._bytes <= self._bytes_max:
                return
            del self._ended[job_id], self._logs[job_id]
            self._bytes -= log.size
            self._expired[job_id] = None
            if len(self._expired) > TOMBSTONES_MAX:
                self._expired.popitem(last=False)
