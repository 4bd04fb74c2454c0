"""One scenario played: load, fault, more load, and the judgement."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gevent
from history import History
from leaks import Leaks, leaks, look
from stage import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from faulty_node import FaultyNode
    from history import Verdict
    from places import Here
    from scenario import Scenario

BEGUN_SHARE = 1 / 3
"""Of all jobs, so many are accepted before the fault."""
PACE_S = 0.05
"""Between two jobs while the fault lasts."""
WARM_JOBS = 20
RESTARTS = 3
"""What a scenario may make of one supervisor's children, or its own end is the answer.
"""
CALM_S = 40


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a scenario; `faults` is empty when all is as promised."""

    scenario: Scenario
    verdict: Verdict
    whole_s: float
    leaks: Leaks
    faults: tuple[str, ...]

    def __str__(self) -> str:
        v = self.verdict
        return (
            f"{'ok    ' if not self.faults else 'FAILED'} {self.scenario.name}: "
            f"accepted {v.accepted}, finished {v.finished}, lost {len(v.lost)}, "
            f"doubled {len(v.doubled)}, wrong {len(v.wrong) + len(v.denied)}; "
            f"restarted {v.restarted}; whole after {self.whole_s:.1f} s "
            f"(of {self.scenario.whole_s:g}); leaked {self.leaks}"
        )


@dataclass(slots=True)
class Play:
    """What a scenario's fault is made with."""

    here: Here
    scenario: Scenario
    history: History
    surprises: list[str] = field(default_factory=list)

    @property
    def node(self) -> FaultyNode:
        """The all-in-one process."""
        return self.here.nodes[0]

    def order(self, method: str, **arguments: object) -> Any:
        return self.node.order(method, **arguments)

    def expect(self, true: object, what: str) -> None:
        """Note what is not as it should be, and go on."""
        if not true:
            self.surprises.append(what)

    def wait_until(self, true: Callable[[], object], seconds: float, what: str) -> None:
        wait_until(true, seconds, what)

    def finish_some(self, count: int = 5) -> None:
        """Wait until so many more jobs have ended: nothing stands still meanwhile."""
        goal = self.history.finished + count
        self.history.post(count)
        self.history.wait_for(lambda: self.history.finished >= goal)

    # ---------------------------------------------------------------- the one way

    @classmethod
    def begin(cls, scenario: Scenario, here: Here) -> Self:
        warm_up(here)
        return cls(here, scenario, History(here.gateways, scenario.run_s))

    def run(self) -> Result:
        before = [look(node) for node in self.here.nodes]
        self._load_and_break()
        began = time.monotonic()
        self._recover()
        whole_s = time.monotonic() - began
        verdict = self.history.judge(audits=self.scenario.audits)
        left = leaks(before, self.here.nodes)
        return Result(
            self.scenario, verdict, whole_s, left, self._faults(verdict, whole_s, left)
        )

    def _load_and_break(self) -> None:
        jobs = self.scenario.jobs if self.scenario.is_loaded else 0
        self.history.post(jobs * 2 // 3)
        self.history.wait_for(lambda: self.history.accepted >= jobs * BEGUN_SHARE)
        acting = gevent.spawn(self.scenario.act, self)
        while not acting.ready():
            if len(self.history.records) < jobs:
                self.history.post(1)
            acting.join(PACE_S)
        acting.get()

    def _recover(self) -> None:
        """Wait for a new job's end and for all parts to be as they were."""
        self.here.start_again()
        self.history.post(1)
        last = self.history.records[-1]
        self.history.wait_for(lambda: last.is_over)
        self.here.wait_whole()
        missing = self.scenario.jobs - len(self.history.records)
        self.history.post(max(0, missing))

    def _faults(self, verdict: Verdict, whole_s: float, left: Leaks) -> tuple[str, ...]:
        found = [*self.surprises]
        for what in ("lost", "doubled", "denied", "wrong"):
            jobs = getattr(verdict, what)
            if jobs:
                found.append(f"{what}: {', '.join(jobs[:5])}")
        if whole_s > self.scenario.whole_s:
            found.append(f"whole after {whole_s:.1f} s, not {self.scenario.whole_s:g}")
        if left.is_any(self.scenario.memory_mb):
            found.append(f"leaked {left}")
        if verdict.accepted < self.scenario.jobs:
            found.append(f"only {verdict.accepted} of {self.scenario.jobs} accepted")
        return tuple(found)


def warm_up(here: Here) -> None:
    """Have everything made that is made at first use, and all containers idle."""
    here.wait_whole()
    wait_until(
        lambda: all(one.order("restarts_left") >= RESTARTS for one in here.nodes),
        CALM_S,
        "restarts of scenarios before this one are no matter",
    )
    history = History(here.gateways)
    history.post(WARM_JOBS)
    history.judge().assert_perfect(WARM_JOBS)
