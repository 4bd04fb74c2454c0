"""One job as its events tell it, numbered for those who watch.

Several workers may have run a job: after a lost connection, or because a client's
second try was a second message. What is shown is decided by the stream's order alone,
so that every gateway shows the same. A newer attempt makes the older ones void; within
one attempt the first run that has started is followed, and others are not heard. The
first end is the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from actors.messages import (
    Accepted,
    EventBody,
    Expired,
    Finished,
    JobEvent,
    JobResult,
    JobView,
    NumberedEvent,
    Output,
    Queued,
    Restarted,
    Started,
)

EVENT_BYTES = 400
"""What an event costs beside its data: the objects around it, roughly."""


@dataclass(slots=True)
class JobLog:
    """The events of one job, and its watchers."""

    accepted: Accepted
    attempt: int = 1
    """The newest, as the queues count: with gaps."""
    shown: int = 1
    """The newest, as watchers count: one more with each that was begun in vain."""
    run: str | None = None
    """Which run of this attempt is followed; None until one has started."""
    state: Literal["queued", "running", "done"] = "queued"
    events: list[NumberedEvent] = field(default_factory=list)
    result: JobResult | None = None
    done_at: float = 0.0
    size: int = EVENT_BYTES
    """About how many bytes it holds, its acceptance among them."""
    stdin_bytes: int = 0
    """Sent to it so far, and kept until its end."""
    stdin_closed: bool = False
    """Whether no more may follow."""
    watchers: list[Callable[[tuple[NumberedEvent, ...]], bool]] = field(
        default_factory=list
    )

    def append(self, event: JobEvent, now: float) -> tuple[NumberedEvent, ...]:
        """Take the event in; return what there is to show."""
        if not self._is_heard(event):
            return ()
        return tuple(self._number(event, body) for body in self._take(event, now))

    def _number(self, event: JobEvent, body: EventBody) -> NumberedEvent:
        if event.run or event.attempt != self.shown or body is not event.body:
            event = JobEvent(event.job_id, self.shown, body)
        numbered = NumberedEvent(len(self.events) + 1, event)
        self.events.append(numbered)
        data = event.body.data if isinstance(event.body, Output) else b""
        self.size += EVENT_BYTES + len(data)
        return numbered

    def _is_heard(self, event: JobEvent) -> bool:
        if self.state == "done" or event.attempt < self.attempt:
            return False
        if event.attempt > self.attempt:
            return True
        return self.run is None or event.run == self.run

    def _take(self, event: JobEvent, now: float) -> tuple[EventBody, ...]:
        """Change with the event; return what is to be shown of it."""
        begun_in_vain = event.attempt > self.attempt and self.run is not None
        if event.attempt > self.attempt:
            self.attempt, self.run = event.attempt, None
        match event.body:
            case Queued():
                return () if self.events else (event.body,)  # a redelivery's
            case Restarted():
                self.state = "queued"
                self.shown += begun_in_vain
                return (event.body,) if begun_in_vain else ()
            case Started() | Output():
                self.state, self.run = "running", event.run
                if begun_in_vain:  # a broker actor has died with the word of it
                    self.shown += 1
                    return Restarted(), event.body
            case Finished(result):
                self.state, self.result, self.done_at = "done", result, now
            case Expired():
                self.state, self.done_at = "done", now
                return ()
        return (event.body,)

    def view(self, job_id: str) -> JobView:
        """Return what a reader may keep."""
        return JobView(
            job_id,
            self.accepted.language,
            self.accepted.created_at,
            self.state,
            self.shown,
            tuple(self.events),
            self.result,
            self.accepted.fingerprint,
        )
