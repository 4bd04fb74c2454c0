"""What was asked for, as ratios in one run, and whether this run shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spread import Spread, spread
from ways import BARE, EXEC, STREAM

if TYPE_CHECKING:
    from rounds import Results

LATENCY = {
    "python hello": 0.45,
    "javascript hello": 0.6,
    "java hello": 0.4,
    "c hello": 1.3,
    "cpp hello": 0.8,
    "go hello": 1.3,
}
"""POST to the end of the events at most so many times a bare process, one client."""
CPU_JOB = "python 50 ms of CPU"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of the table."""

    figure: str
    against: str
    bound: float
    unit: str
    at_least: bool
    measured: Spread | None
    """None when this run did not measure it."""

    @property
    def met(self) -> bool:
        if self.measured is None:
            return False
        # what may never happen did not happen in any round
        value = self.measured.median if self.bound else self.measured.high
        return value >= self.bound if self.at_least else value <= self.bound

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        return "met" if self.met else "NOT MET"


def requirements(results: Results) -> list[Requirement]:
    """Return all of them, in the order in which they were asked for."""
    return [*_latency(results), *_throughput(results), *_scenes(results)]


def _latency(results: Results) -> list[Requirement]:
    return [
        Requirement(
            *(f"{workload}, POST to end of SSE, p50", BARE, bound, "x", False),
            results.latency_ratio(workload, STREAM, BARE),
        )
        for workload, bound in LATENCY.items()
    ]


def _throughput(results: Results) -> list[Requirement]:
    rows = (
        ("python hello", BARE, 1.8, 32),
        ("python hello", EXEC, 9.0, 32),
        (CPU_JOB, BARE, 0.9, None),
    )
    return [
        Requirement(
            f"{workload}, throughput" + (f" at {clients} clients" if clients else ""),
            *(f"{way}, at its best", bound, "x", True),
            results.throughput_ratio(workload, STREAM, way, clients),
        )
        for workload, way, bound, clients in rows
    ]


def _scenes(results: Results) -> list[Requirement]:
    burst, watchers = results.burst, results.watchers
    lost = [{"lost": one["refused"] + one["failed"]} for one in burst]
    jobs = max((one["jobs"] for one in burst), default=0)
    streams = max((one["opened"] for one in watchers), default=0)
    name, many = f"burst of {jobs:,}", f"{streams:,} watchers"
    rows: tuple[tuple[str, list[dict[str, Any]], str, float, str], ...] = (
        (f"{name}: refused, lost or failed", lost, "lost", 0, ""),
        (f"{name}: p99 of GET /", burst, "page_p99_ms", 100, "ms"),
        (f"{name}: p99 of the 202", burst, "answer_p99_ms", 1000, "ms"),
        (f"{name}: memory above rest", burst, "memory_above_rest_mb", 300, "MB"),
        (f"{many}: memory each", watchers, "memory_each_kb", 40, "KB"),
        ("an idle python container of five, PSS", results.idle, "whole", 12, "MB"),
        ("one of a hundred, PSS", results.many_idle, "whole", 12, "MB"),
        ("scrub, p95", results.mixed, "scrub_p95_ms", 10, "ms"),
        ("containers recycled, of all jobs", results.mixed, "recycled_percent", 1, "%"),
    )
    return [
        Requirement(figure, "", bound, unit, False, _spread_of(found, key))
        for figure, found, key, bound, unit in rows
    ]


def _spread_of(found: list[dict[str, Any]], key: str) -> Spread | None:
    values = [float(one[key]) for one in found if key in one]
    return spread(values) if values else None
