"""What the embedded broker keeps, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_job

from actors.broker.embedded_store import EVENT_BYTES, EmbeddedStore
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
    from actors.messages import EventBody, Job

END = Finished(JobResult(Outcome.SUCCESS))
ACCEPTED = Accepted("python", 0)
JOB = make_job()


def make_store(
    queue_max: int = 2, ttl_s: float = 10, bytes_max: int = 1_000_000
) -> EmbeddedStore:
    return EmbeddedStore(queue_max, ttl_s, bytes_max)


def event(body: EventBody, job_id: str = "j1", attempt: int = 1) -> JobEvent:
    return JobEvent(job_id, attempt, body)


def begun(store: EmbeddedStore, *job_ids: str) -> None:
    for job_id in job_ids:
        store.add(make_job(job_id))


def run_through(store: EmbeddedStore, job: Job, now: float = 0, size: int = 0) -> None:
    """Have a job accepted, run and ended; three events."""
    store.add(job)
    for body in (ACCEPTED, Output("run", "stdout", b"x" * size), END):
        store.append([event(body, job.id)], now)
    store.finish(job)


def ids(store: EmbeddedStore) -> list[str]:
    return [one.job_id for one in store.events_from(0)]


# --------------------------------------------------------------------------- jobs


def test_jobs_are_kept_until_they_are_finished() -> None:
    store = make_store()
    other = make_job("j2", language="c")
    store.add(JOB)
    store.add(other)
    assert store.unfinished("python") == [JOB]
    assert store.unfinished() == [JOB, other]
    store.finish(JOB)
    store.finish(JOB)
    assert store.unfinished() == [other]
    assert store.unfinished("cobol") == []


def test_a_language_is_full_with_its_unfinished_jobs() -> None:
    store = make_store(queue_max=2)
    begun(store, "j1", "j2")
    assert store.is_full("python")
    assert not store.is_full("c")
    store.finish(JOB)
    assert not store.is_full("python")


def test_a_fingerprint_is_known_as_long_as_the_job() -> None:
    store = make_store()
    assert store.fingerprint("j1") is None
    run_through(store, make_job(fingerprint="abc"))
    assert store.fingerprint("j1") == "abc"
    run_through(store, make_job("j2"), now=11)
    assert store.fingerprint("j1") is None
    assert store.fingerprint("j2") == ""


def test_every_lease_has_a_tag_of_its_own() -> None:
    store = make_store()
    store.add(JOB)
    first, second = store.lease(JOB, 1), store.lease(JOB, 2)
    assert (first.job, first.generation, second.generation) == (JOB, 1, 2)
    assert first.tag != second.tag


@pytest.mark.parametrize(
    ("told", "attempt"),
    [
        ([], 1),
        ([(1, Queued(1))], 1),
        ([(1, Started())], 2),
        ([(1, Started()), (2, Restarted())], 2),
        ([(1, Started()), (2, Restarted()), (2, Started())], 3),
        # a container that died before it had begun
        ([(1, Queued(1)), (2, Restarted())], 2),
        # events of an attempt that was given up come late
        ([(2, Started()), (1, Started())], 3),
    ],
)
def test_a_redelivery_is_the_next_attempt_and_never_one_before(
    told: list[tuple[int, EventBody]], attempt: int
) -> None:
    store = make_store()
    store.add(JOB)
    store.append([event(body, attempt=number) for number, body in told], 0)
    assert store.lease(JOB, 1).attempt == attempt
    if told:
        assert store.attempt("j1") == max(number for number, _ in told)


# ------------------------------------------------------------------------- stream


def test_the_stream_is_read_from_any_offset() -> None:
    store = make_store()
    store.add(JOB)
    events = tuple(event(Queued(n)) for n in range(5))
    assert store.append(events, 0) == events
    assert store.next_offset == 5
    assert store.events_from(0) == events
    assert store.events_from(3) == events[3:]
    assert store.events_from(5) == store.events_from(99) == ()


def test_the_end_is_the_last_event_of_its_job() -> None:
    store = make_store()
    store.add(JOB)
    late = event(Output("run", "stdout", b"late"))
    assert store.append([event(ACCEPTED), event(END), event(END), late], 0) == (
        event(ACCEPTED),
        event(END),
    )
    assert store.append([late], 0) == ()
    assert (store.next_offset, store.has_ended("j1")) == (2, True)


def test_events_of_an_unknown_job_are_not_taken() -> None:
    store = make_store()
    assert store.append([event(END)], 0) == ()
    assert store.events_from(0) == ()


def test_events_expire_some_time_after_their_jobs_end() -> None:
    store = make_store(ttl_s=10)
    run_through(store, JOB, now=0)
    run_through(store, make_job("j2"), now=9.9)
    assert ids(store) == ["j1"] * 3 + ["j2"] * 3
    run_through(store, make_job("j3"), now=10)
    assert ids(store) == ["j2"] * 3 + ["j3"] * 3
    assert store.next_offset == 9
    assert store.events_from(4) == store.events_from(0)[1:]


def test_events_of_ended_jobs_go_early_when_there_is_too_much() -> None:
    store = make_store(bytes_max=3 * EVENT_BYTES + 1000)
    run_through(store, JOB, size=1000)
    assert ids(store) == ["j1"] * 3
    run_through(store, make_job("j2"), size=1000)
    assert ids(store) == ["j2"] * 3


def test_events_of_a_job_that_has_not_ended_stay() -> None:
    store = make_store(ttl_s=1, bytes_max=1)
    store.add(JOB)
    store.append([event(ACCEPTED)], 0)
    store.append([event(Queued(1))], 1000)
    assert ids(store) == ["j1"] * 2


def test_a_second_end_does_not_stop_the_stream_from_expiring() -> None:
    # Given a job whose end was published twice, as after a broker's restart
    store = make_store(ttl_s=1)
    run_through(store, JOB, now=0)
    store.append([event(END)], 0)
    # When its time is over
    run_through(store, make_job("j2"), now=100)
    run_through(store, make_job("j3"), now=200)
    # Then nothing of it is in the way
    assert ids(store) == ["j3"] * 3


def test_a_job_that_expired_before_its_ack_has_ended() -> None:
    store = make_store(ttl_s=1)
    store.add(JOB)
    store.append([event(END)], 0)
    store.add(make_job("j2"))
    store.append([event(ACCEPTED, "j2")], 5)
    assert ids(store) == ["j2"]
    assert store.has_ended("j1")


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.floats(0, 5)), max_size=40)
)
def test_nothing_expires_before_its_time(steps: list[tuple[int, bool, float]]) -> None:
    """A job that has not ended, or not long enough ago, is there from its start."""
    store = make_store(ttl_s=10)
    now = 0.0
    ended: dict[str, float] = {}
    for number, ending, wait in steps:
        now += wait
        job_id = f"j{number}"
        if store.fingerprint(job_id) is None:
            store.add(make_job(job_id))
            store.append([event(ACCEPTED, job_id)], now)
            ended.pop(job_id, None)
        if ending and not store.has_ended(job_id):
            store.append([event(END, job_id)], now)
            ended[job_id] = now
        bodies = {(one.job_id, one.body) for one in store.events_from(0)}
        for job_id, at in ended.items():
            if at > now - 10:
                assert {(job_id, ACCEPTED), (job_id, END)} <= bodies


# --------------------------------------------------------------------------- mail


def test_mail_is_handed_over_once_in_its_order() -> None:
    store = make_store()
    for message in (1, 2):
        store.keep_mail(message)
    assert store.take_mail() == [1, 2]
    assert store.take_mail() == []
