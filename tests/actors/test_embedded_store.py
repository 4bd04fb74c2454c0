"""What the embedded broker keeps, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_job

from actors.broker.embedded_store import EmbeddedStore, size_of
from actors.holdings import AT_ONCE_MAX
from actors.job_log import EVENT_BYTES
from actors.messages import (
    Accepted,
    Expired,
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


def test_many_that_are_due_at_once_go_in_steps() -> None:
    store = make_store(queue_max=10_000, ttl_s=10)
    for number in range(2 * AT_ONCE_MAX):
        run_through(store, make_job(f"j{number}"))
    left = []
    for _ in range(3):
        store.append([], now=20)
        left.append(len(set(ids(store))))
    assert left == [AT_ONCE_MAX, 0, 0]


def test_events_of_ended_jobs_go_early_when_there_is_too_much() -> None:
    store = make_store(bytes_max=3 * EVENT_BYTES + 1000)
    run_through(store, JOB, size=1000)
    assert ids(store) == ["j1"] * 3
    run_through(store, make_job("j2"), size=1000)
    assert ids(store) == ["j1"] * 2 + ["j2"] * 3
    assert store.bytes_held == 3 * EVENT_BYTES + 1000


def test_events_of_a_job_that_has_not_ended_stay() -> None:
    store = make_store(ttl_s=1, bytes_max=1)
    store.add(JOB)
    store.append([event(ACCEPTED)], 0)
    store.append([event(Queued(1))], 1000)
    assert ids(store) == ["j1"] * 2


def test_a_job_that_has_not_ended_keeps_no_other() -> None:
    # Given a job that waits
    store = make_store(ttl_s=10, bytes_max=20 * EVENT_BYTES)
    store.add(make_job("waits"))
    store.append([event(ACCEPTED, "waits")], 0)
    # When others run, of more bytes than may be held
    for number in range(50):
        run_through(store, make_job(f"j{number}"), now=1, size=EVENT_BYTES)
    # Then the oldest of them have gone
    assert store.bytes_held <= 20 * EVENT_BYTES
    # and all do when they are old
    run_through(store, make_job("last"), now=12)
    assert ids(store) == ["waits"] + ["last"] * 3


def test_whoever_holds_most_makes_room_and_nobody_else() -> None:
    store = make_store(bytes_max=40 * EVENT_BYTES)
    run_through(store, make_job("hers", client="ann"), size=100)
    for number in range(50):
        run_through(store, make_job(f"j{number}", client="bob"), size=2_000)
    shown = [(one.job_id, type(one.body)) for one in store.events_from(0)]
    assert [kind for job_id, kind in shown if job_id == "hers"] == [
        Accepted,
        Output,
        Finished,
    ]
    assert ("j0", Output) not in shown


def test_a_key_is_known_after_its_events_have_gone_early() -> None:
    store = make_store(ttl_s=10, bytes_max=1)
    run_through(store, make_job(fingerprint="abc"), now=0)
    assert store.fingerprint("j1") == "abc"
    assert store.has_ended("j1")
    # What is read anew tells that there was a job, and no more.
    assert [one.body for one in store.events_from(0)] == [ACCEPTED, Expired()]
    assert store.events_from(3) == ()
    run_through(store, make_job("j2"), now=10)
    assert store.fingerprint("j1") is None


def test_one_client_cannot_have_others_keys_forgotten() -> None:
    store = EmbeddedStore(2, 10, bytes_max=1, remembered_max=3)
    run_through(store, make_job("hers", client="ann", fingerprint="abc"))
    for number in range(9):
        run_through(store, make_job(f"j{number}", client="bob", fingerprint="xyz"))
    assert store.fingerprint("hers") == "abc"
    known = [store.fingerprint(f"j{number}") for number in range(9)]
    assert known == [None] * 7 + ["xyz"] * 2


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


BYTES_MAX = 10 * EVENT_BYTES
REMEMBERED_MAX = 5
steps = st.tuples(
    st.integers(0, 30),
    st.sampled_from(["out", "out", "end"]),
    st.integers(0, 3 * EVENT_BYTES),
    st.sampled_from([0.0, 0.0, 1.0, 11.0]),
)


@given(st.lists(steps, max_size=80))
def test_what_is_held_is_bounded_however_jobs_interleave(
    steps: list[tuple[int, str, int, float]],
) -> None:
    """All bytes: at most the bound and those of unfinished jobs. All jobs: those that
    are unfinished or ended less than ttl_s ago, of which the bound says how many."""
    store = EmbeddedStore(99, 10, BYTES_MAX, REMEMBERED_MAX)
    now = 0.0
    unfinished: dict[str, int] = {}
    ended: dict[str, float] = {}
    for number, kind, size, wait in steps:
        now += wait
        job_id = f"j{number}"
        if store.fingerprint(job_id) is None:
            store.add(make_job(job_id, client=f"c{number % 3}"))
            store.append([event(ACCEPTED, job_id)], now)
            unfinished[job_id] = EVENT_BYTES
        elif store.has_ended(job_id):
            continue
        if kind == "out":
            store.append([event(Output("run", "stdout", b"x" * size), job_id)], now)
            unfinished[job_id] += EVENT_BYTES + size
        else:
            store.append([event(END, job_id)], now)
            ended[job_id] = now
            del unfinished[job_id]
        held = store.events_from(0)
        there = [one for one in held if not is_remains(one, held)]
        assert sum(map(size_of, there)) == store.bytes_held
        assert store.bytes_held <= BYTES_MAX + sum(unfinished.values())
        remembered = {one.job_id for one in held} - {one.job_id for one in there}
        assert len(remembered) <= REMEMBERED_MAX
        young = {one for one, at in ended.items() if at > now - 10}
        assert {one.job_id for one in held} <= set(unfinished) | young
        assert set(unfinished) <= {one.job_id for one in there}


def is_remains(one: JobEvent, held: tuple[JobEvent, ...]) -> bool:
    """Tell whether nothing else is left of this event's job."""
    return JobEvent(one.job_id, 1, Expired()) in held


def test_a_job_is_accepted_once_however_often_that_is_said() -> None:
    store = make_store()
    begun(store, "j1")
    first = event(ACCEPTED)
    assert store.append([first], 0) == (first,)
    # A queue says it again, with what is news
    assert store.append([event(ACCEPTED), event(Queued(1))], 0) == (event(Queued(1)),)
    assert store.events_from(0) == (first, event(Queued(1)))
