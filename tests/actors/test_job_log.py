"""A job's log where several workers may have had the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.job_log import JobLog
from actors.messages import (
    Accepted,
    Finished,
    JobEvent,
    JobResult,
    Outcome,
    Output,
    Queued,
    Restarted,
    Started,
)

if TYPE_CHECKING:
    from actors.messages import EventBody

END = Finished(JobResult(Outcome.SUCCESS))
CANCELLED = Finished(JobResult(Outcome.CANCELLED))
A, B = "worker a", "worker b"


def output(text: bytes) -> Output:
    return Output("run", "stdout", text)


class Log:
    def __init__(self) -> None:
        self.log = JobLog(Accepted("python", 0))

    def hear(self, run: str, attempt: int, *bodies: EventBody) -> None:
        for body in bodies:
            self.log.append(JobEvent("j1", attempt, body, run), 0)

    def shown(self) -> list[tuple[int, object]]:
        return [(one.event.attempt, one.event.body) for one in self.log.events]


@pytest.fixture
def log() -> Log:
    return Log()


def test_attempts_are_shown_without_gaps(log: Log) -> None:
    log.hear(A, 1, Queued(1), Started(), output(b"a"))
    log.hear(A, 2, Restarted(), Started())
    log.hear(B, 3001, Restarted(), Started(), END)
    assert log.shown() == [
        (1, Queued(1)),
        (1, Started()),
        (1, output(b"a")),
        (2, Restarted()),
        (2, Started()),
        (3, Restarted()),
        (3, Started()),
        (3, END),
    ]
    assert log.log.view("j1").attempt == 3


def test_who_had_it_is_not_shown(log: Log) -> None:
    log.hear(A, 1, Started())
    assert log.log.events[0].event.run == ""


def test_what_was_never_begun_is_not_restarted(log: Log) -> None:
    # Given a job that was prefetched by one worker, and then by another
    log.hear(A, 1, Queued(1))
    log.hear(B, 1001, Restarted())
    log.hear(A, 2001, Restarted(), Started(), END)
    assert log.shown() == [(1, Queued(1)), (1, Started()), (1, END)]


def test_an_older_attempt_is_not_heard_once_a_newer_is(log: Log) -> None:
    # Given a worker that was cut off while it ran the job
    log.hear(A, 1, Started(), output(b"a"))
    log.hear(B, 1001, Restarted())
    # When it is heard again
    log.hear(A, 1, output(b"more"), END)
    # Then only the newer attempt counts
    assert log.log.state == "queued"
    log.hear(B, 1001, Started(), output(b"a"), END)
    log.hear(A, 1, END)
    assert [body for _, body in log.shown()] == [
        Started(),
        output(b"a"),
        Restarted(),
        Started(),
        output(b"a"),
        END,
    ]


def test_an_end_before_the_newer_attempt_is_the_end(log: Log) -> None:
    log.hear(A, 1, Started(), END)
    log.hear(B, 1001, Restarted(), Started(), CANCELLED)
    assert log.shown() == [(1, Started()), (1, END)]


def test_of_two_runs_the_first_that_started_is_followed(log: Log) -> None:
    # Given two messages of one job, as of a client that tried again
    log.hear(A, 1, Queued(1))
    log.hear(B, 1, Queued(1), Started())
    log.hear(A, 1, Started(), output(b"a"))
    log.hear(B, 1, output(b"b"))
    log.hear(A, 1, END)
    assert log.log.state == "running"
    log.hear(B, 1, END)
    assert [body for _, body in log.shown()] == [
        Queued(1),
        Started(),
        output(b"b"),
        END,
    ]


def test_a_job_that_waits_is_ended_by_whoever_has_it(log: Log) -> None:
    log.hear(A, 1, Queued(1), CANCELLED)
    log.hear(B, 1, Started(), END)
    assert log.shown() == [(1, Queued(1)), (1, CANCELLED)]


def test_a_job_that_nobody_could_end_is_ended_in_its_last_attempt(log: Log) -> None:
    log.hear(A, 1, Queued(1), Started())
    log.hear(B, 10_001, CANCELLED)
    assert log.shown()[-1] == (1, CANCELLED)
    assert log.log.state == "done"


def test_the_order_of_the_stream_alone_decides(log: Log) -> None:
    story: list[tuple[str, int, EventBody]] = [
        (A, 1, Queued(2)),
        (A, 1, Started()),
        (B, 1001, Restarted()),
        (A, 1, output(b"x")),
        (A, 2, Restarted()),
        (B, 1001, Started()),
        (B, 1001, END),
        (A, 2, Started()),
    ]
    other = Log()
    for run, attempt, body in story:
        log.hear(run, attempt, body)
        other.hear(run, attempt, body)
    assert log.shown() == other.shown()
    assert [body for _, body in log.shown()].count(END) == 1
