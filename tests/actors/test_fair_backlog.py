"""The fair backlog against a naive model of what is fair."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from actors.fair_backlog import FairBacklog


def filled(*jobs: str) -> FairBacklog:
    """Return a backlog of jobs named by client and number, as `a1`."""
    backlog = FairBacklog()
    for job in jobs:
        backlog.push(job[0], job)
    return backlog


def pop(backlog: FairBacklog) -> str:
    """Take the next job in turn."""
    client, _ = next(iter(backlog.counts()))
    job = backlog.take(client)
    assert job is not None
    return job


def emptied(backlog: FairBacklog) -> list[str]:
    return [pop(backlog) for _ in range(len(backlog))]


def test_one_clients_jobs_come_in_their_order() -> None:
    assert emptied(filled("a1", "a2", "a3")) == ["a1", "a2", "a3"]


def test_the_first_is_the_next_to_be_taken() -> None:
    backlog = filled("a1", "a2", "b1")
    for _ in range(3):
        assert backlog.first() == pop(backlog)
    assert backlog.first() is None


def test_clients_take_turns() -> None:
    backlog = filled("a1", "a2", "a3", "b1", "b2", "c1")
    assert emptied(backlog) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_newcomer_does_not_wait_for_anothers_whole_backlog() -> None:
    backlog = filled(*[f"a{n}" for n in range(100)])
    pop(backlog)
    backlog.push("b", "b1")
    assert backlog.position("b", "b1") == 2
    assert [pop(backlog), pop(backlog)] == ["a1", "b1"]


def test_what_is_put_in_front_is_next_whoevers_turn_it_is() -> None:
    backlog = filled("a1", "a2", "b1")
    job = pop(backlog)
    backlog.push("a", job, front=True)
    assert backlog.position("a", "a1") == 1
    assert emptied(backlog) == ["a1", "b1", "a2"]


def test_a_removed_job_is_passed_over() -> None:
    backlog = filled("a1", "a2", "b1")
    assert backlog.remove("a", "a1")
    assert not backlog.remove("a", "a1")
    assert not backlog.remove("c", "c1")
    assert backlog.position("a", "a1") is None
    assert emptied(backlog) == ["a2", "b1"]


def test_an_empty_backlog_is_false_and_has_nothing() -> None:
    backlog = filled("a1")
    pop(backlog)
    assert not backlog
    assert backlog.position("a", "a1") is None
    assert backlog.take("a") is None


@dataclass
class Model:
    """The same by the plainest means: the round, as a list of lists."""

    round: list[tuple[str, list[int]]] = field(default_factory=list)

    def jobs(self, client: str) -> list[int] | None:
        return next((jobs for name, jobs in self.round if name == client), None)

    def push(self, client: str, job: int) -> None:
        jobs = self.jobs(client)
        if jobs is None:
            self.round.append((client, [job]))
        else:
            jobs.append(job)

    def push_front(self, client: str, job: int) -> None:
        jobs = [job, *(self.jobs(client) or [])]
        rest = [turn for turn in self.round if turn[0] != client]
        self.round = [(client, jobs), *rest]

    def pop(self) -> int:
        client, jobs = self.round.pop(0)
        job = jobs.pop(0)
        if jobs:
            self.round.append((client, jobs))
        return job

    def take(self, client: str) -> int | None:
        for turn in self.round:
            if turn[0] == client:
                self.round.remove(turn)
                self.round.insert(0, turn)
                return self.pop()
        return None

    def remove(self, client: str, job: int) -> bool:
        jobs = self.jobs(client)
        if jobs is None or job not in jobs:
            return False
        jobs.remove(job)
        self.round = [turn for turn in self.round if turn[1]]
        return True

    def waiting(self) -> list[tuple[str, int]]:
        return [(client, job) for client, jobs in self.round for job in jobs]

    def order(self) -> list[int]:
        """Return the jobs as they would be popped."""
        copy = Model([(client, list(jobs)) for client, jobs in self.round])
        return [copy.pop() for _ in self.waiting()]


class Comparison(RuleBasedStateMachine):
    """Does the same to both and compares."""

    clients = st.sampled_from("abcd")

    def __init__(self) -> None:
        super().__init__()
        self.backlog = FairBacklog()
        self.rough = FairBacklog(exact_clients_max=0)
        self.model = Model()
        self.count = 0

    @rule(client=clients, front=st.booleans())
    def push(self, client: str, front: bool) -> None:
        self.count += 1
        self.backlog.push(client, str(self.count), front=front)
        self.rough.push(client, str(self.count), front=front)
        (self.model.push_front if front else self.model.push)(client, self.count)

    @precondition(lambda self: self.model.round)
    @rule()
    def pop(self) -> None:
        assert pop(self.backlog) == pop(self.rough) == str(self.model.pop())

    @rule(client=clients)
    def take(self, client: str) -> None:
        """A client is served out of its turn, which it then has had."""
        job = self.model.take(client)
        expected = None if job is None else str(job)
        assert self.backlog.take(client) == self.rough.take(client) == expected

    @rule(client=clients, data=st.data())
    def remove(self, client: str, data: st.DataObject) -> None:
        job = data.draw(st.integers(1, max(self.count, 1)))
        found = self.backlog.remove(client, str(job))
        assert found == self.rough.remove(client, str(job))
        assert found == self.model.remove(client, job)

    @invariant()
    def as_many(self) -> None:
        assert len(self.backlog) == len(self.model.waiting())

    @invariant()
    def every_position_is_exact(self) -> None:
        order = self.model.order()
        for client, job in self.model.waiting():
            position = self.backlog.position(client, str(job))
            assert position == order.index(job) + 1

    @invariant()
    def of_many_clients_it_is_less_than_a_round_too_high(self) -> None:
        order = self.model.order()
        clients = len(self.model.round)
        for client, job in self.model.waiting():
            position = self.rough.position(client, str(job))
            assert position is not None
            assert order.index(job) + 1 <= position < order.index(job) + 1 + clients


Comparison.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
test_the_backlog_is_as_fair_as_the_model = Comparison.TestCase
