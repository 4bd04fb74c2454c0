"""The event relay: each job's events to its watchers, with bounded replay."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from actors.actor import Actor, Context
from actors.job_log import JobLog
from actors.messages import (
    Accepted,
    EventsReceived,
    JobEvent,
    JobView,
    NumberedEvent,
    Queued,
    SubscribeEvents,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.messages import (
        AwaitJob,
        Boot,
        BrokerStarted,
        LookUpJob,
        UnwatchJob,
        WatchJob,
    )

SWEEP_S = 5.0
TOMBSTONES_MAX = 100_000
AWAITED_MAX = 10_000
AWAIT_S = 10.0
"""Whoever waits for an unknown job has given up after so long."""


class EventRelay(Actor):
    """Owns the logs of all jobs that are not expired, and their watchers.

    It is rebuilt from the broker's event stream whenever it starts.
    result_ttl_s: how long an ended job is remembered.
    bytes_max: when all logs together are larger, the oldest ended ones expire early.
    is_answered: the broker answers each subscription at once with what there is, even
    if that is nothing, and before that nothing is said of any job.
    counts_queued: tell a job's place in its queue, as far as it can be known here; else
    the queue tells the exact one at once.
    """

    def __init__(
        self,
        context: Context,
        broker: str,
        result_ttl_s: float,
        bytes_max: int,
        counts_queued: bool = False,
        is_answered: bool = False,
    ) -> None:
        super().__init__(context)
        self._broker = broker
        self._counts_queued = counts_queued
        self._is_unread = is_answered
        self._result_ttl_s = result_ttl_s
        self._bytes_max = bytes_max
        self._logs: dict[str, JobLog] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._expired: OrderedDict[str, None] = OrderedDict()
        self._awaited: dict[str, list[tuple[float, Callable[[], None]]]] = {}
        self._queued: dict[str, int] = {}
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
        self._logs.clear()  # a dead actor is garbage that is not collected at once

    def broker_started(self, message: BrokerStarted) -> None:
        """Read on where the connection before has ended."""
        self.tell(self._broker, SubscribeEvents(self.name, self._offset))

    def events_received(self, message: EventsReceived) -> None:
        """Log the events and hand them to who watches."""
        if message.offset <= self._offset:
            self._is_unread = False
        if message.offset > self._offset or message.next_offset <= self._offset:
            return  # ahead of the replay that was asked for, or known already
        events = message.events
        if message.offset < self._offset:  # a broker whose offsets count events
            events = events[self._offset - message.next_offset :]
        self._offset = message.next_offset
        fresh: dict[str, list[NumberedEvent]] = {}
        for event in events:
            numbered = self._append(event)
            if numbered and self._logs[event.job_id].watchers:
                fresh.setdefault(event.job_id, []).extend(numbered)
        for job_id, shown in fresh.items():
            log = self._logs[job_id]
            batch = tuple(shown)
            staying = [deliver for deliver in log.watchers if deliver(batch)]
            log.watchers[:] = staying if log.state != "done" else ()
        self._settle()

    def _append(self, event: JobEvent) -> tuple[NumberedEvent, ...]:
        if isinstance(event.body, Accepted):
            self._accept(event.job_id, event.body)
            return ()
        log = self._logs.get(event.job_id)
        if log is None:
            return ()  # expired meanwhile
        return self._log(event, log)

    def _log(self, event: JobEvent, log: JobLog) -> tuple[NumberedEvent, ...]:
        size, state = log.size, log.state
        numbered = log.append(event, self.now())
        self._bytes += log.size - size
        if log.state != state:
            language = log.accepted.language
            change = (log.state == "queued") - (state == "queued")
            self._queued[language] = self._queued.get(language, 0) + change
            if log.state == "done":
                self._ended[event.job_id] = None
        return numbered

    def _accept(self, job_id: str, accepted: Accepted) -> None:
        """Open the job's log; who has told of it first is no matter."""
        if job_id in self._expired or job_id in self._logs:
            return
        log = self._logs[job_id] = JobLog(accepted)
        turn = self._queued.get(accepted.language, 0) + 1
        self._queued[accepted.language] = turn
        if self._counts_queued:
            self._log(JobEvent(job_id, 1, Queued(turn)), log)
        for _, reply in self._awaited.pop(job_id, ()):
            reply()

    def await_job(self, message: AwaitJob) -> None:
        """Answer when the job is known, if it is not yet."""
        if message.job_id in self._logs or message.job_id in self._expired:
            message.reply()
        elif len(self._awaited) < AWAITED_MAX:
            waiting = self._awaited.setdefault(message.job_id, [])
            waiting.append((self.now() + AWAIT_S, message.reply))

    def watch_job(self, message: WatchJob) -> bool | Literal["unread"]:
        """Replay what the watcher has missed, and keep it while there is more."""
        if self._is_unread:
            return "unread"
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

    def look_up_job(
        self, message: LookUpJob
    ) -> JobView | Literal["expired", "unread"] | None:
        """Answer with the job as it stands."""
        if self._is_unread:
            return "unread"
        log = self._logs.get(message.job_id)
        if log is not None:
            return log.view(message.job_id)
        return "expired" if message.job_id in self._expired else None

    def time_out(self, name: str) -> None:
        """Expire by age."""
        self._settle()
        now = self.now()
        self._awaited = {
            job_id: waiting
            for job_id, waiting in self._awaited.items()
            if waiting[-1][0] > now
        }
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
