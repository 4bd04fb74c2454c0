"""Controls for jobs that may yet come."""

from __future__ import annotations

from actors.early_controls import BYTES_MAX, JOBS_MAX, KEPT_S, EarlyControls
from actors.messages import CancelJob, JobControl, SendStdin


def stdin(data: bytes, job_id: str = "j1") -> SendStdin:
    return SendStdin(job_id, "python", data, end=False)


def test_controls_are_taken_once_and_in_order() -> None:
    early = EarlyControls()
    said: list[JobControl] = [stdin(b"a"), stdin(b"b"), CancelJob("j1", "python")]
    for control in said:
        early.keep(control, 0)
    assert early.take("j2", 0) == []
    assert early.take("j1", 0) == said
    assert early.take("j1", 0) == []


def test_controls_of_jobs_that_never_come_are_forgotten() -> None:
    early = EarlyControls()
    early.keep(stdin(b"a"), 0)
    assert early.take("j1", KEPT_S) == []


def test_the_oldest_jobs_are_forgotten_first() -> None:
    early = EarlyControls()
    for number in range(JOBS_MAX + 1):
        early.keep(CancelJob(f"j{number}", "python"), 0)
    assert len(early) == JOBS_MAX
    assert early.take("j0", 0) == []
    early.keep(stdin(bytes(BYTES_MAX - 300), "big"), 0)
    assert early.take("j1", 0) == []
    assert len(early.take("big", 0)) == 1


def test_one_job_alone_is_bounded_too() -> None:
    early = EarlyControls()
    early.keep(stdin(bytes(BYTES_MAX)), 0)
    assert len(early) == 0
