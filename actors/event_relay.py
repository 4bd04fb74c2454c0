"""The event relay: each job's events to its watchers, with bounded replay."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from actors.actor import Actor, Context
from actors.directory import send
from actors.holdings import AT_ONCE_MAX, Holdings
from actors.job_log import JobLog
from actors.messages import (
    Accepted,
    AwaitEcho,
    EventsReceived,
    Expired,
    JobEvent,
    JobExpired,
    JobView,
    NumberedEvent,
    Queued,
    StreamRead,
    SubscribeEvents,
)
from actors.stdin_room import StdinRoom
from actors.tombstones import TOMBSTONES_MAX, Tombstones

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.admission import Admission
    from actors.messages import (
        AwaitJob,
        AwaitRead,
        Boot,
        BrokerStarted,
        LookUpJob,
        ReserveStdin,
        StdinClosed,
        UnwatchJob,
        WatchJob,
    )
    from actors.stdin_room import Reserved

MIB = 1 << 20
SWEEP_S = 5.0
GO_ON_S = 0.01
"""Where one sweep could not let all go that has to."""
UNHEARD_S = 3600.0
"""And twice the time of results: a job that long without an end counts for nobody. By
then the stream may have forgotten it, and a gateway that starts does not know it."""
ECHO_RETRY_S = 2.0
"""The fleet may have been started anew since it was asked, or the broker been away."""
AWAITED_MAX = 10_000
AWAIT_S = 10.0
"""Whoever waits for an unknown job has given up after so long."""


class EventRelay(Actor):
    """Owns the logs of all jobs that are not expired, and their watchers.

    It is rebuilt from the broker's event stream whenever it starts.
    result_ttl_s: how long an ended job's log is kept.
    bytes_max: when all logs together are larger, ended ones expire early: those of the
    client whose logs hold most, oldest first.
    is_answered: the broker answers each subscription at once with what there is, even
    if that is nothing, and before that nothing is said of any job.
    counts_queued: tell a job's place in its queue, as far as it can be known here; else
    the queue tells the exact one at once.
    stdin_room: how much stdin may be sent to jobs.
    fleet: the actor that hears an echo of the stream, where that takes a while to read:
    half a job's log is not how it stands, so nothing is said of any job before that.
    admission: is told of every job and every end, where nobody else hears of all.
    """

    def __init__(
        self,
        context: Context,
        broker: str,
        result_ttl_s: float,
        bytes_max: int,
        counts_queued: bool = False,
        is_answered: bool = False,
        tombstones_max: int = TOMBSTONES_MAX,
        admission: Admission | None = None,
        stdin_room: StdinRoom | None = None,
        fleet: str = "",
    ) -> None:
        super().__init__(context)
        self._broker = broker
        self._fleet = fleet
        self._admission = admission
        self._stdin_room = stdin_room or StdinRoom(MIB, MIB, 1)
        self._counts_queued = counts_queued
        self._is_answered = is_answered
        self._is_unread = is_answered or bool(fleet)
        self._await_read: list[Callable[[], None]] = []
        self._result_ttl_s = result_ttl_s
        self._bytes_max = bytes_max
        self._logs: dict[str, JobLog] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        """In the order of their ends."""
        self._held = Holdings()
        self._expired = Tombstones(tombstones_max)
        self._awaited: dict[str, list[tuple[float, Callable[[], None]]]] = {}
        self._queued: dict[str, int] = {}
        self._offset = 0

    def boot(self, message: Boot) -> None:
        """Read all that the stream still holds."""
        self.tell(self._broker, SubscribeEvents(self.name, 0))
        self.set_timer("sweep", SWEEP_S)
        if self._fleet:
            self._await_echo()

    def clean_up(self, *, crashed: bool) -> None:
        """Send the watchers away: a successor has what they have missed."""
        for log in self._logs.values():
            self._stdin_room.release(log)
            for deliver in log.watchers:
                deliver(())
        self._logs.clear()  # a dead actor is garbage that is not collected at once
        for reply in self._await_read:  # a successor is to be asked
            reply()

    def broker_started(self, message: BrokerStarted) -> None:
        """Read on where the connection before has ended."""
        self.tell(self._broker, SubscribeEvents(self.name, self._offset))

    def events_received(self, message: EventsReceived) -> None:
        """Log the events and hand them to who watches."""
        if self._is_answered and message.offset <= self._offset:
            self._be_read()
        if message.offset > self._offset or message.next_offset <= self._offset:
            return  # ahead of the replay that was asked for, or known already
        if message.offset < self._offset:
            # An answer to a predecessor's question, of which some is known here. How
            # much can't be told, as a stream may have holes: so that is asked again.
            self.tell(self._broker, SubscribeEvents(self.name, self._offset))
            return
        self._offset = message.next_offset
        fresh: dict[str, list[NumberedEvent]] = {}
        for event in message.events:
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
        numbered = self._log(event, log)
        if isinstance(event.body, Expired) and log.state == "done":
            for deliver in log.watchers:
                deliver(())
            self._expire(event.job_id)
        return numbered

    def _log(self, event: JobEvent, log: JobLog) -> tuple[NumberedEvent, ...]:
        size, state = log.size, log.state
        numbered = log.append(event, self.now())
        self._held.grow(log.accepted.client, log.size - size)
        if log.state != state:
            language = log.accepted.language
            change = (log.state == "queued") - (state == "queued")
            self._queued[language] = self._queued.get(language, 0) + change
            if log.state == "done":
                self._end(event.job_id, log)
        return numbered

    def _end(self, job_id: str, log: JobLog) -> None:
        self._ended[job_id] = None
        self._held.loosen(log.accepted.client, job_id)
        self._stdin_room.release(log)
        if self._admission is not None:
            self._admission.remove(job_id)

    def _accept(self, job_id: str, accepted: Accepted) -> None:
        """Open the job's log; who has told of it first is no matter."""
        if job_id in self._expired or job_id in self._logs:
            return
        log = JobLog(accepted, stdin_closed=not accepted.stdin_open)
        self._logs[job_id] = log
        self._held.grow(accepted.client, log.size)
        if self._admission is not None:
            self._admission.add(job_id, accepted)
        turn = self._queued.get(accepted.language, 0) + 1
        self._queued[accepted.language] = turn
        if self._counts_queued:
            self._log(JobEvent(job_id, 1, Queued(turn)), log)
        for _, reply in self._awaited.pop(job_id, ()):
            reply()

    def _await_echo(self) -> None:
        """Ask for what follows all that is in the stream by now."""
        ref = self.actor_ref

        def say_so() -> None:
            send(ref, StreamRead())

        self.tell(self._fleet, AwaitEcho(say_so))
        self.set_timer("echo", ECHO_RETRY_S)

    def stream_read(self, message: StreamRead) -> None:
        """Say how jobs stand from now on: the echo is behind all that was there."""
        self.cancel_timer("echo")
        self._be_read()

    def _be_read(self) -> None:
        self._is_unread = False
        waiting, self._await_read = self._await_read, []
        for reply in waiting:
            reply()

    def await_read(self, message: AwaitRead) -> None:
        """Answer when it can be told how jobs stand."""
        if not self._is_unread:
            message.reply()
        elif len(self._await_read) < AWAITED_MAX:
            self._await_read.append(message.reply)

    def await_job(self, message: AwaitJob) -> None:
        """Answer when the job is known, if it is not yet."""
        if message.job_id in self._logs or message.job_id in self._expired:
            message.reply()
        elif len(self._awaited) < AWAITED_MAX:
            waiting = self._awaited.setdefault(message.job_id, [])
            waiting.append((self.now() + AWAIT_S, message.reply))

    def watch_job(self, message: WatchJob) -> bool | Literal["unread"]:
        """Replay what the watcher has missed, and keep it while there is more.

        Who has had more than there is, of a job that is over, is told of its end again:
        nothing else would ever come.
        """
        if self._is_unread:
            return "unread"
        log = self._logs.get(message.job_id)
        if log is None:
            return False
        missed = tuple(log.events[message.after_id :])
        if not missed and log.state == "done":
            missed = tuple(log.events[-1:])
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
    ) -> JobView | JobExpired | Literal["unread"] | None:
        """Answer with the job as it stands."""
        if self._is_unread:
            return "unread"
        log = self._logs.get(message.job_id)
        if log is not None:
            return log.view(message.job_id)
        return self._gone(message.job_id)

    def reserve_stdin(
        self, message: ReserveStdin
    ) -> Reserved | JobExpired | Literal["unread"] | None:
        """Answer whether so much more stdin may be sent to the job."""
        log = self._logs.get(message.job_id)
        if self._is_unread or log is None:
            return "unread" if self._is_unread else self._gone(message.job_id)
        return self._stdin_room.reserve(log, message.size, end=message.end)

    def stdin_closed(self, message: StdinClosed) -> None:
        """Let no more follow."""
        log = self._logs.get(message.job_id)
        if log is not None:
            log.stdin_closed = True

    def _gone(self, job_id: str) -> JobExpired | None:
        stone = self._expired.get(job_id)
        return None if stone is None else JobExpired(stone.fingerprint)

    def time_out(self, name: str) -> None:
        """Expire by age, or ask for the echo again."""
        if name == "echo":
            self._await_echo()
            return
        self._settle()
        if self._admission is not None:
            self._admission.forget(2 * self._result_ttl_s + UNHEARD_S)
        now = self.now()
        self._awaited = {
            job_id: waiting
            for job_id, waiting in self._awaited.items()
            if waiting[-1][0] > now
        }
        self.set_timer("sweep", SWEEP_S if self._due() is None else GO_ON_S)

    def _settle(self) -> None:
        """Let ended jobs go while they are too old, or all logs too large."""
        for _ in range(AT_ONCE_MAX):
            job_id = self._due()
            if job_id is None:
                return
            self._expire(job_id)

    def _due(self) -> str | None:
        """Return the job whose log goes next, if one has to."""
        oldest = next(iter(self._ended), None)
        limit = self.now() - self._result_ttl_s
        if oldest is not None and self._logs[oldest].done_at <= limit:
            return oldest
        is_full = self._held.total > self._bytes_max
        return self._held.first_to_go() if is_full else None

    def _expire(self, job_id: str) -> None:
        log = self._logs.pop(job_id)
        del self._ended[job_id]
        accepted = log.accepted
        self._held.drop(accepted.client, job_id, log.size)
        self._expired.add(job_id, accepted.client, accepted.fingerprint)
