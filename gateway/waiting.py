"""Waiting for a job's end, for as long as a client wants to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.event import Event

from actors.messages import Finished, JobView, NumberedEvent, UnwatchJob, WatchJob
from gateway.ports import RELAY, Directory, find, watch

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_for_end(
    directory: Directory,
    job_id: str,
    timeout_s: float,
    *,
    after_id: int = 0,
    unknown_wait_s: float = 0,
    begin: Callable[[], None] = lambda: None,
) -> JobView | None:
    """Return the job as it stands at its end or when the time is over.

    `begin` is called once the wait has begun, so that no end is missed that it
    brings about. None when the relay does not have the job. When the relay itself
    ends, so does the wait.
    """
    ended = Event()

    def deliver(batch: tuple[NumberedEvent, ...]) -> bool:
        if not batch or isinstance(batch[-1].event.body, Finished):
            ended.set()
        return True

    if watch(directory, WatchJob(job_id, after_id, deliver), unknown_wait_s):
        try:
            begin()
            ended.wait(timeout_s)
        finally:
            if not ended.is_set():  # after it the relay keeps no watcher
                directory.tell(RELAY, UnwatchJob(job_id, deliver))
    found = find(directory, job_id)
    return found if isinstance(found, JobView) else None
