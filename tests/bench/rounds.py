"""All figures of one run, round by round, as they go into the JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from spread import Spread, percentile, ratios, spread

Rounds = list[float]
"""One value a round."""


@dataclass(slots=True)
class Latencies:
    """One way and one workload, one client; times in milliseconds."""

    p50: Rounds = field(default_factory=list)
    p95: Rounds = field(default_factory=list)
    p99: Rounds = field(default_factory=list)
    count: int = 0

    def add(self, times: list[float]) -> None:
        self.p50.append(percentile(times, 0.5))
        self.p95.append(percentile(times, 0.95))
        self.p99.append(percentile(times, 0.99))
        self.count += len(times)


@dataclass(slots=True)
class Results:
    """What has been measured so far; the report shows no more than that."""

    machine: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    """What the bare process runs, by language."""
    mood: list[dict[str, float]] = field(default_factory=list)
    """Before each round, with nothing of ours at work."""
    latency: dict[str, dict[str, Latencies]] = field(default_factory=dict)
    """By workload and way."""
    throughput: dict[str, dict[str, dict[str, Rounds]]] = field(default_factory=dict)
    """Jobs a second by workload, way and number of clients."""
    client_share: dict[str, float] = field(default_factory=dict)
    """The most of the machine's time that a way's load generator took itself."""
    cpu: dict[str, dict[str, Rounds]] = field(default_factory=dict)
    """Milliseconds of processor time a job, by way and process."""
    idle: list[dict[str, float]] = field(default_factory=list)
    """MB of an idle Python container, by process."""
    many_idle: list[dict[str, float]] = field(default_factory=list)
    """The same of each of a hundred: they share what is the same in all."""
    mixed: list[dict[str, Any]] = field(default_factory=list)
    """Of each round, what became of the containers when all workloads ran mixed."""
    burst: list[dict[str, Any]] = field(default_factory=list)
    naive_burst: list[dict[str, Any]] = field(default_factory=list)
    """A smaller one, against a process per request."""
    watchers: list[dict[str, Any]] = field(default_factory=list)
    budget: list[dict[str, dict[str, float]]] = field(default_factory=list)
    """Of each round, the time that each step of a hello took, and floors."""
    elastic: list[dict[str, Any]] = field(default_factory=list)
    """The same load against a pool that grows, and others that don't."""
    failed: dict[str, str] = field(default_factory=dict)
    """What could not be measured, and why."""

    def latencies(self, workload: str, way: str) -> Latencies:
        ways = self.latency.setdefault(workload, {})
        return ways.setdefault(way, Latencies())

    def rates(self, workload: str, way: str, clients: int) -> Rounds:
        ways = self.throughput.setdefault(workload, {})
        return ways.setdefault(way, {}).setdefault(str(clients), [])

    # ------------------------------------------------------------------ ratios

    def latency_ratio(self, workload: str, ours: str, theirs: str) -> Spread | None:
        """Return the ratio of the medians, round by round."""
        ways = self.latency.get(workload, {})
        if ours not in ways or theirs not in ways:
            return None
        return spread(ratios(ways[ours].p50, ways[theirs].p50))

    def throughput_ratio(
        self, workload: str, ours: str, theirs: str, clients: int | None
    ) -> Spread | None:
        """Return ours at so many clients, or at its best, to theirs at its best."""
        ways = self.throughput.get(workload, {})
        if ours not in ways or theirs not in ways:
            return None
        if clients is None:
            mine = best(ways[ours])
        elif str(clients) in ways[ours]:
            mine = ways[ours][str(clients)]
        else:
            return None
        return spread(ratios(mine, best(ways[theirs])))


def best(by_clients: dict[str, Rounds]) -> Rounds:
    """Return the rates at the number of clients at which the median is highest.

    Not each round's highest rate: of so many readings that is the luckiest one.
    """
    return max(by_clients.values(), key=median)
