"""One command, one report: Warmbox beside a bare process and all the usual ways.

Run as `python tests/bench/bench.py [--quick] [--rounds N] [--only PART ...]`. All ways
take turns in each round, so that whatever the machine does just then meets all of them.
Writes `performance.json`, the plots and the generated part of `performance.md` into the
folder `--out`; what was interrupted or has failed is left out there.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "service")]

from baselines import baselines  # noqa: E402 - found by the lines above
from budget import budget  # noqa: E402
from burst import Plan, Target, burst  # noqa: E402
from elastic import elastic  # noqa: E402
from load import Loaded, rate  # noqa: E402
from machine import await_quiet, describe, mood, raise_files_max  # noqa: E402
from measure import CostMeter, latencies_of, throughput  # noqa: E402
from report import print_requirements, write_report  # noqa: E402
from requirements import CPU_JOB  # noqa: E402
from rounds import Results  # noqa: E402
from sandbox_costs import (  # noqa: E402
    SURPLUS,
    idle_container_mb,
    read_counts,
    retired_between,
    scrub_bound_ms,
    wait_idle,
)
from service_process import ServiceProcess  # noqa: E402
from watching import SETTINGS, watchers  # noqa: E402
from ways import BARE, EXEC, NAIVE, RUN, STREAM, WAIT, WAYS, Site, version  # noqa: E402
from workloads import STEPS, WORKLOADS  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

HELLO = "python hello"
CLIENTS: dict[str, dict[str, tuple[int, ...]]] = {
    HELLO: {
        **dict.fromkeys((STREAM, WAIT, BARE, NAIVE), (1, 2, 8, 32, 128)),
        EXEC: (1, 2, 8, 32, 128),
        # each of them starts a container: more at once are no faster, only in the way
        RUN: (1, 2, 8),
    },
    CPU_JOB: dict.fromkeys((STREAM, BARE), (2, 8, 32)),
}
"""How many clients at once, by workload and way."""
PYTHON_ONLY = {"languages": "python"}
QUIET_S = 20
NAIVE_PLAN = Plan(1000, 200)
"""More would start more processes at once than a machine that others use should bear.
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    latency_s: float
    """For one workload in one round."""
    throughput_s: float
    """For one way and number of clients in one round; loads run in two parts."""
    clients_max: int
    mixed_s: float
    """All workloads at once, in one round."""
    burst: Plan
    watchers: int
    idle_containers: int
    speaker_lines: int
    languages: tuple[str, ...]


FULL = Size(5, 3, 2.4, 128, 6, Plan(10_000, 1000), 10_000, 100, 60, tuple(STEPS))
QUICK = Size(
    1, 1, 0.7, 32, 4, Plan(1000, 100), 1000, 10, 12, ("python", "javascript", "c")
)


class Bench:
    """One run: the service, the baselines, and what has been found."""

    def __init__(self, size: Size, results: Results, keep: Callable[[], None]) -> None:
        self._size = size
        self._results = results
        self._keep = keep
        """Writes down what there is so far: a run is long, and may be cut short."""
        self._workloads = [
            one for one in WORKLOADS.values() if one.language in size.languages
        ]

    # ------------------------------------------------- all ways, side by side

    def beside_each_other(self) -> None:
        """Rounds of latency, throughput and processor time, on one service."""
        languages = ",".join(self._size.languages)
        with ExitStack() as stack:
            site = stack.enter_context(baselines(self._size.languages))
            service = stack.enter_context(ServiceProcess(languages=languages))
            site = replace(site, warmbox_port=service.port)
            self._results.tools = {
                language: version(site, language) for language in site.boxes
            }
            for number in range(self._size.rounds):
                say(f"round {number + 1} of {self._size.rounds}")
                self._round(service, site)
                self._keep()

    def _round(self, service: ServiceProcess, site: Site) -> None:
        wait_idle(service)
        await_quiet(QUIET_S)
        self._results.mood.append(mood())
        self._latency(site)
        self.throughput(site)
        self._cpu(service, site)
        self._mixed(service, site)

    def _latency(self, site: Site) -> None:
        for workload in self._workloads:
            await_quiet(QUIET_S)  # compilers wake up that the one before has used
            found = latencies_of(site, workload, WAYS, self._size.latency_s)
            for way, times in found.items():
                self._results.latencies(workload.name, way).add(times)

    def throughput(self, site: Site) -> None:
        """There and back: a machine whose speed drifts meanwhile does so for all."""
        cells = [
            (workload, way, count)
            for workload, ways in CLIENTS.items()
            for count in sorted({one for counts in ways.values() for one in counts})
            for way, counts in ways.items()
            if count in counts and count <= self._size.clients_max
        ]
        there = [self._load(site, *cell) for cell in cells]
        back = [self._load(site, *cell) for cell in reversed(cells)]
        for cell, *loads in zip(cells, there, reversed(back), strict=True):
            self._results.rates(*cell).append(rate(loads))

    def _load(self, site: Site, workload: str, way: str, count: int) -> Loaded:
        seconds = self._size.throughput_s / 2
        # Docker clears up after its containers: whoever came next would pay for that.
        await_quiet(QUIET_S)
        loaded = throughput(site, way, [workload], count, seconds)
        share = loaded.own_cpu_seconds / loaded.seconds
        shares = self._results.client_share
        shares[way] = max(share, shares.get(way, 0))
        return loaded

    def _cpu(self, service: ServiceProcess, site: Site) -> None:
        meter = CostMeter(service, site, "python")
        for way in (STREAM, WAIT, BARE, NAIVE, EXEC):
            costs = meter.job_ms(way, HELLO, self._size.throughput_s)
            rounds = self._results.cpu.setdefault(way, {})
            for process, cost in costs.items():
                rounds.setdefault(process, []).append(cost)

    def _mixed(self, service: ServiceProcess, site: Site) -> None:
        """Run all workloads mixed: what the scrubs take, what has to be recycled."""
        wait_idle(service)
        before = read_counts(service)
        names = [workload.name for workload in self._workloads]
        loaded = throughput(site, STREAM, names, 8, self._size.mixed_s)
        wait_idle(service)
        after = read_counts(service)
        retired = retired_between(before, after)
        recycled = sum(n for reason, n in retired.items() if reason != SURPLUS)
        self._results.mixed.append(
            {
                "jobs": loaded.jobs,
                "scrub_p95_ms": scrub_bound_ms(before, after),
                "retired": retired,
                "recycled_percent": recycled * 100 / loaded.jobs,
            }
        )

    # -------------------------------------------------- what needs a fresh service

    def burst(self) -> None:
        for _ in range(self._size.rounds):
            with ServiceProcess(**PYTHON_ONLY) as service:
                self._results.idle.append(idle_container_mb(service, "python"))
                target = Target(service.port, service.process.pid)
                self._results.burst.append(burst(target, self._size.burst))
            self._keep()
        with baselines([]) as site:
            target = Target(site.naive_port, site.naive_pid, "/run")
            self._results.naive_burst.append(burst(target, NAIVE_PLAN))

    def watchers(self) -> None:
        with ServiceProcess(**SETTINGS) as service:
            size = self._size
            found = watchers(service, size.watchers, size.speaker_lines)
            self._results.watchers.append(found)

    def many_idle(self) -> None:
        count = self._size.idle_containers
        with ServiceProcess(**PYTHON_ONLY, pool__warm=count, pool__max=count) as one:
            found = idle_container_mb(one, "python")
        self._results.many_idle.append({"containers": count, **found})

    def budget(self) -> None:
        for _ in range(self._size.rounds):
            self._results.budget.append(budget())

    def elastic(self) -> None:
        self._results.elastic += elastic()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def measure(bench: Bench, parts: list[str], results: Results) -> None:
    """Measure part by part: one that fails takes nothing from the others."""
    todo: dict[str, Callable[[], None]] = {
        "burst": bench.burst,
        "watchers": bench.watchers,
        "idle": bench.many_idle,
        "elastic": bench.elastic,
        "budget": bench.budget,
        "ways": bench.beside_each_other,
    }
    for name in parts or todo:
        say(name)
        try:
            todo[name]()
        except Exception as error:  # noqa: BLE001 - told, here and in the report
            say(f"{name} failed: {type(error).__name__}: {error}")
            results.failed[name] = f"{type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two minutes, less sure")
    parser.add_argument("--rounds", type=int, help="of all ways beside each other")
    parser.add_argument("--only", nargs="*", default=[], metavar="PART")
    parser.add_argument("--out", type=Path, help="a folder, not docs with --only")
    args = parser.parse_args()
    if args.only and args.out is None:
        parser.error("--only needs --out: docs/ is for a run of all")
    args.out = args.out or ROOT / "docs"
    size = QUICK if args.quick else FULL
    size = replace(size, rounds=args.rounds or size.rounds)
    raise_files_max()
    # as Ctrl-C: the containers go, and what has been measured is kept
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = Results(machine=describe())
    bench = Bench(size, results, lambda: write_report(results, args.out))
    try:
        measure(bench, args.only, results)
    except KeyboardInterrupt:
        say("interrupted: the report holds what there is")
        results.failed["all"] = "interrupted"
    write_report(results, args.out)
    print_requirements(results)
    say(f"written: {args.out / 'performance.md'}")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
